"""The header of a safetensors file, checked against the size of the object: two ranged reads, no weights.

The safetensors package reads headers of local files only, and planning pods do not carry it.
Source: the format section of https://github.com/huggingface/safetensors (README.md).
"""

import json
import math
from collections.abc import Callable
from typing import NamedTuple

from a360.checkpoints.content import describe_content
from a360.errors import DataError

MAX_HEADER_BYTES = 100_000_000
"""The limit of the safetensors library itself."""
_LENGTH_BYTES = 8
_BITS = {
    "BOOL": 8, "U8": 8, "I8": 8, "I16": 16, "U16": 16, "I32": 32, "U32": 32, "I64": 64, "U64": 64,
    "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6,
    "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8, "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8,
    "F16": 16, "BF16": 16, "F32": 32, "F64": 64, "C64": 64,
}  # fmt: skip


class Tensor(NamedTuple):
    """One tensor as its header describes it; offsets in bytes from the end of the header."""

    shape: tuple[int, ...]
    start: int
    end: int

    @property
    def bytes(self) -> int:
        """Bytes of data."""
        return self.end - self.start

    @property
    def elements(self) -> int:
        """Number of weights."""
        return math.prod(self.shape)


class Header(NamedTuple):
    """The tensors of a file by name, and the offset in the file at which their data begins."""

    tensors: dict[str, Tensor]
    data_start: int


def read_header(name: str, size_bytes: int, read: Callable[[int, int], bytes]) -> Header:
    """The header of the file ``name``, whose parts ``read(start, length)`` gives.

    Raises:
        DataError: when it is not a safetensors file, or its tensors do not fill ``size_bytes`` exactly.
    """
    if size_bytes <= _LENGTH_BYTES:
        raise DataError(f"{name} has {size_bytes:,} bytes, expected a safetensors header and tensors")
    head = read(0, min(size_bytes, 512))
    header_bytes = int.from_bytes(head[:_LENGTH_BYTES], "little")
    if not 2 <= header_bytes <= MAX_HEADER_BYTES or head[_LENGTH_BYTES : _LENGTH_BYTES + 1] != b"{":
        raise DataError(f"{name} is {describe_content(head)}, expected a safetensors file")
    data_start = _LENGTH_BYTES + header_bytes
    if data_start > size_bytes:
        raise DataError(
            f"{name} is truncated: it has {size_bytes:,} bytes, its header alone needs {data_start:,}"
        )
    try:
        header = json.loads(read(_LENGTH_BYTES, header_bytes))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{name}: its header of {header_bytes:,} bytes is not JSON: {error}") from None
    if not isinstance(header, dict):
        raise DataError(f"{name}: its safetensors header is no JSON object")
    tensors = {key: _tensor(name, key, value) for key, value in header.items() if key != "__metadata__"}
    _check_extent(name, tensors, data_start, size_bytes)
    return Header(tensors, data_start)


def _tensor(name: str, key: str, value: object) -> Tensor:
    match value:
        case {"dtype": str(dtype), "shape": list(shape), "data_offsets": [start, end]} if all(
            type(number) is int and number >= 0 for number in (start, end, *shape)
        ):
            bits = _BITS.get(dtype)
            if bits is None:
                raise DataError(f"{name}: tensor {key} has the unknown dtype {dtype!r}")
            if math.prod(shape) * bits != (end - start) * 8:
                raise DataError(
                    f"{name}: tensor {key} is {dtype}{shape}, {math.prod(shape) * bits / 8:,g} bytes, "
                    f"but its offsets hold {end - start:,}"
                )
            return Tensor(tuple(shape), start, end)
    raise DataError(f"{name}: the header's entry for {key!r} has no valid dtype, shape and data_offsets")


def _check_extent(name: str, tensors: dict[str, Tensor], data_start: int, size_bytes: int) -> None:
    """Tensors lie end to end from the header to the end of the file."""
    if not any(tensor.bytes for tensor in tensors.values()):
        raise DataError(f"{name} holds no tensors")
    filled = 0
    for key, tensor in sorted(tensors.items(), key=lambda item: (item[1].start, item[1].end)):
        if tensor.start != filled:
            what = "a hole" if tensor.start > filled else "an overlap"
            raise DataError(
                f"{name}: {what} before tensor {key}: it starts at {tensor.start:,}, expected {filled:,}"
            )
        filled = tensor.end
    if data_start + filled != size_bytes:
        promised = data_start + filled
        what = "is truncated" if size_bytes < promised else "goes on after its last tensor"
        raise DataError(f"{name} {what}: it has {size_bytes:,} bytes, its header promises {promised:,}")
