"""The directory store: atomic names, what stays hidden, and what a full or forbidden disk means.

What it shares with S3 stores is in tests/integration/test_store_contract.py.
"""

import errno
import multiprocessing
import os
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from a360.errors import ConfigError, MissingError, TransientError
from a360.storage import open_store
from a360.storage.file_store import FileStore
from a360.storage.keys import TEMP_PREFIX
from a360.storage.os_errors import DiskFullError, os_failure
from tests.servers import small_disk_command


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    return FileStore(tmp_path / "store")


def files_below(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("uri", ["file://{}/store", "file://{}/store/", "{}/store", "{}/./x/../store"])
def test_a_uri_and_a_path_open_the_same_store(uri: str, tmp_path: Path) -> None:
    store = open_store(uri.format(tmp_path))
    assert store.uri == f"file://{tmp_path}/store"
    store.write("key", b"data")
    assert open_store(store.uri).read("key") == b"data"


def test_relative_paths_and_the_home_folder_are_understood(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", f"{tmp_path}/home")
    assert open_store("build/demo").uri == f"file://{tmp_path}/build/demo"
    assert open_store("~/runs").uri == f"file://{tmp_path}/home/runs"


def test_names_in_a_uri_are_literal(tmp_path: Path) -> None:
    store = open_store(f"file://{tmp_path}/50%25 é #1?")
    store.write("a", b"")
    assert (tmp_path / "50%25 é #1?" / "a").exists()


@pytest.mark.parametrize(
    "uri", ["", "gs://bucket/x", "file://host/path", "file://relative", "s3://", "s3:///x", "s3://b/../x"]
)
def test_other_uris_are_configuration_errors(uri: str) -> None:
    with pytest.raises(ConfigError) as caught:
        open_store(uri)
    assert uri in str(caught.value)
    assert caught.value.hint


def test_a_directory_is_opened_without_importing_the_s3_client() -> None:
    code = "import sys; from a360.storage import open_store; open_store('/x'); print('boto3' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_a_store_that_does_not_exist_yet_is_empty(store: FileStore) -> None:
    assert list(store.list()) == list(store.list("v1/commits/")) == []
    with pytest.raises(MissingError):
        store.read("key")


def test_a_root_that_is_a_file_is_a_configuration_error(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("")
    store = FileStore(tmp_path / "store")
    with pytest.raises(ConfigError, match="is a file, expected a directory"):
        list(store.list())
    with pytest.raises(ConfigError, match="a file stands where a folder must be"):
        store.write("key", b"")


def test_a_key_cannot_be_an_object_and_a_folder(store: FileStore) -> None:
    store.write("a", b"")
    store.write("b/c", b"")
    for key in ("a/x", "a/x/y", "b"):
        with pytest.raises(ConfigError, match=f"cannot write {store.uri}/{key}"):
            store.write(key, b"")
        with pytest.raises(ConfigError, match=f"cannot write {store.uri}/{key}"):
            store.put_if_absent(key, b"")
    store.delete("a/x")
    assert files_below(store.root) == ["a", "b/c"]


def test_files_of_unfinished_writes_are_never_listed(store: FileStore) -> None:
    store.write("v1/a", b"")
    (store.root / "v1" / f"{TEMP_PREFIX}0123").write_bytes(b"half")
    assert [entry.key for entry in store.list()] == ["v1/a"]
    assert list(store.list(f"v1/{TEMP_PREFIX}")) == []


def test_writes_leave_no_other_files_behind(store: FileStore) -> None:
    store.write("a/b", b"1")
    store.write("a/b", b"2")
    store.put_if_absent("a/b", b"3")
    store.put_if_absent("a/c", b"4")
    assert files_below(store.root) == ["a/b", "a/c"]


def test_objects_are_as_readable_as_the_umask_says(store: FileStore) -> None:
    before = os.umask(0o027)
    try:
        store.write("written", b"")
        store.put_if_absent("put", b"")
    finally:
        os.umask(before)
    for key in ("written", "put"):
        assert stat.S_IMODE((store.root / key).stat().st_mode) == 0o640


def test_a_version_is_modification_time_and_inode(store: FileStore) -> None:
    store.write("key", b"1234")
    status = (store.root / "key").stat()
    [entry] = store.list()
    assert entry == ("key", 4, f"{status.st_mtime_ns}-{status.st_ino}", status.st_mtime)


def test_a_listing_walks_only_the_folder_of_its_prefix(
    store: FileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("v1/commits/amber/mmlu", "v1/commits/amber/arc", "v1/commits/crystal/arc", "v1/journal/x"):
        for number in range(3):
            store.write(f"{folder}/{number}", b"")
    walked, scandir = [], os.scandir

    def recorded(path: str) -> object:
        walked.append(os.path.relpath(path, store.root))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", recorded)
    assert len(list(store.list("v1/commits/amber/m"))) == 3
    assert walked == ["v1/commits/amber", "v1/commits/amber/mmlu"]


def test_links_are_followed_and_broken_ones_left_out(store: FileStore, tmp_path: Path) -> None:
    """The hub's cache keeps a checkpoint as links to blobs."""
    (tmp_path / "blob").write_bytes(b"weights")
    store.write("ckpt/config.json", b"{}")
    (store.root / "ckpt" / "model.safetensors").symlink_to(tmp_path / "blob")
    (store.root / "ckpt" / "gone").symlink_to(tmp_path / "absent")
    assert [(entry.key, entry.bytes) for entry in store.list()] == [
        ("ckpt/config.json", 2),
        ("ckpt/model.safetensors", 7),
    ]
    assert store.pull_tree(["ckpt/model.safetensors"], tmp_path / "target") == 7
    assert not (tmp_path / "target/ckpt/model.safetensors").is_symlink()


def test_a_link_that_leads_back_is_not_followed_for_ever(store: FileStore) -> None:
    store.write("ckpt/sub/config.json", b"{}")
    (store.root / "ckpt" / "itself").symlink_to(".")
    (store.root / "ckpt" / "sub" / "above").symlink_to("..")
    (store.root / "other").symlink_to("ckpt/sub")
    assert [entry.key for entry in store.list()] == ["ckpt/sub/config.json", "other/config.json"]


def test_a_reader_sees_the_old_or_the_new_object_and_a_kill_leaves_one_of_them(store: FileStore) -> None:
    bodies = {bytes([number]) * 3_000_000 for number in (1, 2)}
    store.write("key", next(iter(bodies)))
    process = multiprocessing.get_context("fork").Process(target=_write_forever, args=(store, bodies))
    process.start()
    seen: set[bytes] = set()
    try:
        while seen != bodies:
            seen |= {store.read("key") for _ in range(50)}
            assert seen <= bodies
    finally:
        os.kill(process.pid or 0, signal.SIGKILL)
        process.join()
    assert store.read("key") in bodies
    assert [entry.key for entry in store.list()] == ["key"]


def _write_forever(store: FileStore, bodies: set[bytes]) -> None:
    while True:
        for body in bodies:
            store.write("key", body)


def test_a_link_whose_answer_was_lost_still_won(store: FileStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A network file system repeats a request whose answer it missed and meets its own link."""
    link = os.link

    def link_and_lose_the_answer(source: Path, target: Path) -> None:
        link(source, target)
        raise FileExistsError(errno.EEXIST, "File exists")

    monkeypatch.setattr(os, "link", link_and_lose_the_answer)
    assert store.put_if_absent("key", b"mine") is True
    monkeypatch.setattr(os, "link", link)
    assert store.put_if_absent("key", b"mine") is False


def test_a_file_system_without_hard_links_is_a_configuration_error(
    store: FileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(source: Path, target: Path) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    with pytest.raises(ConfigError, match="without hard links"):
        store.put_if_absent("key", b"")
    assert files_below(store.root) == []


_FILL = """
import sys
from a360.errors import TransientError
from a360.storage import open_store
store = open_store(sys.argv[1])
store.write("kept", b"old")
for verb in (store.write, store.put_if_absent):
    try:
        verb("kept" if verb == store.write else "new", bytes(3 << 20))
    except TransientError as error:
        print(error.exit_code, error.message)
print(store.read("kept"), [entry.key for entry in store.list()])
"""


def test_a_full_disk_is_a_transient_error_and_keeps_the_old_object(tmp_path: Path) -> None:
    command = small_disk_command(tmp_path, 1 << 20, [sys.executable, "-c", _FILL, f"{tmp_path}/store"])
    if command is None:
        pytest.skip("neither root nor user namespaces here: no small file system can be mounted")
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.stdout.splitlines() == [
        f"75 No space left on device (ENOSPC): file://{tmp_path}/store/kept",
        f"75 No space left on device (ENOSPC): file://{tmp_path}/store/new",
        "b'old' ['kept']",
    ], done.stderr


def test_a_file_size_limit_is_a_transient_error_and_leaves_nothing(tmp_path: Path) -> None:
    limit = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({1 << 20}, {1 << 20}))\n"
    command = [sys.executable, "-c", limit + _FILL, f"{tmp_path}/store"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert [line.split(":")[0] for line in done.stdout.splitlines()[:2]] == ["75 File too large (EFBIG)"] * 2
    assert done.stdout.splitlines()[2] == "b'old' ['kept']"
    assert files_below(tmp_path) == ["store/kept"]


@pytest.fixture
def somebody_elses_store() -> Iterator[FileStore]:
    """A directory that this process may not write to; root becomes nobody meanwhile."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        store = FileStore(Path(folder) / "store")
        store.write("secret", b"")
        (store.root / "secret").chmod(0)
        store.write("locked/key", b"")
        (store.root / "locked").chmod(0)
        store.root.chmod(0o555)
        root = os.geteuid() == 0
        if root:
            os.seteuid(65534)
        yield store
        if root:
            os.seteuid(0)
        for path in (store.root, store.root / "locked"):
            path.chmod(0o755)


def test_a_forbidden_directory_is_a_configuration_error(
    somebody_elses_store: FileStore,
) -> None:
    store = somebody_elses_store
    verbs: dict[str, Callable[[], object]] = {
        "secret": lambda: store.read("secret"),
        "new": lambda: store.write("new", b""),
        "commit": lambda: store.put_if_absent("commit", b""),
        "secret ": lambda: store.delete("secret"),
        "locked/": lambda: list(store.list("locked/")),
    }
    for key, verb in verbs.items():
        with pytest.raises(
            ConfigError, match=f"Permission denied .EACCES.: {store.uri}/{key.strip()}"
        ) as caught:
            verb()
        assert caught.value.hint == "this user needs permission to read and write there"


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.ENOSPC, DiskFullError),
        (errno.EDQUOT, DiskFullError),
        (errno.EIO, TransientError),
        (errno.ESTALE, TransientError),
        (errno.EMFILE, TransientError),
        (errno.EACCES, ConfigError),
        (errno.EPERM, ConfigError),
        (errno.EROFS, ConfigError),
        (errno.ENAMETOOLONG, ConfigError),
        (errno.ENOENT, MissingError),
    ],
)
def test_every_failed_system_call_says_whether_trying_again_helps(number: int, kind: type[Exception]) -> None:
    error = os_failure(OSError(number, os.strerror(number)), "file:///x/key")
    assert type(error) is kind
    assert "file:///x/key" in error.message
    assert error.hint


def test_a_name_that_is_too_long_is_a_configuration_error(store: FileStore) -> None:
    with pytest.raises(ConfigError, match="ENAMETOOLONG"):
        store.write("x" * 300, b"")


def test_an_interrupted_pull_leaves_no_whole_name(
    store: FileStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.write("a/weights", b"0123456789")

    def break_off(source: Path, target: Path) -> None:
        target.write_bytes(b"0123")
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("shutil.copyfile", break_off)
    with pytest.raises(TransientError, match=r"EIO.*a/weights"):
        store.pull_tree(["a/weights"], tmp_path / "target")
    assert files_below(tmp_path / "target") == ["a/weights.part"]
