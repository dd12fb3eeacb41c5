"""Discovery over directories: what is found, what is quarantined, what is read and what is remembered."""

import hashlib
import os
import re
import shutil
import struct
import threading
import time
from pathlib import Path

import pytest

from a360.checkpoints.digest import checkpoint_digest
from a360.checkpoints.discover import discover_checkpoints
from a360.checkpoints.inventory import (
    full_hashes_place,
    inventory_place,
    read_full_hashes,
    read_inventory,
    record_full_hashes,
    record_inventory,
)
from a360.errors import ConfigError, DataError, TransientError
from a360.identity import canonical_json
from a360.records import CheckpointFile, Discovery, ExpectedRange, FullHashes, Inventory, Naming, TokenAxis
from a360.storage.content_hash import WHOLE_BYTES
from a360.storage.file_store import FileStore
from tests.fakes import CountingStore, as_json, checkpoint_files, write_files

NAMING = Naming(
    pattern=r"ckpt_(?P<step>\d+)",
    expected=(ExpectedRange(template="ckpt_{step:03d}", first=0, last=3),),
    tokens=(TokenAxis(tokens_per_step=1000, offset=1),),
    settle_seconds=60,
)
SHARD = "model-00002-of-00002.safetensors"


class Bench:
    """A checkpoint root and a result store in directories, both counting."""

    def __init__(self, path: Path) -> None:
        self.root = path / "root"
        self.source = CountingStore(FileStore(self.root))
        self.store = CountingStore(FileStore(path / "store"))
        self.clock = 0

    def add(self, name: str, seed: int, **changes: bytes) -> None:
        write_files(self.root / name, {**checkpoint_files(seed), **changes})

    def discover(self, naming: Naming = NAMING, later_seconds: float = 3600) -> Discovery:
        self.source.requests.clear()
        self.store.requests.clear()
        return discover_checkpoints(self.source, self.store, "amber", naming, now=time.time() + later_seconds)

    def inventory_documents(self) -> list[str]:
        return [e.key for e in self.store.inner.list("v1/inventory/amber/") if ".sha256." not in e.key]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def reasons(discovery: Discovery) -> dict[str, str]:
    return {item.id: item.reason for item in discovery.quarantined}


def test_complete_checkpoints_are_found_in_order_of_steps(bench: Bench) -> None:
    for step in (10, 2, 1):
        bench.add(f"ckpt_{step}", seed=step)
    found = bench.discover(NAMING.model_copy(update={"expected": ()}))
    assert [(c.id, c.step, c.tokens) for c in found.checkpoints] == [
        ("ckpt_1", 1, 2000), ("ckpt_2", 2, 3000), ("ckpt_10", 10, 11_000),
    ]  # fmt: skip
    assert found.quarantined == ()
    assert len({c.digest for c in found.checkpoints}) == 3
    assert found.checkpoints[0].uri == f"file://{bench.root}/ckpt_1"


def test_one_bad_checkpoint_stops_nobody(bench: Bench) -> None:
    for step in (0, 1, 2):
        bench.add(f"ckpt_{step}", seed=step)
    bench.add("ckpt_002", seed=2)
    (bench.root / "ckpt_1" / SHARD).write_bytes(b"\0" * 100)
    (bench.root / "notes").mkdir()
    (bench.root / "notes" / "config.json").write_text("{}")
    found = bench.discover()
    assert [c.id for c in found.checkpoints] == ["ckpt_000", "ckpt_002"]
    assert [(q.id, q.state, q.step, q.tokens) for q in found.quarantined] == [
        ("ckpt_001", "quarantined", 1, 2000),
        ("ckpt_2", "duplicate", 2, 3000),
        ("ckpt_003", "not uploaded", 3, 4000),
    ]
    assert reasons(found)["ckpt_001"] == f"{SHARD} is filled with zeros, expected a safetensors file"
    assert reasons(found)["ckpt_2"].startswith("same step as ckpt_002")


