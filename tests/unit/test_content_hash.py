"""The cheap content hash: which bytes it covers, and that its values never change."""

import hashlib
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from a360.errors import DataError, MissingError
from a360.storage.content_hash import MIB, WHOLE_BYTES, content_windows, full_sha256, hash_file, hash_windows

SHARD_BYTES = 4_999_999_488


def test_a_file_of_up_to_256_mib_is_hashed_whole(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"tokens")
    expected = hashlib.sha256(b"tokens").hexdigest()
    assert hash_file(tmp_path / "file") == full_sha256(tmp_path / "file") == expected
    assert sum(length for _, length in content_windows(WHOLE_BYTES)) == WHOLE_BYTES


@given(st.integers(min_value=0, max_value=WHOLE_BYTES))
def test_the_pieces_of_a_whole_file_join_without_gap(size: int) -> None:
    at = 0
    for start, length in content_windows(size):
        assert start == at
        assert 0 < length <= 64 * MIB
        at += length
    assert at == size


@given(st.integers(min_value=WHOLE_BYTES + 1, max_value=1 << 50))
def test_a_larger_file_is_hashed_by_its_ends_and_fourteen_even_windows(size: int) -> None:
    first, *inner, last = content_windows(size)
    assert first == (0, MIB)
    assert last == (size - MIB, MIB)
    assert [length for _, length in inner] == [64 << 10] * 14
    gaps = [right.start - left.start for left, right in pairwise(inner)]
    assert max(gaps) - min(gaps) <= 1
    assert inner[0].start - first.length >= min(gaps) - 1
    assert inner[-1].start + inner[-1].length <= last.start


def test_the_windows_of_a_shard_are_frozen() -> None:
    """Digests in every inventory follow from these numbers: they are never edited."""
    starts = [start for start, _ in content_windows(SHARD_BYTES)]
    assert starts == [
        0,
        334242065,
        667435554,
        1000629043,
        1333822532,
        1667016021,
        2000209510,
        2333402999,
        2666596488,
        2999789977,
        3332983466,
        3666176955,
        3999370444,
        4332563933,
        4665757422,
        4998950912,
    ]


@pytest.fixture(scope="module")
def large_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """300 MiB with holes, so it takes no room."""
    path = tmp_path_factory.mktemp("large") / "shard"
    with path.open("wb") as file:
        file.truncate(300 * MIB)
        file.seek(5)
        file.write(b"header")
    return path


def test_the_hash_of_a_larger_file_is_frozen(large_file: Path) -> None:
    assert hash_file(large_file) == "d49b43011c9bb4571b5fb28549964387f57984ebe7397044189375595906a9ec"


@pytest.mark.parametrize(
    ("offset", "seen"), [(0, True), (MIB, False), (300 * MIB - 1, True), (299 * MIB - 1, False)]
)
def test_a_byte_of_a_larger_file_counts_within_the_windows_only(
    large_file: Path, offset: int, seen: bool
) -> None:
    before, before_full = hash_file(large_file), full_sha256(large_file)
    with large_file.open("r+b") as file:
        file.seek(offset)
        file.write(b"\1")
    changed, changed_full = hash_file(large_file), full_sha256(large_file)
    with large_file.open("r+b") as file:
        file.seek(offset)
        file.write(b"\0")
    assert (changed != before) == seen
    assert changed_full != before_full
    assert hash_file(large_file) == before


def test_a_file_that_ends_early_is_a_data_error() -> None:
    with pytest.raises(DataError, match="file ends early: 3 bytes at offset 0, expected 10 of 10"):
        hash_windows(10, lambda start, length: b"abc")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    for function in (hash_file, full_sha256):
        with pytest.raises(MissingError, match=str(tmp_path / "absent")):
            function(tmp_path / "absent")
