"""Names below a checkpoint root -> checkpoint ids, places in the training run, tokens. Pure.

An id, a phase and a step are parsed from the name and never counted, so that a missing checkpoint
shifts nobody. ``discover`` calls it with the names that LIST gave.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from a360.errors import ConfigError
from a360.records import ExpectedRange, Naming, TokenAxis

MAX_NUMBER = 2**53 - 1
"""Beyond it JSON's readers and a page's axes round."""
PATTERN_HINT = "e.g. naming.pattern: 'ckpt_(?P<step>\\d+)'; where steps restart, add a group (?P<phase>\\d+)"


class Position(NamedTuple):
    """A place in the training run; checkpoints are ordered by it."""

    phase: int
    step: int

    def __str__(self) -> str:
        return f"phase {self.phase} step {self.step}"


@dataclass(frozen=True, kw_only=True)
class NamedCheckpoint:
    """What a name says: ``name`` is the folder in the store, ``id`` the canonical name everywhere else."""

    name: str
    id: str
    position: Position
    tokens: int | None
    same_step_as: str | None = None
    """The folder that stands for this position instead of this one."""


class NamingScheme:
    """A suite's naming, validated; parses names and settles which folder stands for which step.

    Raises:
        ConfigError: for a malformed pattern, expected ids or aliases that the pattern does not match,
            two expected ids or token axes for one place.
    """

    def __init__(self, naming: Naming) -> None:
        self.pattern = compile_pattern(naming.pattern)
        self.aliases: Mapping[str, str] = naming.aliases
        self._axes = _token_axes(naming.tokens)
        self._expected: dict[Position, str] = {}
        for name, alias in naming.aliases.items():
            self._position_of(alias, f"alias {name!r} stands for")
        for expected_id, stated in _expand(naming.expected):
            position = self._position_of(expected_id, "naming.expected names")
            if stated not in (None, position):
                raise ConfigError(
                    f"naming.expected gives {stated} the id {expected_id!r}, which says {position}"
                )
            other = self._expected.setdefault(position, expected_id)
            if other != expected_id:
                raise ConfigError(f"naming.expected has {other!r} and {expected_id!r} for {position}")

    def matches(self, name: str) -> bool:
        """True when the name is that of a checkpoint."""
        return name in self.aliases or self.pattern.fullmatch(name) is not None

    def assign(self, names: Iterable[str]) -> list[NamedCheckpoint]:
        """One entry per name that matches, ordered by (phase, step, name).

        Of several names for one step the canonical id wins, then the first in order; the others get
        ``same_step_as`` and keep their folder's name as id, so that ids stay unique.
        """
        by_position: dict[Position, list[str]] = {}
        for name in sorted(set(names)):
            if self.matches(name):
                position = self._position_of(self.aliases.get(name, name), "the store holds")
                by_position.setdefault(position, []).append(name)
        found: list[NamedCheckpoint] = []
        for position in sorted(by_position):
            rivals = by_position[position]
            ids = {name: self._expected.get(position, self.aliases.get(name, name)) for name in rivals}
            winner = next((name for name in rivals if name == ids[name]), rivals[0])
            for name in rivals:
                won = name == winner
                found.append(
                    NamedCheckpoint(
                        name=name,
                        id=_flat(ids[name] if won else name),
                        position=position,
                        tokens=self._tokens(position),
                        same_step_as=None if won else winner,
                    )
                )
        _require_distinct(checkpoint for checkpoint in found if checkpoint.same_step_as is None)
        return found

    def absent(self, found: Iterable[NamedCheckpoint]) -> list[NamedCheckpoint]:
        """The expected checkpoints for whose (phase, step) no name was found."""
        positions = {checkpoint.position for checkpoint in found}
        return [
            NamedCheckpoint(name=name, id=_flat(name), position=position, tokens=self._tokens(position))
            for position, name in sorted(self._expected.items())
            if position not in positions
        ]

    def _tokens(self, position: Position) -> int | None:
        axis = self._axes.get(position.phase)
        if axis is None:
            return None
        tokens = axis.base_tokens + (position.step + axis.offset) * axis.tokens_per_step
        if tokens > MAX_NUMBER:
            raise ConfigError(
                f"naming.tokens gives {position} {tokens:,} tokens, expected fewer than 2**53",
                hint=PATTERN_HINT,
            )
        return tokens

    def _position_of(self, name: str, who: str) -> Position:
        match = self.pattern.fullmatch(name)
        if match is None:
            raise ConfigError(
                f"{who} {name!r}, which naming.pattern {self.pattern.pattern!r} does not match",
                hint="the pattern has to match the whole id",
            )
        groups = match.groupdict()
        try:
            position = Position(phase=int(groups.get("phase") or 1), step=int(groups["step"] or ""))
            if max(position) > MAX_NUMBER:
                raise ValueError(position)
            return position
        except ValueError:
            raise ConfigError(
                f"{who} {name!r}, in which naming.pattern {self.pattern.pattern!r} finds "
                f"step {groups['step']!r} and phase {groups.get('phase')!r}; "
                "expected whole numbers below 2**53",
                hint=PATTERN_HINT,
            ) from None


def compile_pattern(pattern: str) -> re.Pattern[str]:
    """The compiled ``naming.pattern``.

    Raises:
        ConfigError: for what is no regular expression, or has no group ``step``.
    """
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        message = f"naming.pattern {pattern!r} is not a regular expression: {error}"
        raise ConfigError(message, hint=PATTERN_HINT) from None
    if "step" not in compiled.groupindex:
        raise ConfigError(f"naming.pattern {pattern!r} has no group named step", hint=PATTERN_HINT)
    return compiled


def _expand(expected: Iterable[str | ExpectedRange]) -> Iterator[tuple[str, Position | None]]:
    """Every expected id, with its place where the suite states that apart from the id."""
    for item in expected:
        if isinstance(item, str):
            yield item, None
            continue
        if item.last < item.first:
            raise ConfigError(f"naming.expected {item.template!r} ends at {item.last}, before {item.first}")
        positions = [Position(item.phase, step) for step in range(item.first, item.last + 1, item.every)]
        try:
            ids = [item.template.format(step=position.step, phase=position.phase) for position in positions]
        except (KeyError, IndexError, ValueError, AttributeError) as error:
            raise ConfigError(
                f"naming.expected: template {item.template!r} cannot be filled in: {error!r}",
                hint="only {step} and {phase} are known, e.g. ckpt_{step:03d}",
            ) from None
        yield from zip(ids, positions, strict=True)


def _token_axes(axes: Iterable[TokenAxis]) -> dict[int, TokenAxis]:
    by_phase: dict[int, TokenAxis] = {}
    for axis in axes:
        if axis.phase in by_phase:
            raise ConfigError(f"naming.tokens has two entries for phase {axis.phase}; expected one")
        by_phase[axis.phase] = axis
    return by_phase


def _require_distinct(checkpoints: Iterable[NamedCheckpoint]) -> None:
    by_id: dict[str, NamedCheckpoint] = {}
    for checkpoint in checkpoints:
        other = by_id.setdefault(checkpoint.id, checkpoint)
        if other is not checkpoint:
            raise ConfigError(
                f"the folders {other.name!r} ({other.position}) and {checkpoint.name!r} "
                f"({checkpoint.position}) both have the id {checkpoint.id!r}; expected one id per step",
                hint="rename one of them, or match only one in naming.pattern",
            )


def _flat(name: str) -> str:
    """Ids become one segment of a key in the result store, so ``phase1/step10`` is ``phase1-step10``."""
    return name.replace("/", "-")