def test_a_checkpoint_that_is_still_written_is_quarantined_without_a_read(bench: Bench) -> None:
    bench.add("ckpt_0", seed=0)
    found = bench.discover(later_seconds=10)
    assert "still changing" in reasons(found)["ckpt_000"]
    assert not any(request.verb == "read" for request in bench.source.requests)
    assert bench.discover(later_seconds=61).checkpoints


def test_a_second_discovery_reads_nothing_below_the_root(bench: Bench) -> None:
    bench.add("ckpt_0", seed=0)
    bench.add("ckpt_1", seed=1)
    first = bench.discover()
    assert bench.source.bytes_read(".safetensors") > 0
    second = bench.discover()
    assert second == first
    assert [request.verb for request in bench.source.requests] == ["list"]
    assert sorted(request.verb for request in bench.store.requests) == ["list", "read", "read"]


def test_a_known_checkpoint_does_not_have_to_settle_again(bench: Bench) -> None:
    bench.add("ckpt_0", seed=0)
    bench.discover()
    assert bench.discover(later_seconds=1).checkpoints


def test_a_quarantine_is_not_remembered(bench: Bench) -> None:
    bench.add("ckpt_0", seed=0)
    whole = (bench.root / "ckpt_0" / SHARD).read_bytes()
    (bench.root / "ckpt_0" / SHARD).write_bytes(whole[:-1])
    assert "is truncated" in reasons(bench.discover())["ckpt_000"]
    assert bench.inventory_documents() == []
    (bench.root / "ckpt_0" / SHARD).write_bytes(whole)
    assert [c.id for c in bench.discover().checkpoints] == ["ckpt_000"]


def test_another_readme_keeps_the_digest_and_another_byte_of_weights_does_not(bench: Bench) -> None:
    bench.add("ckpt_0", seed=0)
    (before,) = bench.discover().checkpoints
    (bench.root / "ckpt_0" / "README.md").write_text("# edited")
    assert bench.discover().checkpoints == (before,)
    shard = bench.root / "ckpt_0" / SHARD
    data = bytearray(shard.read_bytes())
    data[-1] ^= 1
    shard.write_bytes(data)
    os.utime(shard, (1, 1))  # a clock may stand still for some milliseconds
    (after,) = bench.discover().checkpoints
    assert after.digest != before.digest
    assert {a.name for a, b in zip(after.files, before.files, strict=True) if a != b} == {SHARD}


def test_the_digest_is_that_of_names_sizes_and_contents_alone(tmp_path: Path) -> None:
    digests: set[str] = set()
    for name in ("here", "there"):
        bench = Bench(tmp_path / name)
        bench.add("ckpt_0", seed=0)
        os.utime(bench.root / "ckpt_0" / "config.json", (1, len(digests)))
        (found,) = bench.discover().checkpoints
        digests.add(found.digest)
    assert len(digests) == 1


def test_the_digest_is_frozen() -> None:
    files = [
        CheckpointFile(name="tokenizer.json", bytes=20, content_hash="b" * 64),
        CheckpointFile(name="config.json", bytes=10, content_hash="a" * 64),
    ]
    text = f'[["config.json",10,"{"a" * 64}"],["tokenizer.json",20,"{"b" * 64}"]]'
    assert checkpoint_digest(files) == hashlib.sha256(text.encode()).hexdigest()
    assert checkpoint_digest(files) == "82ddcc2d5634bcd0bcbd6f43c3710a2613169bb2cfd954f844e118ad6ee03fe9"


def test_a_content_hash_is_the_sha256_of_the_whole_file(bench: Bench) -> None:
    bench.add("ckpt_0", seed=0)
    (found,) = bench.discover().checkpoints
    assert {f.name: f.content_hash for f in found.files} == whole_hashes(bench.root / "ckpt_0", found.files)


def test_the_same_content_in_two_folders_is_found_twice(bench: Bench) -> None:
    bench.add("ckpt_0", seed=0)
    bench.add("ckpt_1", seed=0)
    first, second = bench.discover().checkpoints
    assert first.digest == second.digest
    assert first.fingerprint != second.fingerprint


