"""The process of the program that is judged: runs it, then does what the checker asks of its objects.

Nothing here decides anything. The program shares this process and may change all of it; whatever it makes of
that reaches the checker as data.
"""

import itertools
import operator
from collections.abc import Callable
from typing import Any

from a360.grading.sandbox.codec import MAX_NODES, RefusedError, decode, encode
from a360.grading.sandbox.lockdown import Policy, confine
from a360.grading.sandbox.wire import GoneError, read_frame, write_frame

READY = b"ready"


def _call(target: Callable[..., object], *arguments: object, **named: object) -> object:
    return target(*arguments, **named)


OPERATIONS: dict[str, Callable[..., object]] = {
    "value": lambda target: target,
    "call": _call,
    "get": getattr,
    "set": setattr,
    "item": operator.getitem,
    "put": operator.setitem,
    "contains": operator.contains,
    "length": len,
    "elements": lambda target: list(itertools.islice(target, MAX_NODES)),
    "text": str,
    "truth": bool,
}
"""What a checker can ask of an object, by name."""


def main(words: list[str]) -> None:
    """Confines itself and serves until the checker closes its pipe."""
    policy, requests, replies = Policy.from_json(words[0]), int(words[1]), int(words[2])
    confine(policy)
    write_frame(replies, READY)
    candidate = Candidate()
    try:
        while True:
            write_frame(replies, candidate.answer(read_frame(requests)))
    except GoneError:
        return


class Candidate:
    """The program's global names, and the objects that the checker holds handles of."""

    def __init__(self) -> None:
        self._names: dict[str, object] = {}
        self._objects: list[object] = []

    def answer(self, request: bytes) -> bytes:
        """The reply to one request; never raises but for a pipe that is gone."""
        try:
            return self._answer(request)
        except GoneError:
            raise
        except RefusedError as refused:
            return encode(("refused", str(refused)))
        except BaseException as error:  # also SystemExit: it must not look like an orderly end
            return encode(("raised", _known_name(error), _text(error), getattr(error, "errno", None) or 0))

    def _answer(self, request: bytes) -> bytes:
        operation: Any
        target: Any
        found: Any = decode(request, lambda number, name: self._objects[number])
        operation, target, arguments, named = found
        if operation == "load":
            try:
                code = compile(target, "<program>", "exec")
            except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
                return encode(("broken", _text(error)))
            exec(code, self._names)
            return encode(("ok", None, None))
        if isinstance(target, str):
            target = self._find(target)
        before = encode(arguments, self._number)
        value = OPERATIONS[operation](target, *arguments, **named)
        after = encode(arguments, self._number)
        changed = arguments if after != before else None
        return encode(("ok", value, changed), self._number)

    def _find(self, name: str) -> object:
        if name not in self._names:
            raise NameError(f"name {name!r} is not defined")
        return self._names[name]

    def _number(self, value: object) -> tuple[int, str]:
        for number, known in enumerate(self._objects[-1000:], start=max(0, len(self._objects) - 1000)):
            if known is value:
                return number, type(value).__name__
        self._objects.append(value)
        return len(self._objects) - 1, type(value).__name__


def _known_name(error: BaseException) -> str:
    """The name of the first class of an error that Python itself defines."""
    return next(kind.__name__ for kind in type(error).__mro__ if kind.__module__ == "builtins")


def _text(error: BaseException) -> str:
    try:
        return str(error)[:200]
    except BaseException:  # the program's own __str__
        return ""
