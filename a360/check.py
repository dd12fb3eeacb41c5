"""One line of ``a360 doctor``: what was looked at, what was found, and what can be done about it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from a360.errors import A360Error

State = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, kw_only=True)
class Check:
    """What a check found; a failed one stands in the way."""

    name: str
    state: State
    found: str
    hint: str | None = None


def guarded(name: str, check: Callable[[], Check]) -> Check:
    """The check, or a failed one with the message of the error that it raised."""
    try:
        return check()
    except A360Error as error:
        return Check(name=name, state="fail", found=error.message, hint=error.hint)
