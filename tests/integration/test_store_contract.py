"""What every store promises, on a directory, on moto and on versitygw."""

import hashlib
import multiprocessing
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from a360.errors import ConfigError, MissingError
from a360.storage import Store, StoreSettings, open_store, probe_conditional_put
from a360.storage.content_hash import WHOLE_BYTES, content_windows, hash_file, hash_windows
from tests.servers import S3Server

pytestmark = pytest.mark.integration
WRITERS = 16
ROUNDS = 10


@pytest.fixture(params=["file", "moto", "versitygw"])
def opened(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[str, StoreSettings]:
    """URI and settings of an empty store."""
    if request.param == "file":
        return f"file://{tmp_path}/store", StoreSettings()
    server: S3Server = request.getfixturevalue(request.param)
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    return f"s3://{server.create_bucket()}/some/prefix", server.settings


@pytest.fixture
def store(opened: tuple[str, StoreSettings]) -> Store:
    return open_store(*opened)


def test_what_is_written_is_read_back_and_replaced_whole(store: Store) -> None:
    store.write("v1/plans/a.json", b"old and longer")
    store.write("v1/plans/a.json", b"new")
    store.write("empty", b"")
    assert store.read("v1/plans/a.json") == b"new"
    assert store.read("empty") == b""


@pytest.mark.parametrize(
    ("start", "length", "expected"),
    [
        (None, None, b"0123456789"),
        (None, 3, b"012"),
        (0, 1, b"0"),
        (4, 3, b"456"),
        (4, None, b"456789"),
        (8, 5, b"89"),
        (10, 5, b""),
        (25, 5, b""),
        (3, 0, b""),
        (-4, None, b"6789"),
        (-4, 2, b"67"),
        (-25, None, b"0123456789"),
        (-25, 4, b"0123"),
    ],
)
def test_ranges_are_those_of_a_slice(
    store: Store, start: int | None, length: int | None, expected: bytes
) -> None:
    store.write("digits", b"0123456789")
    assert store.read("digits", start, length) == expected


@pytest.mark.parametrize("start", [0, 5, -5])
def test_a_range_of_an_empty_object_is_empty(store: Store, start: int) -> None:
    store.write("empty", b"")
    assert store.read("empty", start, 5) == b""


@pytest.mark.parametrize("range_", [(None, None), (0, 0), (5, 5), (-5, None)])
def test_a_missing_object_is_a_missing_error(store: Store, range_: tuple[int | None, int | None]) -> None:
    store.write("folder/object", b"")
    for key in ("absent", "folder", "folder/absent"):
        with pytest.raises(MissingError, match=f"no such object: {store.uri}/{key}"):
            store.read(key, *range_)


def test_keys_may_hold_any_name_that_people_give_to_files(store: Store) -> None:
    keys = [
        "ключ/模型 é.json",
        "with space/a+b=c&d?.txt",
        "50%25/#1",
        "c:d@e,f;g'h(i)~!*$",
        "x/.hidden",
        "a..b",
    ]
    for key in keys:
        assert store.put_if_absent(key, key.encode())
    assert [entry.key for entry in store.list()] == sorted(keys)
    assert [store.read(key) for key in keys] == [key.encode() for key in keys]


@pytest.mark.parametrize(
    "key", ["", "/etc/passwd", "../up", "a/../../up", "a//b", "a/", "./a", "a\0b", "a/.a360-tmp-1"]
)
def test_a_key_that_leaves_the_store_is_refused_by_every_verb(store: Store, key: str, tmp_path: Path) -> None:
    verbs: list[Callable[[], object]] = [
        lambda: store.read(key),
        lambda: store.write(key, b""),
        lambda: store.put_if_absent(key, b""),
        lambda: store.delete(key),
        lambda: store.pull_tree([key], tmp_path / "target"),
    ]
    for verb in verbs:
        with pytest.raises(ConfigError, match="key"):
            verb()


def test_a_listing_has_sizes_and_changing_versions_and_is_sorted_by_whole_keys(store: Store) -> None:
    keys = ["a", "a-b", "a.txt", "ab/c", "ab-d", "ab.txt", "ab0", "a_b/c/d", "b/a", "b/b"]
    for size, key in enumerate(keys):
        store.write(f"x/{key}", bytes(size))
    listed = list(store.list("x/"))
    assert [entry.key for entry in listed] == sorted(f"x/{key}" for key in keys)
    assert {entry.key: entry.bytes for entry in listed} == {f"x/{key}": size for size, key in enumerate(keys)}
    assert all(abs(entry.modified - time.time()) < 3600 for entry in listed), "seconds since the epoch"
    before = next(iter(store.list("x/b/a")))
    assert next(iter(store.list("x/b/a"))) == before
    store.write("x/b/a", b"other!")
    assert next(iter(store.list("x/b/a"))).version != before.version


def test_a_prefix_is_the_beginning_of_a_key_and_not_a_folder(store: Store) -> None:
    for key in ("v1/plan", "v1/plans/1", "v1/plans/2", "v2/plans/1"):
        store.write(key, b"")

    def listed(prefix: str) -> list[str]:
        return [entry.key for entry in store.list(prefix)]

    assert listed("v1/plan") == ["v1/plan", "v1/plans/1", "v1/plans/2"]
    assert listed("v1/plans/") == ["v1/plans/1", "v1/plans/2"]
    assert listed("v1/plans/2") == ["v1/plans/2"]
    assert listed("v") == listed("") == ["v1/plan", "v1/plans/1", "v1/plans/2", "v2/plans/1"]
    assert listed("v1/plan/") == listed("v3") == listed("v1/plans/1/x") == []


def test_a_listing_of_more_than_one_page_is_whole(store: Store) -> None:
    keys = [f"v1/commits/model/bench/ckpt_{number:04d}@{number:016x}.json" for number in range(1105)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda key: store.write(key, b"{}"), keys))
    assert [entry.key for entry in store.list("v1/commits/")] == keys


