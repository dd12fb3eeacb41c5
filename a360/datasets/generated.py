"""Repositories of a mirror whose rows are made here, not brought: LongEval's cases."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from a360.datasets.convert import OwnData, put_rows
from a360.datasets.converters import ConvertedRow, Converter
from a360.datasets.long_eval import MOST_LINES, MOST_TOPICS, VERSION, Case, line_cases, topic_cases
from a360.datasets.target import OWN_REVISION, MirrorTarget
from a360.errors import ConfigError
from a360.identity import canonical_json

LINES = (10, 20, 40, 60, 80, 100, 200, 300, 400, 500, 600, 680)
"""The original's lengths, and shorter ones for a context of 2,048 tokens."""
TOPICS = (1, 5, 10, 15, 20, 25, 30)
CASES = 50
"""Of each length, as in the original."""


@dataclass(frozen=True, kw_only=True)
class _Kind:
    make: Callable[[int, int, int], Iterator[Case]]
    most: int
    """Names or topics that there are: a case needs different ones."""
    repository: str


KINDS = {
    "lines": _Kind(make=line_cases, most=MOST_LINES, repository="a360/long-eval-lines"),
    "topics": _Kind(make=topic_cases, most=MOST_TOPICS, repository="a360/long-eval-topics"),
}


def generate_long_eval(
    target: MirrorTarget, kind: str, lengths: Sequence[int], *, cases: int = CASES, seed: int = 0
) -> OwnData:
    """Puts cases of some lengths into the mirror, for those that were there; kind is a key of ``KINDS``.

    The revision names version, seed and lengths: equal ones are equal rows.

    Raises:
        ConfigError: a length is below 1, more than there are different names or topics, or named twice.
    """
    made = KINDS[kind]
    wrong = [length for length in lengths if not 1 <= length <= made.most or lengths.count(length) > 1]
    if wrong or not lengths:
        found = str(wrong[0]) if wrong else "none"
        raise ConfigError(
            f"{kind} of LongEval cannot be made: found {found}, "
            f"expected different numbers from 1 to {made.most}"
        )
    settings = {"version": VERSION, "kind": kind, "lengths": sorted(lengths), "cases": cases, "seed": seed}
    converter = Converter(
        repository=made.repository, read=lambda _: iter(()), sources=f"numbers of {kind} and of cases"
    )
    rows = ((row, Path(kind)) for length in sorted(lengths) for row in _rows(kind, length, cases, seed))
    revision = OWN_REVISION + hashlib.sha256(canonical_json(settings).encode()).hexdigest()
    return put_rows(target, converter, revision, rows, f"Made by a360: {canonical_json(settings)}")


def _rows(kind: str, length: int, cases: int, seed: int) -> Iterator[ConvertedRow]:
    for case in KINDS[kind].make(length, cases, seed):
        # A number of fixed width, so that the files are read from the shortest length to the longest.
        yield ConvertedRow("test", f"{kind}_{length:05d}", case, str(case["prompt"]))
