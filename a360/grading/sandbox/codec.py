"""Plain data <-> bytes, for a pipe whose other end may be hostile. Pure.

Subclasses of plain types travel as the plain type: a Counter arrives as a dict and compares as one, and an
overridden ``__eq__`` stays behind. What is not plain travels as a handle: a number and the name of its type.
"""

import struct
from collections.abc import Callable
from typing import Any, Final

MAX_DEPTH: Final = 100
MAX_NODES: Final = 1_000_000
MAX_BYTES: Final = 16 * 2**20

_FALLBACKS = (bool, int, float, complex, str, bytes, list, tuple, dict, set, frozenset)


class RefusedError(Exception):
    """Data that are too deep, too many, too large, cyclic, or no data at all."""


def encode(value: object, handle: Callable[[object], tuple[int, str]] | None = None) -> bytes:
    """The bytes of a value; ``handle`` gives numbers to what is not plain.

    Raises:
        RefusedError: it is too deep, cyclic or too large, or not plain and there is no ``handle``.
    """
    writer = _Writer(handle)
    writer.write(value, 0)
    return bytes(writer.data)


def decode(data: bytes, resolve: Callable[[int, str], object] | None = None) -> object:
    """The value of bytes; ``resolve`` gives what stands for a handle.

    Raises:
        RefusedError: these are not the bytes of one value within the limits.
    """
    if len(data) > MAX_BYTES:
        raise RefusedError(f"{len(data)} bytes, at most {MAX_BYTES} are read")
    reader = _Reader(data, resolve)
    try:
        value = reader.read(0)
    except (struct.error, ValueError, TypeError, OverflowError, LookupError) as error:
        raise RefusedError(f"malformed data: {type(error).__name__}") from None
    if reader.place != len(data):
        raise RefusedError("malformed data: bytes are left over")
    return value


class _Writer:
    def __init__(self, handle: Callable[[object], tuple[int, str]] | None) -> None:
        self.data = bytearray()
        self._nodes = 0
        self._handle = handle

    def write(self, value: object, depth: int) -> None:
        self._nodes += 1
        if depth > MAX_DEPTH:
            raise RefusedError(f"nested deeper than {MAX_DEPTH}, or cyclic")
        if self._nodes > MAX_NODES or len(self.data) > MAX_BYTES:
            raise RefusedError("too much data")
        kind = type(value)
        if value is None:
            self.data += b"N"
        elif kind is range and isinstance(value, range):
            self.data += b"r"
            for number in (value.start, value.stop, value.step):
                self._integer(number)
        else:
            plain = kind if kind in _FALLBACKS else next((k for k in _FALLBACKS if issubclass(kind, k)), kind)
            self._write_as(plain, value, depth)

    def _write_as(self, plain: Any, value: Any, depth: int) -> None:
        """The value through the methods of the plain type, never through those of a subclass."""
        if plain is bool:
            self.data += b"T" if value else b"F"
        elif plain is int:
            self.data += b"i"
            self._integer(int.__pos__(value))
        elif plain is float:
            self.data += b"f" + struct.pack("<d", float.__pos__(value))
        elif plain is complex:
            number = complex.__pos__(value)
            self.data += b"c" + struct.pack("<dd", number.real, number.imag)
        elif plain is str:
            self._text(b"s", str.__str__(value).encode("utf-8", "surrogatepass"))
        elif plain is bytes:
            self._text(b"b", bytes.__getitem__(value, slice(None)))
        elif plain is dict:
            items = list(dict.items(value))
            self.data += b"d" + struct.pack("<I", len(items))
            for key, element in items:
                self.write(key, depth + 1)
                self.write(element, depth + 1)
        elif plain in _SEQUENCES:
            elements = list(plain.__iter__(value))
            self.data += _SEQUENCES[plain] + struct.pack("<I", len(elements))
            for element in elements:
                self.write(element, depth + 1)
        elif self._handle is None:
            raise RefusedError(f"{plain.__name__[:80]} is not plain data")
        else:
            number, name = self._handle(value)
            self.data += b"h" + struct.pack("<Q", number)
            self._text(b"", name[:80].encode("utf-8", "replace"))

    def _integer(self, number: int) -> None:
        self._text(b"", number.to_bytes(number.bit_length() // 8 + 1, "little", signed=True))

    def _text(self, tag: bytes, content: bytes) -> None:
        if len(content) > MAX_BYTES:
            raise RefusedError("too much data")
        self.data += tag + struct.pack("<I", len(content)) + content


_SEQUENCES: dict[type, bytes] = {list: b"l", tuple: b"t", set: b"S", frozenset: b"z"}
_MAKERS: dict[bytes, type] = {tag: kind for kind, tag in _SEQUENCES.items()}


class _Reader:
    def __init__(self, data: bytes, resolve: Callable[[int, str], object] | None) -> None:
        self.place = 0
        self._data = data
        self._nodes = 0
        self._resolve = resolve

    def read(self, depth: int) -> object:
        self._nodes += 1
        if depth > MAX_DEPTH or self._nodes > MAX_NODES:
            raise RefusedError("data are too deep or too many")
        tag = self._take(1)
        if tag in b"NTF":
            return {b"N": None, b"T": True, b"F": False}[tag]
        if tag == b"i":
            return self._integer()
        if tag == b"f":
            return struct.unpack("<d", self._take(8))[0]
        if tag == b"c":
            return complex(*struct.unpack("<dd", self._take(16)))
        if tag == b"s":
            return self._text().decode("utf-8", "surrogatepass")
        if tag == b"b":
            return self._text()
        if tag == b"r":
            return range(self._integer(), self._integer(), self._integer())
        if tag == b"d":
            return {self.read(depth + 1): self.read(depth + 1) for _ in range(self._count())}
        if tag in _MAKERS:
            return _MAKERS[tag](self.read(depth + 1) for _ in range(self._count()))
        if tag == b"h" and self._resolve is not None:
            (number,) = struct.unpack("<Q", self._take(8))
            return self._resolve(number, self._text().decode("utf-8", "replace"))
        raise RefusedError("malformed data: no such kind")

    def _take(self, count: int) -> bytes:
        taken = self._data[self.place : self.place + count]
        if len(taken) != count:
            raise RefusedError("malformed data: they end too early")
        self.place += count
        return taken

    def _count(self) -> int:
        return int(struct.unpack("<I", self._take(4))[0])

    def _text(self) -> bytes:
        return self._take(self._count())

    def _integer(self) -> int:
        return int.from_bytes(self._text(), "little", signed=True)
