"""What is made of continued training sequences: shares of matching tokens and of whole matches. Pure.

``token_match`` is the share of positions with the right token, each by itself: what goes wrong once may be
right behind it. ``full_match`` is the share of sequences that are right at every position, "memorized".

Source: Biderman and others, 2023 (arXiv 2304.11158), section 2.1.
"""

from collections.abc import Sequence
from typing import NamedTuple

import pyarrow as pa

from a360.benchmarks import Memorization
from a360.datasets.sequences import TrainingSequence
from a360.identity import hash_value
from a360.records import Metric
from a360.results.items import Sample, item_table
from a360.results.means import mean_record

METRICS = ("token_match", "full_match")


class Continued(NamedTuple):
    """A sequence, and at which positions of its continuation the model was right."""

    chunk: str
    line: int
    source: str
    place: str
    matches: tuple[bool, ...]

    @classmethod
    def compare(cls, sequence: TrainingSequence, asked: Memorization, said: Sequence[int]) -> "Continued":
        """What a model said beside what stood there, position by position."""
        right = sequence.tokens[asked.shown_tokens : asked.shown_tokens + asked.asked_tokens]
        matches = tuple(mine == its for mine, its in zip(right, said, strict=True))
        return cls(sequence.chunk, sequence.line, sequence.source, sequence.place, matches)

    def value(self, metric: str) -> float:
        """The sequence's value of a metric of ``METRICS``."""
        return float(all(self.matches)) if metric == "full_match" else sum(self.matches) / len(self.matches)


def memorization_records(task: str, continued: Sequence[Continued]) -> list[Metric]:
    """Both metrics of every chunk (item), of every source (subset), and of all sequences (micro)."""
    records = []
    for metric in METRICS:
        for chunk in sorted({each.chunk for each in continued}):
            values = [each.value(metric) for each in continued if each.chunk == chunk]
            records.append(mean_record(metric, chunk, "item", values, "lower"))
        for source in sorted({each.source for each in continued}):
            values = [each.value(metric) for each in continued if each.source == source]
            records.append(mean_record(metric, task, "micro", values, "lower", subset=source))
        values = [each.value(metric) for each in continued]
        records.append(mean_record(metric, task, "micro", values, "lower"))
    return records


def memorization_items(continued: Sequence[Continued]) -> pa.Table:
    """One row per sequence: its line in the chunk, which positions were right (``1011…``), its source."""
    samples: dict[str, list[Sample]] = {}
    for each in continued:
        sample: Sample = {
            "doc_id": each.line,
            "filter": "none",
            "doc_hash": hash_value(each.place),
            "prompt_hash": hash_value(each.place),
            "target_hash": hash_value(each.source),
            "filtered_resps": ["".join("01"[right] for right in each.matches)],
            "target": each.source,
            "metrics": list(METRICS),
            **{metric: each.value(metric) for metric in METRICS},
        }
        samples.setdefault(each.chunk, []).append(sample)
    return item_table(samples)
