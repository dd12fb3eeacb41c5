"""Memorization in a report: the matrix of chunks and checkpoints as a drawing, statistics as a file. Pure."""

import math
from dataclasses import asdict

from markupsafe import Markup, escape
from pydantic import JsonValue

from a360.benchmarks.memorization import Memorization
from a360.dynamics.memorization import ChunkMatrix, Matches, chunk_matrix, correlate, foretell
from a360.identity import canonical_json
from a360.publish.series import evaluated_places
from a360.results.collect import Collected

FILE_NAME = "memorization.json"
WHOLE = Memorization().asked_tokens
"""Matching tokens of a memorized sequence, by the protocol that rows have unless they say otherwise."""
METRICS = ("token_match", "full_match")
CELL, LABEL, HEAD = 24, 150, 60
MOST = 40
"""Rows or columns that are drawn; more of them are drawn as means of neighbours. The file has all."""


def matrices(collected: Collected) -> tuple[ChunkMatrix, ...]:
    """The matrices of both metrics, as far as something was evaluated."""
    order = [place.checkpoint for place in evaluated_places(collected.results)]
    found = (chunk_matrix(collected.results, order, metric) for metric in METRICS)
    return tuple(matrix for matrix in found if matrix.chunks)


def memorization_bytes(collected: Collected, matches: Matches) -> bytes:
    """Matrices, correlations and what checkpoints foretell, as JSON; equal results give equal bytes."""
    order = [place.checkpoint for place in evaluated_places(collected.results)]
    foretold: list[JsonValue] = [
        {**asdict(each), "precision": each.precision, "recall": each.recall}
        for each in foretell(matches, order, WHOLE)
    ]
    document = {
        "schema_name": "a360.memorization/1",
        "matrices": [asdict(matrix) for matrix in matrices(collected)],
        "correlations": asdict(correlate(matches, order)),
        "foretold": foretold,
    }
    return canonical_json(document).encode() + b"\n"


def thinned(matrix: ChunkMatrix, most: int = MOST) -> ChunkMatrix:
    """The matrix with at most so many rows and columns: means of neighbours, of those that were seen."""
    rows, columns = (_blocks(len(names), most) for names in (matrix.checkpoints, matrix.chunks))

    def mean(block: range, beside: range) -> float | None:
        known = [value for i in block for j in beside if (value := matrix.values[i][j]) is not None]
        return math.fsum(known) / len(known) if known else None

    return ChunkMatrix(
        metric=matrix.metric,
        checkpoints=tuple(matrix.checkpoints[block[-1]] for block in rows),
        chunks=tuple(matrix.chunks[block[0]] for block in columns),
        values=tuple(tuple(mean(block, beside) for beside in columns) for block in rows),
    )


def _blocks(count: int, most: int) -> list[range]:
    size = -(-count // most) or 1
    return [range(start, min(start + size, count)) for start in range(0, count, size)]


def matrix_svg(whole: ChunkMatrix) -> Markup:
    """The matrix as squares, the darker the more is known; an empty one was not asked."""
    matrix = thinned(whole)
    width = LABEL + CELL * len(matrix.chunks)
    height = HEAD + CELL * len(matrix.checkpoints)
    parts = [
        f'<text class="below" x="{LABEL + CELL * column + CELL // 2}" y="{HEAD - 12}">'
        f"{escape(chunk.removeprefix('chunk-').lstrip('0') or '0')}</text>"
        for column, chunk in enumerate(matrix.chunks)
    ]
    for row, (checkpoint, values) in enumerate(zip(matrix.checkpoints, matrix.values, strict=True)):
        top = HEAD + CELL * row
        parts.append(f'<text class="left" x="{LABEL - 8}" y="{top + CELL - 7}">{escape(checkpoint)}</text>')
        for column, value in enumerate(values):
            place = f'x="{LABEL + CELL * column + 1}" y="{top + 1}" width="{CELL - 2}" height="{CELL - 2}"'
            if value is None:
                parts.append(f'<rect class="unseen" {place}/>')
            else:
                said = f"{checkpoint}, {matrix.chunks[column]}: {value:.4g}"
                shade = f'fill-opacity="{max(0.04, value):.3g}"'
                parts.append(f'<rect class="known" {shade} {place}><title>{escape(said)}</title></rect>')
    label = f"{whole.metric}: {len(whole.checkpoints)} checkpoints, {len(whole.chunks)} chunks"
    drawn = "".join(parts)
    return Markup(
        f'<svg class="chunks" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" '
        f'aria-label="{escape(label)}">{drawn}</svg>'
    )
