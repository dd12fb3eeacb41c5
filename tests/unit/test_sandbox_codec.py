import collections
import enum
import math
import struct
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from a360.grading.sandbox.codec import MAX_BYTES, MAX_DEPTH, RefusedError, decode, encode

HASHABLE = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.complex_numbers(allow_nan=False)
    | st.text(st.characters())
    | st.binary(),
    lambda inner: st.tuples(inner, inner) | st.frozensets(inner, max_size=4),
    max_leaves=8,
)
VALUES = st.recursive(
    HASHABLE | st.builds(range, st.integers(), st.integers(), st.integers(1, 99)),
    lambda inner: st.lists(inner) | st.dictionaries(HASHABLE, inner) | st.sets(HASHABLE) | st.tuples(inner),
    max_leaves=20,
)


def same(a: object, b: object) -> bool:
    """Equal, and of the same types all the way down."""
    if type(a) is not type(b) or a != b:
        return False
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return all(map(same, a, b))
    if isinstance(a, dict) and isinstance(b, dict):
        return list(map(type, a)) == list(map(type, b)) and all(map(same, a.values(), b.values()))
    return True


@given(VALUES)
def test_plain_data_arrive_as_they_left(value: object) -> None:
    assert same(decode(encode(value)), value)


def test_floats_keep_every_bit() -> None:
    for number in (math.inf, -math.inf, -0.0, 5e-324, 0.1):
        found = decode(encode(number))
        assert isinstance(found, float)
        assert struct.pack("d", found) == struct.pack("d", number)
    found = decode(encode([math.nan]))
    assert isinstance(found, list)
    assert math.isnan(found[0])


def test_lone_surrogates_travel() -> None:
    assert decode(encode("a\ud800")) == "a\ud800"


class Liar(int):
    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return 0

    def __pos__(self) -> int:
        return 99


class Colour(enum.IntEnum):
    RED = 3


Point = collections.namedtuple("Point", "x y")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Liar(7), 7),
        (Colour.RED, 3),
        (Point(1, 2), (1, 2)),
        (collections.Counter("aab"), {"a": 2, "b": 1}),
        (collections.OrderedDict(b=1), {"b": 1}),
        (type("S", (str,), {"__str__": lambda self: "lie"})("truth"), "truth"),
        (type("L", (list,), {"__iter__": lambda self: iter([9])})([1]), [1]),
    ],
)
def test_subclasses_travel_as_the_plain_type_and_value(value: object, expected: object) -> None:
    found = decode(encode(value))
    assert same(found, expected)


def cyclic(kind: type) -> object:
    inner: list[object] = []
    inner.append({"a": inner} if kind is dict else (inner,) if kind is tuple else inner)
    return inner


def nested(depth: int) -> object:
    value: object = 0
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value",
    [
        *(cyclic(kind) for kind in (list, tuple, dict)),
        nested(MAX_DEPTH + 1),
        [0] * 1_000_001,
        "x" * (MAX_BYTES + 1),
        1 << 8 * (MAX_BYTES + 1),
        object(),
        len,
        iter("x"),
    ],
    ids=[
        "list",
        "tuple",
        "dict",
        "deep",
        "many",
        "long text",
        "long number",
        "object",
        "function",
        "generator",
    ],
)
def test_what_is_no_plain_data_within_limits_is_refused(value: object) -> None:
    with pytest.raises(RefusedError):
        encode(value)


def test_the_limit_of_depth_is_exact() -> None:
    assert decode(encode(nested(MAX_DEPTH))) == nested(MAX_DEPTH)


@settings(max_examples=300)
@given(st.binary(max_size=200))
def test_any_bytes_are_a_value_or_refused(data: bytes) -> None:
    try:
        value = decode(data, lambda number, name: (number, name))
    except RefusedError:
        return
    encode(value)


@given(VALUES, st.data())
def test_damaged_bytes_are_a_value_or_refused(value: object, data: st.DataObject) -> None:
    good = bytearray(encode(value))
    place = data.draw(st.integers(0, len(good) - 1))
    good[place] ^= data.draw(st.integers(1, 255))
    for found in (bytes(good), bytes(good[:place])):
        try:
            decode(found)
        except RefusedError:
            continue


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"NN",
        b"?",
        b"l" + b"\xff" * 4,
        b"s" + b"\xff" * 4,
        b"l\x01\0\0\0" * 10_000,
        b"S\x01\0\0\0l\0\0\0\0",
        b"d\x01\0\0\0l\0\0\0\0N",
        b"r" + (b"\x01\0\0\0\0") * 3,
        b"s\x01\0\0\0\xff",
        b"h" + bytes(12),
        bytes(MAX_BYTES + 1),
        b"l" + struct.pack("<I", 2_000_000) + b"N" * 2_000_000,
    ],
    ids=range(13),
)  # fmt: skip
def test_hostile_bytes_are_refused_at_once(data: bytes) -> None:
    started = time.monotonic()
    with pytest.raises(RefusedError):
        decode(data)
    assert time.monotonic() - started < 5


def test_other_objects_are_handles() -> None:
    thing = object()
    data = encode([thing, 1], lambda value: (7, type(value).__name__) if value is thing else (0, ""))
    assert decode(data, lambda number, name: f"{name} {number}") == ["object 7", 1]
