"""The checker's side of the pipe: objects of the candidate as proxies. Their values arrive as plain data.

A proxy compares by identity alone: what its class says about equality is never asked.
"""

import builtins
import errno
from typing import NoReturn

from a360.grading.sandbox.codec import RefusedError, decode, encode
from a360.grading.sandbox.wire import GoneError, read_frame, write_frame

_EXHAUSTED = (errno.EFBIG, errno.ENOSPC, errno.EDQUOT, errno.EMFILE)


class RemoteError(Exception):
    """What the candidate raised, where it is no Exception of Python's own."""


class BrokenError(BaseException):
    """The candidate's source does not compile."""


class Channel:
    """Asks the candidate. What went wrong once stays on record, whether or not a test catches it."""

    def __init__(self, requests: int, replies: int) -> None:
        self._requests = requests
        self._replies = replies
        self.trouble: GoneError | RefusedError | None = None
        self.exhausted = False
        """The candidate ran out of memory, disk or descriptors."""

    def ask(
        self, operation: str, target: object, arguments: tuple[object, ...] = (), named: object = None
    ) -> object:
        """The value that the candidate gives; its changes to the arguments are applied to them.

        Raises:
            GoneError: it ended.
            RefusedError: what it was to get or gave is no plain data within the limits.
            Exception: it raised one.
        """
        if self.trouble is not None:
            raise self.trouble
        try:
            request = encode((operation, target, list(arguments), named or {}), _number)
            write_frame(self._requests, request)
            reply = decode(read_frame(self._replies), lambda number, name: Remote(self, number, name))
            value, changed = self._open(reply)
        except (GoneError, RefusedError) as trouble:
            self.trouble = trouble
            raise
        if isinstance(changed, list):
            for old, new in zip(arguments, changed, strict=False):
                _update(old, new)
        return value

    def _open(self, reply: object) -> tuple[object, object]:
        match reply:
            case ("ok", value, changed):
                return value, changed
            case ("raised", str(name), str(text), int(number)):
                self.exhausted |= name == "MemoryError" or (name == "OSError" and number in _EXHAUSTED)
                _raise(name, text)
            case ("broken", str(text)):
                raise BrokenError(text)
            case ("refused", str(text)):
                raise RefusedError(text)
        raise RefusedError("a reply of no known form")


class Remote:
    """A global name of the candidate (a string), or an object that it holds (a number)."""

    __slots__ = ("_channel", "_kind", "_target")

    def __init__(self, channel: Channel, target: str | int, kind: str = "") -> None:
        for name, value in (("_channel", channel), ("_target", target), ("_kind", kind)):
            object.__setattr__(self, name, value)

    def _ask(self, operation: str, *arguments: object) -> object:
        return _channel(self).ask(operation, _subject(self), arguments)

    def __call__(self, *arguments: object, **named: object) -> object:
        """What the candidate's object returns."""
        return _channel(self).ask("call", _subject(self), arguments, named)

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(name)
        return self._ask("get", name)

    def __setattr__(self, name: str, value: object) -> None:
        self._ask("set", name, value)

    def __getitem__(self, key: object) -> object:
        return self._ask("item", key)

    def __setitem__(self, key: object, value: object) -> None:
        self._ask("put", key, value)

    def __contains__(self, element: object) -> bool:
        return self._ask("contains", element) is True

    def __len__(self) -> int:
        found = self._ask("length")
        return found if isinstance(found, int) else 0

    def __iter__(self) -> object:
        found = self._ask("elements")
        return iter(found if isinstance(found, list) else [])

    def __bool__(self) -> bool:
        return self._ask("truth") is True

    def __str__(self) -> str:
        return str(self._ask("text"))

    def __repr__(self) -> str:
        return f"<{self._kind or self._target} of the candidate>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Remote) and other._target == self._target

    def __hash__(self) -> int:
        return hash(self._target)


def _channel(remote: Remote) -> Channel:
    channel: Channel = object.__getattribute__(remote, "_channel")
    return channel


def _subject(remote: Remote) -> object:
    return remote._target if isinstance(remote._target, str) else remote


def _number(value: object) -> tuple[int, str]:
    """The handle of a proxy.

    Raises:
        RefusedError: it is no proxy of an object; functions and objects of a test stay in the checker.
    """
    if isinstance(value, Remote) and isinstance(value._target, int):
        return value._target, str(value._kind)
    raise RefusedError(f"{type(value).__name__[:80]} cannot be passed to the candidate")


def _update(old: object, new: object) -> None:
    """Gives a mutable argument its new content; what lies deeper is replaced, not updated."""
    if type(old) is not type(new):
        return
    if isinstance(old, list) and isinstance(new, list):
        old[:] = new
    elif isinstance(old, dict | set) and isinstance(new, dict | set):
        old.clear()
        old.update(new)


def _raise(name: str, text: str) -> NoReturn:
    kind = getattr(builtins, name, None)
    if isinstance(kind, type) and issubclass(kind, Exception) and not issubclass(kind, UnicodeError):
        raise kind(text)
    raise RemoteError(f"{name}: {text}"[:200])
