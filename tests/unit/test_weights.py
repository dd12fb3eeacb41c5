"""The weight cache over a directory: one pull, verified, repaired after any kill, evicted by last use."""

import multiprocessing.process
from collections.abc import Sequence
from pathlib import Path

import pytest

import a360.storage.content_hash
import a360.weights
from a360.errors import ConfigError, DataError, MissingError
from a360.records import Checkpoint, FullHashes
from a360.storage.file_store import FileStore
from a360.storage.os_errors import DiskFullError
from a360.weights import WeightCache, checkpoint_folder, pull_checkpoint
from tests.weight_files import CountingStore, cached_digests, contents, full_hashes, tree, upload

SHARD = "model-00001-of-00001.safetensors"
MIB = 1 << 20
FORK = multiprocessing.get_context("fork")


@pytest.fixture
def source(tmp_path: Path) -> CountingStore:
    return CountingStore(tmp_path / "checkpoints")


@pytest.fixture
def cache(tmp_path: Path) -> WeightCache:
    return WeightCache(dir=tmp_path / "cache", cap_bytes=100 * MIB)


@pytest.fixture
def small_whole_bytes(monkeypatch: pytest.MonkeyPatch) -> int:
    """Files beyond 3 MiB count as large, so that tests need no 256 MiB."""
    for module in (a360.storage.content_hash, a360.weights):
        monkeypatch.setattr(module, "WHOLE_BYTES", 3 * MIB)
    return 3 * MIB


@pytest.mark.parametrize("folder", ["ckpt_001", "training run/step 1", ""])
def test_a_pull_gives_the_listed_files_with_their_full_hashes(
    folder: str, source: CountingStore, cache: WeightCache
) -> None:
    files = contents("a")
    checkpoint = upload(source, folder, files)
    with pull_checkpoint(checkpoint, source, cache) as pulled:
        assert pulled.dir == cache.dir / checkpoint.digest
        assert tree(pulled.dir) == files
        assert pulled.sha256 == full_hashes(files)
        assert pulled.bytes_pulled == sum(map(len, files.values()))
    assert cached_digests(cache) == {checkpoint.digest}


def test_a_second_pull_transfers_nothing_and_needs_no_source(
    source: CountingStore, cache: WeightCache
) -> None:
    files = contents("a")
    checkpoint = upload(source, "ckpt_001", files)
    pull_checkpoint(checkpoint, source, cache).close()
    for key in [entry.key for entry in source.list()]:
        source.delete(key)
    with pull_checkpoint(checkpoint, source, cache) as pulled:
        assert pulled.bytes_pulled == 0
        assert pulled.sha256 == full_hashes(files)
        assert tree(pulled.dir) == files


def test_a_cached_checkpoint_is_a_copy_and_not_a_link(source: CountingStore, cache: WeightCache) -> None:
    """Trainers overwrite checkpoints in place."""
    checkpoint = upload(source, "ckpt_001", contents("a"))
    with pull_checkpoint(checkpoint, source, cache) as pulled:
        with (source.root / "ckpt_001" / SHARD).open("r+b") as file:
            file.write(b"overwritten")
        assert tree(pulled.dir) == contents("a")


# --- where a checkpoint is ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("store_uri", "uri", "folder"),
    [
        ("s3://bucket/amber", "s3://bucket/amber/ckpt_041", "ckpt_041"),
        ("s3://bucket", "s3://bucket/a/b/", "a/b"),
        ("file:///data/run 1", "file:///data/run 1/step é", "step é"),
        ("file:///data", "file:///data", ""),
        ("file:///data", "file:///data/", ""),
    ],
)
def test_a_checkpoints_folder_is_its_uri_below_the_store(store_uri: str, uri: str, folder: str) -> None:
    assert checkpoint_folder(_checkpoint_at(uri), _Named(store_uri)) == folder


@pytest.mark.parametrize(
    "uri", ["s3://bucket/amber2/ckpt", "s3://bucket", "s3://other/amber/x", "file:///amber/x"]
)
def test_a_checkpoint_elsewhere_is_a_configuration_error(uri: str) -> None:
    with pytest.raises(ConfigError, match=f"at {uri}, expected below s3://bucket/amber"):
        checkpoint_folder(_checkpoint_at(uri), _Named("s3://bucket/amber"))


class _Named(FileStore):
    def __init__(self, uri: str) -> None:
        super().__init__(Path("/nowhere"))
        self.uri = uri


def _checkpoint_at(uri: str) -> Checkpoint:
    return Checkpoint(
        id="ckpt", uri=uri, phase=0, step=0, tokens=None, digest="0" * 64, fingerprint="0" * 16, files=()
    )