def test_delete_removes_and_forgives_a_missing_object(store: Store) -> None:
    store.write("a/b", b"x")
    store.delete("a/b")
    store.delete("a/b")
    store.delete("never/was/there")
    assert list(store.list()) == []
    assert store.put_if_absent("a/b", b"again")


def test_the_second_put_if_absent_changes_nothing(store: Store) -> None:
    assert store.put_if_absent("commit", b"first")
    assert not store.put_if_absent("commit", b"second")
    assert not store.put_if_absent("commit", b"first")
    assert store.read("commit") == b"first"


def test_the_probe_finds_the_conditional_put_and_leaves_nothing(store: Store) -> None:
    assert probe_conditional_put(store)
    assert list(store.list()) == []


def test_of_many_writers_exactly_one_wins(opened: tuple[str, StoreSettings]) -> None:
    """Sixteen processes on a directory, sixteen clients on a server; bodies of 200 kB that differ."""
    wins = _race_processes(*opened) if opened[0].startswith("file") else _race_threads(*opened)
    store = open_store(*opened)
    for number in range(ROUNDS):
        winners = [writer for writer in range(WRITERS) if wins[writer][number]]
        assert len(winners) == 1, f"round {number}: {winners}"
        assert store.read(f"race/{number}") == _body(winners[0])


def _body(writer: int) -> bytes:
    return bytes([writer]) * 200_000


def _write_rounds(
    uri: str, settings: StoreSettings, writer: int, barrier: Barrier | threading.Barrier
) -> list[bool]:
    store, won = open_store(uri, settings), []
    for number in range(ROUNDS):
        barrier.wait(60)
        won.append(store.put_if_absent(f"race/{number}", _body(writer)))
    return won


def _race_threads(uri: str, settings: StoreSettings) -> list[list[bool]]:
    barrier = threading.Barrier(WRITERS)
    with ThreadPoolExecutor(WRITERS) as pool:
        return list(pool.map(lambda writer: _write_rounds(uri, settings, writer, barrier), range(WRITERS)))


def _race_processes(uri: str, settings: StoreSettings) -> list[list[bool]]:
    context = multiprocessing.get_context("fork")
    barrier, queue = context.Barrier(WRITERS), context.SimpleQueue()

    def run(writer: int) -> None:
        queue.put((writer, _write_rounds(uri, settings, writer, barrier)))

    processes = [context.Process(target=run, args=(writer,)) for writer in range(WRITERS)]
    for process in processes:
        process.start()
    wins: dict[int, list[bool]] = dict(queue.get() for _ in processes)
    for process in processes:
        process.join()
    return [wins[writer] for writer in range(WRITERS)]


def test_pulled_files_are_whole_and_have_their_own_inode(store: Store, tmp_path: Path) -> None:
    contents = {"ckpt/config.json": b"{}", "ckpt/sub/empty": b"", "ckpt/model.bin": bytes(range(256)) * 4096}
    for key, data in contents.items():
        store.write(key, data)
    target = tmp_path / "target"
    assert store.pull_tree(list(contents), target) == sum(map(len, contents.values()))
    pulled = {
        str(path.relative_to(target)): path.read_bytes() for path in target.rglob("*") if path.is_file()
    }
    assert pulled == contents
    (target / "ckpt/config.json").write_bytes(b"changed")
    assert store.read("ckpt/config.json") == b"{}"


def test_an_object_of_several_parts_arrives_as_it_was(store: Store, tmp_path: Path) -> None:
    """More than two transfer parts of 64 MiB, every MiB different."""
    data = b"".join(hashlib.sha256(bytes([number])).digest() * 32768 for number in range(130))
    store.write("big", data)
    assert store.pull_tree(["big"], tmp_path) == len(data)
    assert (tmp_path / "big").read_bytes() == data


def test_a_missing_object_among_pulled_ones_is_named_and_leaves_no_part(store: Store, tmp_path: Path) -> None:
    store.write("a", b"a")
    with pytest.raises(MissingError, match=f"{store.uri}/b"):
        store.pull_tree(["a", "b"], tmp_path / "target")
    assert {path.name for path in (tmp_path / "target").rglob("*")} <= {"a"}


def test_the_content_hash_is_the_same_through_a_store_and_from_a_file(store: Store, tmp_path: Path) -> None:
    data = hashlib.sha256(b"seed").digest() * 10_000
    store.write("weights", data)
    store.pull_tree(["weights"], tmp_path)
    through_store = hash_windows(len(data), lambda start, length: store.read("weights", start, length))
    assert through_store == hash_file(tmp_path / "weights") == hashlib.sha256(data).hexdigest()
    assert len(content_windows(WHOLE_BYTES + 1)) == 16