def test_the_inventory_keeps_the_proof(bench: Bench) -> None:
    bench.add("ckpt_0", seed=0)
    (found,) = bench.discover().checkpoints
    stored = read_inventory(bench.store, "amber", found.fingerprint)
    assert bench.inventory_documents() == [inventory_place("amber", found.fingerprint)]
    assert (stored.digest, stored.files, stored.vocab_size) == (found.digest, found.files, 16)
    assert len(stored.proof) == 3


def test_progress_counts_to_the_end(bench: Bench) -> None:
    bench.add("ckpt_0", seed=0)
    bench.add("ckpt_1", seed=1)
    seen: list[tuple[int, int]] = []
    discover_checkpoints(
        bench.source, bench.store, "amber", NAMING, now=time.time(), on_progress=lambda *n: seen.append(n)
    )
    assert seen == [(1, 2), (2, 2)]


# --- roots without checkpoints ------------------------------------------------------------------------


def test_an_empty_root_is_an_error_that_says_so(bench: Bench) -> None:
    with pytest.raises(
        ConfigError, match=f"no checkpoint below file://{bench.root}: it is empty; expected folders"
    ):
        bench.discover()


def test_a_root_without_a_match_shows_what_is_there(bench: Bench) -> None:
    for name in "abcd":
        bench.add(name, seed=0)
    with pytest.raises(ConfigError, match=r"found 4 names such as 'a', 'b', 'c'; .*ckpt_\(\?P<step>"):
        bench.discover()


def test_the_root_of_a_single_checkpoint_gets_a_hint(bench: Bench) -> None:
    bench.add(".", seed=0)
    with pytest.raises(ConfigError) as caught:
        bench.discover()
    assert caught.value.hint == "this looks like one checkpoint; give the folder above it"


# --- things that happen meanwhile ---------------------------------------------------------------------


class Interfering(CountingStore):
    """Calls ``after_read(key)`` when a key has been read."""

    def read(self, key: str, start: int | None = None, length: int | None = None) -> bytes:
        data = super().read(key, start, length)
        self.after_read(key)
        return data

    def after_read(self, key: str) -> None:
        raise NotImplementedError


def test_a_file_replaced_while_it_is_read_is_still_changing(bench: Bench) -> None:
    class Replacing(Interfering):
        def after_read(self, key: str) -> None:
            os.utime(bench.root / "ckpt_0" / "config.json", (1, 1))

    bench.add("ckpt_0", seed=0)
    bench.source = Replacing(FileStore(bench.root))
    assert reasons(bench.discover())["ckpt_000"].startswith("still changing: its files were replaced")
    assert bench.inventory_documents() == []


def test_a_file_deleted_while_it_is_read_is_quarantined(bench: Bench) -> None:
    class Deleting(Interfering):
        def after_read(self, key: str) -> None:
            (bench.root / "ckpt_0" / "tokenizer.json").unlink(missing_ok=True)

    bench.add("ckpt_0", seed=0)
    bench.source = Deleting(FileStore(bench.root))
    assert "ckpt_0/tokenizer.json" in reasons(bench.discover())["ckpt_000"]


def test_errors_of_the_store_are_no_quarantine(bench: Bench) -> None:
    class Failing(Interfering):
        def after_read(self, key: str) -> None:
            raise TransientError("throttled")

    bench.add("ckpt_0", seed=0)
    bench.source = Failing(FileStore(bench.root))
    with pytest.raises(TransientError, match="throttled"):
        bench.discover()


