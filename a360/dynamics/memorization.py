"""Memorization along a training run: which chunks are known when, and what an early checkpoint foretells.

Checkpoints come in the order of training, as the caller gives them. What cannot be computed is None: a
correlation of values that are all the same, a precision where nothing was predicted.

Source: Biderman and others, 2023 (arXiv 2304.11158), sections 3 and 4.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from a360.records import Result

CHUNK = "chunk-"
"""Tasks of the memorization evaluator that are chunks of the training data begin so; its control does not."""

SequenceId = tuple[str, int]
"""Chunk, and line in it."""
Matches = Mapping[str, Mapping[SequenceId, int]]
"""Checkpoint -> sequence -> number of matching tokens."""


@dataclass(frozen=True, kw_only=True)
class ChunkMatrix:
    """A metric of every checkpoint (rows) on every chunk (columns); None where it was not asked."""

    metric: str
    checkpoints: tuple[str, ...]
    chunks: tuple[str, ...]
    values: tuple[tuple[float | None, ...], ...]


@dataclass(frozen=True, kw_only=True)
class Correlations:
    """Pearson's correlation of matching tokens between checkpoints, over sequences that all of them know."""

    checkpoints: tuple[str, ...]
    sequences: int
    """Those that the least trained checkpoint has seen."""
    values: tuple[tuple[float | None, ...], ...]


@dataclass(frozen=True, kw_only=True)
class Foretold:
    """How well "memorized at this checkpoint" predicts "memorized at the last one"."""

    checkpoint: str
    sequences: int
    memorized_here: int
    memorized_at_the_end: int
    memorized_at_both: int

    @property
    def precision(self) -> float | None:
        """The share of what is memorized here that still is at the end; None where nothing is."""
        return self.memorized_at_both / self.memorized_here if self.memorized_here else None

    @property
    def recall(self) -> float | None:
        """The share of what is memorized at the end that is so here already; None where nothing is."""
        return self.memorized_at_both / self.memorized_at_the_end if self.memorized_at_the_end else None


def chunk_matrix(results: Sequence[Result], order: Sequence[str], metric: str) -> ChunkMatrix:
    """The matrix of what results say of their chunks, checkpoints in ``order``."""
    found = {
        (result.checkpoint, record.task): record.value
        for result in results
        for record in result.metrics
        if record.metric == metric and record.task.startswith(CHUNK)
    }
    asked = {checkpoint for checkpoint, _ in found}
    checkpoints = tuple(checkpoint for checkpoint in order if checkpoint in asked)
    chunks = tuple(sorted({chunk for _, chunk in found}))
    return ChunkMatrix(
        metric=metric,
        checkpoints=checkpoints,
        chunks=chunks,
        values=tuple(tuple(found.get((row, chunk)) for chunk in chunks) for row in checkpoints),
    )


def correlate(matches: Matches, order: Sequence[str]) -> Correlations:
    """Correlations between all checkpoints that know a sequence of a chunk."""
    seen = {name: _of_chunks(matches[name]) for name in order if _of_chunks(matches.get(name, {}))}
    common = sorted(set[SequenceId].intersection(*map(set, seen.values()))) if seen else []
    counts = {name: np.array([known[each] for each in common], dtype=float) for name, known in seen.items()}
    return Correlations(
        checkpoints=tuple(seen),
        sequences=len(common),
        values=tuple(tuple(_pearson(counts[a], counts[b]) for b in seen) for a in seen),
    )


def foretell(matches: Matches, order: Sequence[str], whole: int) -> tuple[Foretold, ...]:
    """Every checkpoint but the last one against the last; ``whole`` matching tokens are memorized."""
    seen = [name for name in order if _of_chunks(matches.get(name, {}))]
    if not seen:
        return ()
    end = _of_chunks(matches[seen[-1]])
    found = []
    for name in seen[:-1]:
        here = _of_chunks(matches[name])
        both = here.keys() & end.keys()
        mine = {each for each in both if here[each] == whole}
        its = {each for each in both if end[each] == whole}
        found.append(
            Foretold(
                checkpoint=name,
                sequences=len(both),
                memorized_here=len(mine),
                memorized_at_the_end=len(its),
                memorized_at_both=len(mine & its),
            )
        )
    return tuple(found)


def _of_chunks(known: Mapping[SequenceId, int]) -> dict[SequenceId, int]:
    return {each: count for each, count in known.items() if each[0].startswith(CHUNK)}


def _pearson(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64]) -> float | None:
    if len(a) < 2 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return None
    return float(np.corrcoef(a, b)[0, 1])