# --- bytes that differ --------------------------------------------------------------------------------


def test_bytes_that_differ_twice_are_a_data_error_and_leave_nothing(
    source: CountingStore, cache: WeightCache
) -> None:
    files = contents("a")
    checkpoint = upload(source, "ckpt_001", files)
    changed = bytearray(files[SHARD])
    changed[1000] ^= 1
    source.write(f"ckpt_001/{SHARD}", bytes(changed))
    with pytest.raises(DataError) as caught:
        pull_checkpoint(checkpoint, source, cache)
    assert f"{source.uri}/ckpt_001/{SHARD}" in caught.value.message
    assert checkpoint.files[1].content_hash in caught.value.message
    assert "plan again" in (caught.value.hint or "")
    assert source.pulled.count(f"ckpt_001/{SHARD}") == 2
    assert source.pulled.count("ckpt_001/config.json") == 1
    assert cached_digests(cache) == set()
    source.write(f"ckpt_001/{SHARD}", files[SHARD])
    with pull_checkpoint(checkpoint, source, cache) as pulled:
        assert tree(pulled.dir) == files


@pytest.mark.parametrize("size_bytes", [299_999, 300_001])
def test_a_file_of_another_size_is_a_data_error(
    size_bytes: int, source: CountingStore, cache: WeightCache
) -> None:
    checkpoint = upload(source, "ckpt_001", contents("a"))
    source.write(f"ckpt_001/{SHARD}", contents("a", size_bytes)[SHARD])
    with pytest.raises(DataError, match=f"has {size_bytes:,} bytes .* expected 300,000 bytes"):
        pull_checkpoint(checkpoint, source, cache)


def test_a_transfer_that_damages_bytes_once_is_repeated(source: CountingStore, cache: WeightCache) -> None:
    files = contents("a")
    checkpoint = upload(source, "ckpt_001", files)

    def flip_first_time(pulled: int, target_dir: Path) -> None:
        if pulled == len(files):
            (target_dir / "ckpt_001" / SHARD).write_bytes(b"\0" * 300_000)

    source.damage = flip_first_time
    with pull_checkpoint(checkpoint, source, cache) as pulled:
        assert tree(pulled.dir) == files
        assert pulled.bytes_pulled == sum(map(len, files.values())) + 300_000


def test_a_shard_of_zeros_that_ends_early_is_a_data_error(
    source: CountingStore, cache: WeightCache, small_whole_bytes: int
) -> None:
    """All its windows look alike, whatever its size is."""
    checkpoint = upload(source, "ckpt_001", {SHARD: bytes(4 * MIB)})
    source.write(f"ckpt_001/{SHARD}", bytes(4 * MIB - 1))
    with pytest.raises(DataError, match=r"has 4,194,303 bytes .* expected 4,194,304 bytes"):
        pull_checkpoint(checkpoint, source, cache)


def test_files_that_came_before_the_disk_was_full_count_as_pulled(
    source: CountingStore, cache: WeightCache
) -> None:
    class FullOnce(CountingStore):
        def pull_tree(self, keys: Sequence[str], target_dir: Path) -> int:
            if not self.pulled:
                super().pull_tree(keys[:2], target_dir)
                raise DiskFullError("full")
            return super().pull_tree(keys, target_dir)

    files = contents("a")
    checkpoint = upload(source, "ckpt_001", files)
    full_once = FullOnce(source.root)
    with pull_checkpoint(checkpoint, full_once, cache) as pulled:
        assert pulled.bytes_pulled == sum(map(len, files.values()))
    assert full_once.pulled == [f"ckpt_001/{name}" for name in sorted(files)]


@pytest.mark.parametrize("damaged", [False, True])
def test_what_a_broken_pull_left_is_kept_where_it_fits(
    damaged: bool, source: CountingStore, cache: WeightCache, small_whole_bytes: int
) -> None:
    files = contents("a", 4 * MIB)
    checkpoint = upload(source, "ckpt_001", files)
    source.delete("ckpt_001/tokenizer.json")
    with pytest.raises(MissingError):
        pull_checkpoint(checkpoint, source, cache)
    source.write("ckpt_001/tokenizer.json", files["tokenizer.json"])
    if damaged:
        # What does not fit is pulled at once; a first transfer that goes wrong as well is still forgiven.
        partial = cache.dir / f"{checkpoint.digest}.partial" / "ckpt_001"
        (partial / SHARD).write_bytes(bytes(4 * MIB))
        before = len(source.pulled)

        def damage_first_transfer(pulled: int, target_dir: Path) -> None:
            if source.pulled[before:].count(f"ckpt_001/{SHARD}") == 1:
                (partial / SHARD).write_bytes(bytes(4 * MIB))

        source.damage = damage_first_transfer
    with pull_checkpoint(checkpoint, source, cache) as pulled:
        assert tree(pulled.dir) == files
    assert source.pulled.count(f"ckpt_001/{SHARD}") == (3 if damaged else 1)
    assert source.pulled.count("ckpt_001/tokenizer.json") == 2


