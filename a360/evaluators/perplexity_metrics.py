r"""Scored documents -> metric records and items of a perplexity benchmark. Pure.

With ll a sum of log-likelihoods (nats) and w the tokens, words or bytes of the same documents, pooled:
perplexity = exp(-ll / w), bits per byte = -ll / (bytes ln 2).
Source: lm_eval/api/metrics.py of 0.4.13, ``weighted_perplexity`` and ``bits_per_byte``; words are what
``re.split(r"\s+", text)`` gives, bytes those of UTF-8 (lm_eval/api/task.py).
The document perplexity is the arithmetic mean over documents of exp(-ll / tokens); a few documents that the
model finds unlikely dominate it.
Source: Hugging Face's measurement ``perplexity`` (mean_perplexity), which LLM360's ``average per doc`` uses.
"""

import hashlib
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import pyarrow as pa

from a360.benchmarks import Benchmark, GroupSubset
from a360.evaluators.metrics import TOO_LARGE, exp, finite, macro_mean, mean
from a360.records import Aggregation, Metric
from a360.results.headline import mark_headline
from a360.results.items import item_table


class Scored(NamedTuple):
    """A document's numbers; the log-likelihood in nats is that of its scored tokens."""

    group: str
    place: str
    sha256: str
    loglikelihood: float
    tokens: int
    words: int
    bytes: int

    @property
    def perplexity(self) -> float | None:
        """exp(-ll / tokens); None beyond the largest float."""
        return exp(-self.loglikelihood / self.tokens)


class Sizes(NamedTuple):
    """What a text is measured by."""

    sha256: str
    words: int
    bytes: int


WEIGHTS: dict[str, Callable[[Scored], int]] = {
    "token_perplexity": lambda document: document.tokens,
    "word_perplexity": lambda document: document.words,
    "byte_perplexity": lambda document: document.bytes,
    "bits_per_byte": lambda document: document.bytes,
}
"""Pooled metric -> what a log-likelihood is divided by."""
DOCUMENT = "document_perplexity"


def measure_text(text: str) -> Sizes:
    """Hash, words and bytes of a text."""
    data = text.encode()
    return Sizes(hashlib.sha256(data).hexdigest(), len(re.split(r"\s+", text)), len(data))


def perplexity_records(benchmark: Benchmark, documents: Sequence[Scored]) -> tuple[Metric, ...]:
    """Every metric per group (item), pooled (micro) and as a mean over groups (macro); one is the headline.

    A benchmark whose documents are not divided has pooled metrics only.
    """
    texts = benchmark.texts
    records = _records(benchmark.task, documents, "micro")
    if texts and texts.group:
        groups = by_group(documents)
        parts = {name: _records(name, groups[name], "item") for name in sorted(groups)}
        records += [record for part in parts.values() for record in part]
        records += [macro_mean(benchmark, None, same) for same in zip(*parts.values(), strict=True)]
        if texts.average_groups:
            records += _average(benchmark, texts.average_groups, groups, parts)
    return mark_headline(benchmark, records)


def by_group(documents: Sequence[Scored]) -> dict[str, list[Scored]]:
    """The documents of each group."""
    groups: dict[str, list[Scored]] = {}
    for document in documents:
        groups.setdefault(document.group, []).append(document)
    return groups


def perplexity_items(documents: Sequence[Scored]) -> pa.Table:
    """The per-item outcomes in the schema of all evaluators: the task is the group, the target the place.

    A pooled metric has its log-likelihood as value and the number of tokens, words or bytes as weight.
    """
    samples = {
        group: [_sample(number, document) for number, document in enumerate(members)]
        for group, members in by_group(documents).items()
    }
    return item_table(samples)


def _sample(number: int, document: Scored) -> dict[str, object]:
    return {
        "doc_id": number,
        "filter": "none",
        "doc_hash": document.sha256,
        "prompt_hash": document.sha256,
        "target_hash": document.sha256,
        "filtered_resps": [document.loglikelihood],
        "target": document.place,
        "metrics": [*WEIGHTS, DOCUMENT],
        **{name: (document.loglikelihood, weight(document)) for name, weight in WEIGHTS.items()},
        DOCUMENT: document.perplexity,
    }


def _records(task: str, documents: Sequence[Scored], aggregation: Aggregation) -> list[Metric]:
    """The five metrics of some documents taken together."""
    total = math.fsum(document.loglikelihood for document in documents)
    records = []
    for metric, weight in WEIGHTS.items():
        rate = -total / sum(weight(document) for document in documents)
        value = rate / math.log(2) if metric == "bits_per_byte" else exp(rate)
        records.append(_record(metric, task, aggregation, value, len(documents)))
    return [*records, _document_mean(task, documents, aggregation)]


def _record(metric: str, task: str, aggregation: Aggregation, value: float | None, n: int) -> Metric:
    return Metric(
        metric=metric,
        filter="none",
        task=task,
        aggregation=aggregation,
        value=value,
        stderr=None,
        n=n,
        direction="lower",
        reason=TOO_LARGE if value is None else None,
    )


def _document_mean(task: str, documents: Sequence[Scored], aggregation: Aggregation) -> Metric:
    """Mean and its standard error: sample standard deviation / sqrt(n), none for one document."""
    values = [value for document in documents if (value := document.perplexity) is not None]
    n = len(documents)
    value = mean(values) if len(values) == n else None
    record = _record(DOCUMENT, task, aggregation, value, n)
    if value is None or n == 1:
        return record
    deviation = math.hypot(*(each - value for each in values))  # squares would exceed the largest float
    return record.model_copy(update={"stderr": finite(deviation / math.sqrt((n - 1) * n))})


def _average(
    benchmark: Benchmark,
    subset: GroupSubset,
    groups: Mapping[str, Sequence[Scored]],
    parts: Mapping[str, Sequence[Metric]],
) -> list[Metric]:
    """LLM360's ``average per doc`` over the documents of some groups, and the mean of those groups' means."""
    absent = [name for name in subset.groups if name not in groups]
    if absent:
        reason = f"no documents of {', '.join(absent)}"
        empty = {"subset": subset.label, "reason": reason}
        ways: tuple[Aggregation, ...] = ("micro", "macro")
        return [_record(DOCUMENT, benchmark.task, way, None, 0).model_copy(update=empty) for way in ways]
    documents = [document for name in subset.groups for document in groups[name]]
    pooled = _document_mean(benchmark.task, documents, "micro").model_copy(update={"subset": subset.label})
    means = [record for name in subset.groups for record in parts[name] if record.metric == DOCUMENT]
    return [pooled, macro_mean(benchmark, subset.label, means)]
