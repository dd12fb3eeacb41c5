"""Mirror -> archive -> mirror elsewhere: the same bytes, or a named defect. Also without any network."""

import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from a360.benchmarks import CATALOGUE
from a360.datasets.bundle import write_bundle
from a360.datasets.mirror import MANIFEST_NAME, build_manifest, read_manifest, write_manifest
from a360.datasets.unbundle import read_bundle
from a360.datasets.verify import verify_mirror
from a360.demo.rows import write_mirror
from a360.demo.text import read_documents, split_documents
from a360.errors import ConfigError, DataError, MissingError
from a360.storage import open_store
from tests.servers import S3Server
from tests.tiny_model import write_checkpoint

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
FILES = {
    "allenai/ai2_arc/README.md": b"card\n",
    "allenai/ai2_arc/ARC-Challenge/test.jsonl": b'{"text": "challenge"}\n' * 70_000,
    "allenai/ai2_arc/ARC-Easy/test.jsonl": b'{"text": "easy"}\n',
    "cais/mmlu/" + "a-long-name/" * 20 + "test.jsonl": b"",
}
ARC = "allenai/ai2_arc/ARC-Challenge"


@pytest.fixture
def mirror(tmp_path: Path) -> Path:
    folder = tmp_path / "mirror"
    for path, content in FILES.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    revisions = {"allenai/ai2_arc": "a" * 40, "cais/mmlu": "b" * 40}
    write_manifest(folder, build_manifest(folder, stand_in=False, revisions=revisions))
    return folder


def tree(folder: Path) -> dict[str, bytes]:
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def bundle(mirror: Path, name: str = "bundle.tar", data: Sequence[str] | None = None) -> Path:
    archive = mirror.parent / name
    write_bundle(open_store(str(mirror)), archive, data)
    return archive