def test_a_missing_file_is_named(source: CountingStore, cache: WeightCache) -> None:
    checkpoint = upload(source, "ckpt_001", contents("a"))
    source.delete("ckpt_001/tokenizer.json")
    with pytest.raises(MissingError, match=f"{source.uri}/ckpt_001/tokenizer.json"):
        pull_checkpoint(checkpoint, source, cache)


def test_full_hashes_find_a_change_between_the_windows_of_a_large_file(
    source: CountingStore, cache: WeightCache, small_whole_bytes: int
) -> None:
    files = contents("a", 4 * MIB)
    checkpoint = upload(source, "ckpt_001", files)
    known = FullHashes(fingerprint=checkpoint.fingerprint, sha256=full_hashes(files))
    changed = bytearray(files[SHARD])
    changed[MIB] ^= 1
    source.write(f"ckpt_001/{SHARD}", bytes(changed))
    with pytest.raises(DataError, match=f"expected {known.sha256[SHARD]} of an earlier pull"):
        pull_checkpoint(checkpoint, source, cache, known)
    assert cached_digests(cache) == set()
    with pull_checkpoint(checkpoint, source, cache) as pulled:
        assert pulled.sha256 == full_hashes({**files, SHARD: bytes(changed)}), "nobody knew better"
    with pytest.raises(DataError, match="of an earlier pull"):
        pull_checkpoint(checkpoint, source, cache, known)


def test_a_damaged_copy_is_pulled_again_where_it_is_damaged(
    source: CountingStore, cache: WeightCache
) -> None:
    files = contents("a")
    checkpoint = upload(source, "ckpt_001", files)
    with pull_checkpoint(checkpoint, source, cache) as pulled:
        damaged = bytearray(files[SHARD])
        damaged[-1] ^= 1
        (pulled.dir / SHARD).write_bytes(bytes(damaged))
        (pulled.dir / "tokenizer.json").unlink()
    with pull_checkpoint(checkpoint, source, cache) as pulled:
        assert tree(pulled.dir) == files
        assert pulled.bytes_pulled == 300_000 + 2
    assert cached_digests(cache) == {checkpoint.digest}


def test_a_large_file_of_a_damaged_copy_is_never_kept(
    source: CountingStore, cache: WeightCache, small_whole_bytes: int
) -> None:
    """Its windows may fit while other bytes do not."""
    files = contents("a", 4 * MIB)
    checkpoint = upload(source, "ckpt_001", files)
    with pull_checkpoint(checkpoint, source, cache) as pulled:
        damaged = bytearray(files[SHARD])
        damaged[MIB] ^= 1
        (pulled.dir / SHARD).write_bytes(bytes(damaged))
        (pulled.dir / "config.json").unlink()
    with pull_checkpoint(checkpoint, source, cache) as pulled:
        assert tree(pulled.dir) == files


@pytest.mark.parametrize(
    ("size_bytes", "is_known", "pulled_again"),
    [(300_000, False, False), (4 * MIB, True, False), (4 * MIB, False, True)],
)
def test_another_fingerprint_of_a_digest_is_pulled_unless_its_bytes_are_proven(
    size_bytes: int,
    is_known: bool,
    pulled_again: bool,
    source: CountingStore,
    cache: WeightCache,
    small_whole_bytes: int,
) -> None:
    """The digest covers a large file by windows only."""
    files = contents("a", size_bytes)
    first, second = upload(source, "ckpt_001", files), upload(source, "copy_of_001", files)
    assert first.digest == second.digest
    assert first.fingerprint != second.fingerprint
    known = FullHashes(fingerprint=second.fingerprint, sha256=full_hashes(files)) if is_known else None
    held = pull_checkpoint(first, source, cache)
    if pulled_again:
        held.close()  # else both are used at once
    with pull_checkpoint(second, source, cache, known) as pulled:
        assert pulled.sha256 == full_hashes(files)
        assert (f"copy_of_001/{SHARD}" in source.pulled) == pulled_again
