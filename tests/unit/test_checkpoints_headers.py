"""Headers and end records: what the real writers produce passes, whatever breaks it does not."""

import io
import json
import re
import struct
import zipfile
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load, save

from a360.checkpoints.safetensors_header import MAX_HEADER_BYTES, read_header
from a360.checkpoints.torch_zip import check_torch_zip
from a360.errors import DataError

GOOD = save(
    {"a": np.arange(6, dtype="float32").reshape(2, 3), "b": np.ones(5, dtype="int8")}, {"format": "pt"}
)
HEADER_BYTES = int.from_bytes(GOOD[:8], "little")


def reader(data: bytes) -> Callable[[int, int], bytes]:
    return lambda start, length: data[start : start + length]


def check(data: bytes) -> None:
    read_header("x", len(data), reader(data))


def file_of(header: object, data_bytes: int) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + b"\1" * data_bytes


def entry(dtype: object, shape: object, start: object, end: object) -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


def two_tensors(start: int) -> bytes:
    """Four bytes from 0 and four from ``start``."""
    return file_of({"a": entry("I8", [4], 0, 4), "b": entry("I8", [4], start, start + 4)}, start + 4)


def test_the_header_of_the_library_is_read() -> None:
    header = read_header("x", len(GOOD), reader(GOOD))
    assert {name: tensor.shape for name, tensor in header.tensors.items()} == {"a": (2, 3), "b": (5,)}
    assert header.tensors["a"].elements == 6
    assert header.tensors["a"].bytes == 24
    assert header.data_start == 8 + HEADER_BYTES


@given(st.integers(0, len(GOOD) - 1))
def test_any_truncation_is_seen(length: int) -> None:
    with pytest.raises(DataError):
        check(GOOD[:length])


@given((st.integers(0, len(GOOD) + 9) | st.integers(0, 2**64 - 1)).filter(lambda n: n != HEADER_BYTES))
def test_any_other_header_length_is_seen(length: int) -> None:
    with pytest.raises(DataError):
        check(struct.pack("<Q", length) + GOOD[8:])


@given(st.integers(0, 63))
def test_any_flipped_bit_of_the_header_length_is_seen(bit: int) -> None:
    with pytest.raises(DataError):
        check(struct.pack("<Q", HEADER_BYTES ^ (1 << bit)) + GOOD[8:])


@given(st.binary(min_size=1, max_size=64))
def test_anything_appended_is_seen(tail: bytes) -> None:
    with pytest.raises(DataError, match="goes on after its last tensor"):
        check(GOOD + tail)


@given(st.binary(max_size=300))
def test_no_other_content_is_a_safetensors_file(data: bytes) -> None:
    with pytest.raises(DataError):
        check(data)


@given(st.integers(8, 7 + HEADER_BYTES), st.integers(0, 255))
def test_whatever_is_accepted_the_library_accepts_too(position: int, value: int) -> None:
    data = GOOD[:position] + bytes([value]) + GOOD[position + 1 :]
    try:
        check(data)
    except DataError:
        return
    load(data)


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"<!DOCTYPE html><html><body>404</body></html>" * 20, "x is an HTML or XML page"),
        (b"\0" * 4096, "x is filled with zeros"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "x is a Git LFS pointer"),
        (b"PK\x03\x04" + b"\1" * 60, "x is a zip archive"),
        (b"\1" * 8, "x has 8 bytes, expected a safetensors header"),
        (struct.pack("<Q", MAX_HEADER_BYTES + 1) + b"{}" * 99, "x is something else"),
        (GOOD[:60], f"x is truncated: it has 60 bytes, its header alone needs {8 + HEADER_BYTES}"),
        (GOOD[:-1], f"x is truncated: it has {len(GOOD) - 1} bytes, its header promises {len(GOOD)}"),
        (file_of(b"{" * 40, 0), "header of 40 bytes is not JSON"),
        (file_of(b'{"a":' + b"[" * 100_000, 0), "is not JSON"),
        (file_of({}, 0), "holds no tensors"),
        (file_of({"a": entry("I8", [0], 0, 0)}, 0), "holds no tensors"),
        (two_tensors(6), "a hole before tensor b: it starts at 6, expected 4"),
        (two_tensors(2), "an overlap before tensor b: it starts at 2, expected 4"),
        (file_of({"a": entry("I8", [4], 2, 6)}, 6), "a hole before tensor a"),
        (file_of({"a": entry("F32", [4], 0, 8)}, 8), r"a is F32\[4\], 16 bytes, but its offsets hold 8"),
        (file_of({"a": entry("F32", [1], 0, 8)}, 8), r"a is F32\[1\], 4 bytes, but its offsets hold 8"),
        (file_of({"a": entry("F128", [1], 0, 16)}, 16), "unknown dtype 'F128'"),
        (file_of({"a": entry("I8", [-4], 0, 4)}, 4), "no valid dtype, shape and data_offsets"),
        (file_of({"a": entry("I8", [True], 0, 1)}, 1), "no valid dtype, shape and data_offsets"),
        (file_of({"a": entry("I8", "4", 0, 4)}, 4), "no valid dtype, shape and data_offsets"),
        (file_of({"a": entry("I8", [4], 4, 0)}, 4), "is I8"),
        (file_of({"a": 7}, 4), "the header's entry for 'a'"),
    ],
)  # fmt: skip
def test_each_defect_of_a_header_has_its_reason(data: bytes, complaint: str) -> None:
    with pytest.raises(DataError, match=complaint):
        check(data)