def a360(*words: object, cwd: Path, prefix: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
    command = [*prefix, sys.executable, "-P", "-m", "a360", *map(str, words)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)


# --- there and back ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["bundle.tar", "bundle.tar.zst"])
def test_a_bundle_unpacks_to_the_same_mirror(mirror: Path, tmp_path: Path, name: str) -> None:
    read_bundle(bundle(mirror, name), str(tmp_path / "new" / "mirror"))
    assert tree(tmp_path / "new" / "mirror") == tree(mirror)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["mirror"]
    assert (tmp_path / "new" / "mirror").stat().st_mode & 0o777 == 0o755


def test_the_same_mirror_gives_the_same_archive_whoever_packs_it_and_when(
    mirror: Path, tmp_path: Path
) -> None:
    first = bundle(mirror, "first.tar.zst").read_bytes()
    copy = tmp_path / "copy"
    shutil.copytree(mirror, copy, copy_function=shutil.copyfile)
    (copy / "allenai/ai2_arc/README.md").chmod(0o600)
    assert bundle(copy, "second.tar.zst").read_bytes() == first
    assert len(first) < 20_000


def test_other_tools_read_the_archive_and_meet_the_manifest_first(mirror: Path) -> None:
    with tarfile.open(bundle(mirror)) as tar:
        assert tar.getnames() == [MANIFEST_NAME, *sorted(FILES)]
        assert {(m.mtime, m.uid, m.uname, m.mode) for m in tar.getmembers()} == {(0, 0, "", 0o644)}


def test_a_bundle_of_some_data_has_these_files_and_a_manifest_of_them(mirror: Path, tmp_path: Path) -> None:
    read_bundle(bundle(mirror, data=[ARC]), str(tmp_path / "new"))
    found = read_manifest(tmp_path / "new")
    assert sorted(tree(tmp_path / "new")) == [f"{ARC}/test.jsonl", "allenai/ai2_arc/README.md", MANIFEST_NAME]
    assert found.repositories.keys() == {"allenai/ai2_arc"}
    assert found.repositories["allenai/ai2_arc"].revision == "a" * 40
    assert verify_mirror(open_store(str(tmp_path / "new"))).defects == ()
    with pytest.raises(MissingError, match="no data openai/gsm8k"):
        bundle(mirror, "x.tar", ["openai/gsm8k"])


def test_a_mirror_goes_through_a_bundle_from_bucket_to_bucket(
    mirror: Path, tmp_path: Path, moto: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in moto.environment.items():
        monkeypatch.setenv(name, value)
    uris = [f"s3://{moto.create_bucket()}/mirror" for _ in range(2)]
    read_bundle(bundle(mirror), uris[0])
    write_bundle(open_store(uris[0]), tmp_path / "from-s3.tar")
    assert (tmp_path / "from-s3.tar").read_bytes() == bundle(mirror).read_bytes()
    read_bundle(tmp_path / "from-s3.tar", uris[1])
    store = open_store(uris[1])
    assert {entry.key: store.read(entry.key) for entry in store.list("")} == tree(mirror)
    with pytest.raises(ConfigError, match="is not empty"):
        read_bundle(tmp_path / "from-s3.tar", uris[1])


# --- bad archives ------------------------------------------------------------------------------------


Members = Sequence[tuple[tarfile.TarInfo, bytes]]


def rewrite(archive: Path, change: Callable[[tarfile.TarInfo, bytes], Members]) -> Path:
    """The archive with other members in the place of each of its own."""
    target = archive.with_name("rewritten.tar")
    with tarfile.open(archive) as old, tarfile.open(target, "w") as new:
        for member in old.getmembers():
            file = old.extractfile(member)
            for other, content in change(member, file.read() if file else b""):
                other.size = len(content) if other.isreg() else 0
                new.addfile(other, io.BytesIO(content))
    return target


def refused(archive: Path, words: str) -> None:
    """The archive is refused in these words, and nothing is left behind."""
    before = sorted(archive.parent.iterdir())
    with pytest.raises(DataError, match=words) as caught:
        read_bundle(archive, str(archive.parent / "unpacked"))
    assert str(archive) in caught.value.message
    assert sorted(archive.parent.iterdir()) == before


@pytest.mark.parametrize("name", ["bundle.tar", "bundle.tar.zst"])
@pytest.mark.parametrize("part", [0.0, 0.1, 0.5, 0.999])
def test_an_archive_that_was_cut_off_is_refused(mirror: Path, name: str, part: float) -> None:
    archive = bundle(mirror, name)
    content = archive.read_bytes()
    # The last blocks of a tar are empty: cut within what says something.
    size = len(content) - 40_000 * (name == "bundle.tar")
    archive.write_bytes(content[: int(part * size)])
    refused(archive, "is no whole tar archive|is no bundle|ends before")


def test_an_archive_that_ends_between_two_members_is_refused(mirror: Path) -> None:
    refused(
        rewrite(bundle(mirror), lambda member, content: [] if "cais" in member.name else [(member, content)]),
        "ends before cais/mmlu/.*: 1 files are missing",
    )


def test_one_changed_byte_is_refused_by_its_hash(mirror: Path) -> None:
    archive = bundle(mirror)
    archive.write_bytes(archive.read_bytes().replace(b"challenge", b"challengf", 1))
    refused(archive, rf"has {ARC}/test.jsonl with sha256 \w+, expected \w+")


def test_a_changed_byte_of_a_compressed_archive_is_refused(mirror: Path) -> None:
    archive = bundle(mirror, "bundle.tar.zst")
    content = bytearray(archive.read_bytes())
    content[len(content) // 2] ^= 0xFF
    archive.write_bytes(content)
    refused(archive, "is no whole tar archive|with sha256|does not name|ends before|has a manifest")


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    found = tarfile.TarInfo(name)
    found.type, found.linkname = kind, link
    return found


@pytest.mark.parametrize(
    ("stranger", "words"),
    [
        (member("../evil"), r"a member '\.\./evil' that its manifest does not name"),
        (member("/tmp/evil"), "a member '/tmp/evil' that its manifest does not name"),
        (member("cais/mmlu/more.jsonl"), "a member 'cais/mmlu/more.jsonl' that its manifest does not name"),
        (member("allenai/ai2_arc/README.md"), "a member 'allenai/ai2_arc/README.md' .* or twice"),
    ],
)
def test_a_member_that_the_manifest_does_not_name_is_refused(
    mirror: Path, stranger: tarfile.TarInfo, words: str
) -> None:
    def add(found: tarfile.TarInfo, content: bytes) -> list[tuple[tarfile.TarInfo, bytes]]:
        more = [(stranger, b"evil")] if found.name == "allenai/ai2_arc/README.md" else []
        return [(found, content), *more]

    refused(rewrite(bundle(mirror), add), words)
    assert not Path("/tmp/evil").exists()
    assert not (mirror.parent / "evil").exists()


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE])
def test_links_and_devices_are_refused_under_the_right_name_too(mirror: Path, kind: bytes) -> None:
    name = "allenai/ai2_arc/README.md"

    def swap(found: tarfile.TarInfo, content: bytes) -> list[tuple[tarfile.TarInfo, bytes]]:
        return [(member(name, kind, "/etc/passwd"), b"")] if found.name == name else [(found, content)]

    refused(rewrite(bundle(mirror), swap), f"has {name} as something else than a plain file")


@pytest.mark.parametrize(
    ("manifest", "words"),
    [
        (b"<html>", "has a manifest that is none: document"),
        (b'{"stand_in": false, "repositories": {"../..": {"revision": "r", "files": {"etc/x": '
         b'{"bytes": 1, "sha256": "a"}}}}}', "has a manifest that is none: key '../../etc/x'"),
    ],
)  # fmt: skip
def test_a_manifest_that_is_none_or_leaves_the_target_is_refused(
    mirror: Path, manifest: bytes, words: str
) -> None:
    def swap(found: tarfile.TarInfo, content: bytes) -> list[tuple[tarfile.TarInfo, bytes]]:
        return [(found, manifest if found.name == MANIFEST_NAME else content)]

    refused(rewrite(bundle(mirror), swap), words)


def test_what_is_no_bundle_is_refused(mirror: Path, tmp_path: Path) -> None:
    (tmp_path / "text.tar").write_bytes(b"no tar at all" * 1000)
    refused(tmp_path / "text.tar", "is no whole tar archive")
    refused(
        rewrite(bundle(mirror), lambda m, content: [] if m.name == MANIFEST_NAME else [(m, content)]),
        f"its first member is '{ARC}/test.jsonl', expected {MANIFEST_NAME}",
    )
    with pytest.raises(MissingError, match=r"nothing\.tar"):
        read_bundle(tmp_path / "nothing.tar", str(tmp_path / "unpacked"))


def test_a_damaged_mirror_makes_no_bundle(mirror: Path, tmp_path: Path) -> None:
    readme = mirror / "allenai/ai2_arc/README.md"
    readme.write_bytes(b"cart\n")
    with pytest.raises(DataError, match=r"README\.md has 5 bytes with another sha256"):
        bundle(mirror)
    readme.write_bytes(b"car\n")
    with pytest.raises(DataError, match=r"README\.md ends at 4 of 5 bytes"):
        bundle(mirror)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mirror"]


def test_a_target_with_something_in_it_and_a_name_without_ending_are_refused(
    mirror: Path, tmp_path: Path
) -> None:
    archive = bundle(mirror)
    with pytest.raises(ConfigError, match="is not empty"):
        read_bundle(archive, str(mirror))
    with pytest.raises(ConfigError, match=r"expected one that ends in \.tar or \.tar\.zst"):
        bundle(mirror, "bundle.zip")
    (tmp_path / "empty").mkdir()
    read_bundle(archive, str(tmp_path / "empty"))
    assert tree(tmp_path / "empty") == tree(mirror)


# --- verify ------------------------------------------------------------------------------------------


def test_verify_names_every_defect_and_ends_with_3(mirror: Path, tmp_path: Path) -> None:
    whole = a360("data", "verify", mirror, cwd=tmp_path)
    assert (whole.returncode, whole.stdout) == (0, "4 files, 1.5 MB, 0 defects\n"), whole.stderr
    (mirror / "allenai/ai2_arc/README.md").write_bytes(b"cart\n")
    (mirror / ARC / "test.jsonl").unlink()
    easy = mirror / "allenai/ai2_arc/ARC-Easy/test.jsonl"
    easy.write_bytes(easy.read_bytes() + b"x")
    (mirror / "cais/mmlu/more.parquet").write_bytes(b"rows")
    done = a360("data", "verify", mirror, cwd=tmp_path)
    assert done.returncode == 3
    assert [line.split()[0] for line in done.stdout.splitlines()] == [
        f"{ARC}/test.jsonl",
        "allenai/ai2_arc/ARC-Easy/test.jsonl",
        "allenai/ai2_arc/README.md",
        "cais/mmlu/more.parquet",
        "4",
    ]
    assert f"{ARC}/test.jsonl is absent" in done.stdout
    assert "more.parquet is not in the manifest" in done.stdout
    assert "has more than 17 bytes" in done.stdout
    assert "has 5 bytes with sha256" in done.stdout
    assert "is damaged: 4 defects" in done.stderr


def test_verify_of_no_mirror_is_a_config_error(tmp_path: Path) -> None:
    done = a360("data", "verify", tmp_path / "nowhere", cwd=tmp_path)
    assert (done.returncode, "is not a data mirror" in done.stderr) == (2, True)


# --- a machine without a network ---------------------------------------------------------------------

LOOPBACK_UP = """
import fcntl, os, socket, struct, sys
flags = struct.pack("16sh14x", b"lo", 1)  # struct ifreq: IFF_UP
fcntl.ioctl(socket.socket(), 0x8914, flags)  # SIOCSIFFLAGS
os.execvp(sys.argv[1], sys.argv[1:])
"""
REACH = """
import socket
server = socket.create_server(("127.0.0.1", 0))
socket.create_connection(server.getsockname()).close()
try:
    socket.create_connection(("192.0.2.1", 80), timeout=5)
except OSError as error:
    print(error.strerror)
"""


def no_network() -> list[str]:
    """A prefix that runs a command in a network namespace of its own, whose loopback interface is up.

    The test is skipped only where this machine gives nobody such a namespace.
    """
    unshare = shutil.which("unshare") or pytest.skip("unshare (util-linux) is not installed")
    refusals = []
    for flags in (["--net"], ["--net", "--map-root-user"]):
        made = subprocess.run([unshare, *flags, "true"], capture_output=True, text=True)
        if made.returncode == 0:
            return [unshare, *flags, sys.executable, "-c", LOOPBACK_UP]
        refusals.append(made.stderr.strip())
    pytest.skip(f"neither root nor a user namespace gets a network of its own: {'; '.join(refusals)}")


def alone_suite(folder: Path, benchmarks: Sequence[str]) -> Path:
    suite = {
        "name": "alone",
        "model": {
            "name": "tiny", "root": "checkpoints", "dtype": "float32",
            "naming": {"pattern": r"step_(?P<step>\d+)", "settle_seconds": 0},
        },
        "store": {"uri": "store"},
        "data": {"mirror": "mirror"},
        "benchmarks": list(benchmarks),
        "run": {"device": "cpu", "threads": 1, "batch_size": 16, "pairs_per_group": "all"},
    }  # fmt: skip
    folder.mkdir(exist_ok=True)
    (folder / "suite.yaml").write_text(json.dumps(suite))
    return folder


@pytest.fixture(scope="module")
def demo_mirror(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo") / "mirror"
    write_mirror(folder, split_documents(read_documents())[1])
    return folder


def drop_repository(mirror: Path, name: str) -> None:
    """Makes a mirror what it would be without one of its repositories."""
    revisions = {each: found.revision for each, found in read_manifest(mirror).repositories.items()}
    del revisions[name]
    shutil.rmtree(mirror / name)
    (mirror / MANIFEST_NAME).unlink()
    write_manifest(mirror, build_manifest(mirror, stand_in=True, revisions=revisions))


def test_a_bundle_of_a_suite_has_the_data_of_its_benchmarks_only(demo_mirror: Path, tmp_path: Path) -> None:
    there = alone_suite(tmp_path / "there", ["demo-boolq"])
    for words in (
        ["data", "bundle", demo_mirror, "demo.tar.zst", "--suite", "suite.yaml"],
        ["data", "unbundle", "demo.tar.zst", "mirror"],
        ["data", "verify", "mirror"],
    ):
        done = a360(*words, cwd=there)
        assert done.returncode == 0, done.stderr[-3000:]
    assert sorted(path.name for path in (there / "mirror").iterdir()) == ["aps", MANIFEST_NAME]
    assert [path.name for path in (there / "mirror" / "aps").iterdir()] == ["super_glue"]


@pytest.mark.timeout(900)
def test_a_bundle_is_all_that_a_machine_without_network_needs_for_every_demo_benchmark(
    demo_mirror: Path, tmp_path: Path
) -> None:
    prefix = no_network()
    reached = subprocess.run([*prefix, sys.executable, "-c", REACH], capture_output=True, text=True)
    assert (reached.returncode, reached.stdout) == (0, "Network is unreachable\n"), reached.stderr
    benchmarks = [row.id for row in CATALOGUE.values() if row.stand_in and row.judge != "needed"]
    there = alone_suite(tmp_path / "there", benchmarks)
    write_checkpoint(there / "checkpoints" / "step_1", seed=1)
    made = tmp_path / "made" / "mirror"
    shutil.copytree(demo_mirror, made)
    drop_repository(made, "a360/mt-bench")  # its benchmark needs a judge, which is a service of somebody's
    packed = a360("data", "bundle", made, there / "demo.tar.zst", "--suite", "suite.yaml", cwd=there)
    assert packed.returncode == 0, packed.stderr
    files = tree(made)
    shutil.rmtree(made.parent)
    for words in (
        ["data", "unbundle", "demo.tar.zst", "mirror"],
        ["data", "verify", "mirror"],
        ["run", "suite.yaml"],
    ):
        done = a360(*words, cwd=there, prefix=prefix)
        assert done.returncode == 0, done.stderr[-3000:]
    assert tree(there / "mirror") == files
    commits = (there / "store" / "v1" / "commits").rglob("*.json")
    assert sorted(path.parent.name for path in commits) == sorted(benchmarks)
    assert all(f'"id":"{name}"' in (there / "report" / "report.html").read_text() for name in benchmarks)