def test_two_discoveries_at_once_agree(bench: Bench) -> None:
    for step in range(4):
        bench.add(f"ckpt_{step}", seed=step)
    found: list[Discovery] = []
    start = threading.Barrier(4)

    def discover() -> None:
        start.wait()
        found.append(discover_checkpoints(bench.source, bench.store, "amber", NAMING, now=time.time() + 3600))

    threads = [threading.Thread(target=discover) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert all(discovery == found[0] for discovery in found)
    assert len(bench.inventory_documents()) == 4


def test_a_loser_that_disagrees_on_the_digest_quarantines_the_checkpoint(bench: Bench) -> None:
    class Slow(CountingStore):
        """Another process writes its document between the listing and ours."""

        def put_if_absent(self, key: str, data: bytes) -> bool:
            stored = Inventory.model_validate_json(data).model_copy(update={"digest": "f" * 64})
            self.inner.put_if_absent(key, canonical_json(stored).encode())
            return super().put_if_absent(key, data)

    bench.add("ckpt_0", seed=0)
    bench.store = Slow(bench.store.inner)
    found = bench.discover()
    assert found.checkpoints == ()
    assert re.match(
        "two processes disagree on one checkpoint: .* has digest ffff", reasons(found)["ckpt_000"]
    )


# --- a new fingerprint with an old digest -------------------------------------------------------------


def add_large(bench: Bench, name: str, middle: bytes = b"") -> int:
    """A checkpoint with a shard beyond 256 MiB, sparse on disk; ``middle`` lies where no window looks."""
    bench.add(name, seed=0)
    tensor_bytes = WHOLE_BYTES + (1 << 20)
    tensor = {"dtype": "F32", "shape": [tensor_bytes // 4], "data_offsets": [0, tensor_bytes]}
    header = as_json({"lm_head.weight": tensor})
    with (bench.root / name / SHARD).open("wb") as file:
        file.write(struct.pack("<Q", len(header)) + header + b"\1" * 4096)
        file.truncate(8 + len(header) + tensor_bytes)
        file.seek(10 << 20)
        file.write(middle)
    bench.clock += 1
    os.utime(bench.root / name / SHARD, (bench.clock, bench.clock))
    index = {"weight_map": {"lm_head.weight": SHARD}}
    write_files(bench.root / name, {"model.safetensors.index.json": as_json(index)})
    return 8 + len(header) + tensor_bytes


def whole_hashes(folder: Path, files: tuple[CheckpointFile, ...]) -> dict[str, str]:
    return {file.name: hashlib.sha256((folder / file.name).read_bytes()).hexdigest() for file in files}


def test_of_a_large_shard_only_windows_are_read(bench: Bench) -> None:
    size_bytes = add_large(bench, "ckpt_0")
    assert bench.discover().checkpoints
    assert bench.source.bytes_read(SHARD) < 4 << 20 < size_bytes


@pytest.fixture
def pulled(bench: Bench) -> tuple[Bench, str]:
    """A large checkpoint whose full hashes are known, and its fingerprint."""
    add_large(bench, "ckpt_0")
    (found,) = bench.discover().checkpoints
    hashes = whole_hashes(bench.root / "ckpt_0", found.files)
    record_full_hashes(bench.store, "amber", FullHashes(fingerprint=found.fingerprint, sha256=hashes))
    return bench, found.fingerprint


def test_a_copy_of_a_pulled_checkpoint_is_the_same_after_a_full_comparison(pulled: tuple[Bench, str]) -> None:
    bench, fingerprint = pulled
    size_bytes = add_large(bench, "ckpt_0")
    (again,) = bench.discover().checkpoints
    assert again.fingerprint != fingerprint
    assert bench.source.bytes_read(SHARD) > size_bytes
    old, new = (read_full_hashes(bench.store, "amber", f) for f in (fingerprint, again.fingerprint))
    assert old
    assert new
    assert new.sha256 == old.sha256


def test_a_silent_replacement_between_the_windows_is_quarantined(pulled: tuple[Bench, str]) -> None:
    bench, fingerprint = pulled
    add_large(bench, "ckpt_0", middle=b"\1")
    found = bench.discover()
    assert found.checkpoints == ()
    assert reasons(found)["ckpt_000"].startswith(f"silently replaced: {SHARD} has sha256")
    assert fingerprint in reasons(found)["ckpt_000"]
    assert len(bench.inventory_documents()) == 1


def test_what_nobody_ever_pulled_may_be_replaced(bench: Bench) -> None:
    add_large(bench, "ckpt_0")
    (before,) = bench.discover().checkpoints
    add_large(bench, "ckpt_0", middle=b"\1")
    (after,) = bench.discover().checkpoints
    assert (after.digest, after.fingerprint == before.fingerprint) == (before.digest, False)
    assert read_full_hashes(bench.store, "amber", after.fingerprint) is None


# --- documents ----------------------------------------------------------------------------------------

OTHER = Inventory(fingerprint="1" * 16, digest="a" * 64, files=(), proof=())
DOCUMENT = Inventory(fingerprint="0" * 16, digest="a" * 64, files=(), proof=())


def test_a_winner_with_the_same_digest_is_taken_over(bench: Bench) -> None:
    first = DOCUMENT.model_copy(update={"proof": ("by another version",)})
    assert record_inventory(bench.store, "amber", first) == first
    assert record_inventory(bench.store, "amber", DOCUMENT) == first


def test_full_hashes_may_be_stored_again_but_not_changed(bench: Bench) -> None:
    hashes = FullHashes(fingerprint="0" * 16, sha256={"a": "1", "b": "2"})
    assert read_full_hashes(bench.store, "amber", "0" * 16) is None
    record_full_hashes(bench.store, "amber", hashes)
    record_full_hashes(bench.store, "amber", hashes)
    with pytest.raises(DataError, match="content of b differs from what"):
        record_full_hashes(bench.store, "amber", hashes.model_copy(update={"sha256": {"a": "1", "b": "3"}}))
    assert read_full_hashes(bench.store, "amber", "0" * 16) == hashes


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (b"{", "is no Inventory document"),
        (b'{"fingerprint": 7}', "is no Inventory document: fingerprint: Input should be a valid string"),
        (canonical_json(OTHER).encode(), "speaks of fingerprint 1111"),
    ],
)  # fmt: skip
def test_a_malformed_inventory_document_is_named(bench: Bench, text: bytes, complaint: str) -> None:
    bench.store.write(inventory_place("amber", "0" * 16), text)
    with pytest.raises(DataError, match=complaint) as caught:
        read_inventory(bench.store, "amber", "0" * 16)
    assert inventory_place("amber", "0" * 16) in caught.value.message


@pytest.mark.parametrize("moved", [False, True])
def test_a_damaged_inventory_document_stops_its_own_checkpoint_alone(bench: Bench, moved: bool) -> None:
    for step in (0, 1, 2):
        bench.add(f"ckpt_{step}", seed=step)
    fingerprint = bench.discover().checkpoints[1].fingerprint
    place = inventory_place("amber", fingerprint)
    bench.store.write(place, b"{")
    bench.add("ckpt_3", seed=3)  # a new fingerprint: every document of the model is read
    if moved:
        shutil.rmtree(bench.root / "ckpt_1")
    found = bench.discover()
    assert [c.id for c in found.checkpoints] == ["ckpt_000", "ckpt_002", "ckpt_003"]
    assert (place in reasons(found)["ckpt_001"]) is not moved


def test_places_are_those_of_the_design() -> None:
    assert inventory_place("amber", "f" * 16) == "v1/inventory/amber/ffffffffffffffff.json"
    assert full_hashes_place("amber", "f" * 16) == "v1/inventory/amber/ffffffffffffffff.sha256.json"


def test_a_listing_that_is_not_an_inventory_is_not_read(bench: Bench) -> None:
    bench.add("ckpt_0", seed=0)
    bench.store.write("v1/inventory/amber/notes.txt", b"hello")
    bench.store.write("v1/inventory/amber-2/0000000000000000.json", b"{}")
    assert bench.discover().checkpoints
    assert {r.key for r in bench.store.requests if r.verb == "read"} == set()