def torch_file(**tensors: torch.Tensor) -> bytes:
    buffer = io.BytesIO()
    torch.save(tensors, buffer)
    return buffer.getvalue()


def zip_file(members: list[str]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for member in members:
            archive.writestr(member, b"x" * 100)
    return buffer.getvalue()


def check_zip(data: bytes) -> None:
    check_torch_zip("x.bin", len(data), reader(data))


def end_record(directory_bytes: int) -> bytes:
    """The last record of a zip archive with one member, whose directory begins at 100."""
    return b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, 1, 1, directory_bytes, 100, 0)


BIN = torch_file(a=torch.arange(5))


def test_what_torch_saves_is_whole() -> None:
    assert b"PK\x06\x06" in BIN, "torch writes the zip64 end record"
    check_zip(BIN)


def test_a_zip_without_the_zip64_record_is_whole_too() -> None:
    data = zip_file(["archive/data.pkl"])
    assert b"PK\x06\x06" not in data
    check_zip(data)


def test_of_a_large_file_only_both_ends_are_read() -> None:
    data = torch_file(a=torch.zeros(1_000_000))
    read: list[int] = []

    def count(start: int, length: int) -> bytes:
        read.append(length)
        return data[start : start + length]

    check_torch_zip("x.bin", len(data), count)
    assert sum(read) < 70_000 < len(data)


def test_a_directory_longer_than_the_tail_is_read() -> None:
    data = zip_file(["archive/data.pkl", *(f"archive/data/{'n' * 200}{n}" for n in range(500))])
    check_zip(data)


@given(st.integers(0, len(BIN) - 1))
def test_any_truncated_zip_is_seen(length: int) -> None:
    with pytest.raises(DataError):
        check_zip(BIN[:length])


@given(st.integers(len(BIN) - 500, len(BIN) - 1), st.integers(0, 255))
def test_a_changed_end_is_accepted_or_a_data_error(position: int, value: int) -> None:
    data = BIN[:position] + bytes([value]) + BIN[position + 1 :]
    try:
        check_zip(data)
    except DataError:
        return
    zipfile.ZipFile(io.BytesIO(data)).infolist()


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"<html>" * 100, "x.bin is an HTML or XML page"),
        (b"\0" * 4096, "x.bin is filled with zeros"),
        (b"\x80\x02\x8a\nl\xfc\x9c" + b"\1" * 400, "x.bin is a legacy pickle"),
        (BIN[:-1], "x.bin is truncated"),
        (BIN + b"more", "x.bin is truncated"),
        (b"PK\x03\x04" + b"\1" * 70_000, "x.bin is truncated"),
        (b"PK\x03\x04junk" + BIN, "its first zip member is at offset 8, expected 0"),
        (zip_file(["word/document.xml"]), "without data.pkl"),
        (zip_file([]), re.escape("x.bin is something else")),
        (b"PK\x03\x04" + end_record(directory_bytes=9), "no valid end record"),
    ],
)  # fmt: skip
def test_each_defect_of_a_bin_file_has_its_reason(data: bytes, complaint: str) -> None:
    with pytest.raises(DataError, match=complaint):
        check_zip(data)


def test_a_directory_that_claims_gigabytes_is_not_fetched() -> None:
    size_bytes = 5 << 30
    end = end_record(directory_bytes=(4 << 30) - 2)

    def read(start: int, length: int) -> bytes:
        assert length < 1 << 20
        data = b"PK\x03\x04" + b"\1" * (length - 4)
        return data[: length - len(end)] + end if start + length == size_bytes else data

    with pytest.raises(DataError, match=r"\(a central directory of 4,294,967,294 bytes\)"):
        check_torch_zip("x.bin", size_bytes, read)
