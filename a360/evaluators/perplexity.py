"""The perplexity evaluator: log-likelihoods of whole documents, window by window, on a loaded model.

Called by a360/evaluate.py beside the harness evaluator, with documents from a360/datasets/texts.py. Every
document is tokenised first, without the tokenizer's own special tokens, so that what cannot be scored is
known before the first batch. A window is one request of the journal. Results depend neither on the batch
size nor on the tokenizer's padding side: windows are padded on the right and padding is never scored.
"""

import math
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from typing import TypeAlias

from lm_eval.api.instance import Instance
from lm_eval.api.model import CacheHook
from pydantic import JsonValue

from a360.benchmarks import Benchmark, Texts
from a360.datasets.texts import Document
from a360.errors import DataError
from a360.evaluators.harness import Outcome
from a360.evaluators.journaled_lm import JournaledLM, MeasuringHFLM
from a360.evaluators.perplexity_metrics import (
    Scored,
    by_group,
    measure_text,
    perplexity_items,
    perplexity_records,
)
from a360.evaluators.windows import Cut, make_cut
from a360.records import Protocol
from a360.results.journal import Journal

SLICE_BATCHES = 64
"""Batches of windows that are cut at once; a corpus of lists of Python integers would not fit."""
MAX_GROUPS = 500
"""More groups would not fit a commit marker, nor any reader."""

Tokens: TypeAlias = "array[int]"


def evaluate_perplexity(
    benchmark: Benchmark,
    protocol: Protocol,
    documents: Iterable[Document],
    model: MeasuringHFLM,
    journal: Journal,
    on_progress: Callable[[int, int], None],
) -> Outcome:
    """Metrics and items of one perplexity benchmark. ``on_progress`` gets (windows answered, windows).

    Raises:
        ConfigError: window or stride do not fit the model.
        DataError: a document cannot be scored, or the model gives NaN.
    """
    texts = benchmark.texts or Texts()
    chosen = _choose(benchmark, documents, protocol.limit)
    cut = make_cut(texts, model.max_length, model.prefix_token_id)
    encoded = _encode(benchmark, chosen, cut, model)
    windows = sum(cut.count(len(tokens)) for tokens in encoded)
    lm = JournaledLM(model, journal, lambda answered, _: on_progress(answered, windows))
    try:
        loglikelihoods = _score(lm, encoded, cut)
    finally:
        model.set_cache_hook(CacheHook(None))  # else a cycle of references keeps the weights
    scored = [
        _scored(benchmark, document, loglikelihood, cut.scored_tokens(len(tokens)))
        for document, tokens, loglikelihood in zip(chosen, encoded, loglikelihoods, strict=True)
    ]
    return Outcome(
        metrics=perplexity_records(benchmark, scored),
        items=perplexity_items(scored),
        raw=_raw(texts, cut, scored),
        **lm.asked(),
    )


def _choose(benchmark: Benchmark, documents: Iterable[Document], limit: int | None) -> list[Document]:
    """All documents, or the first so many of every group; the rest is read too, for it may be damaged."""
    counts: dict[str | None, int] = {}
    chosen = []
    for document in documents:
        counts[document.group] = counts.get(document.group, 0) + 1
        if limit is None or counts[document.group] <= limit:
            chosen.append(document)
    places = ", ".join(benchmark.data)
    if not chosen:
        raise DataError(f"no documents: benchmark {benchmark.id}: the files of {places} have no row")
    if len(counts) > MAX_GROUPS:
        raise DataError(
            f"too many groups: benchmark {benchmark.id}: the documents of {places} are in "
            f"{len(counts):,} groups, expected at most {MAX_GROUPS}",
            hint="Group by a field with fewer values, or by none.",
        )
    return chosen


def _encode(
    benchmark: Benchmark, documents: Sequence[Document], cut: Cut, model: MeasuringHFLM
) -> list[Tokens]:
    encoded = [
        array("i", model.tok_encode(document.text, add_special_tokens=False)) for document in documents
    ]
    empty = [
        document.place
        for document, tokens in zip(documents, encoded, strict=True)
        if not cut.scored_tokens(len(tokens))
    ]
    if empty:
        named = ", ".join(empty[:3]) + (", …" if len(empty) > 3 else "")
        raise DataError(
            f"documents without a token to score: benchmark {benchmark.id}: {len(empty):,} of "
            f"{len(encoded):,}: {named}",
            hint="Take them out of the data: no perplexity is defined for them.",
        )
    return encoded


def _score(lm: JournaledLM, encoded: Sequence[Tokens], cut: Cut) -> list[float]:
    """The sum of log-likelihoods of every document, in nats; the longest documents are asked first."""
    parts: list[list[float]] = [[] for _ in encoded]
    order = sorted(range(len(encoded)), key=lambda number: -len(encoded[number]))
    for numbers in _slices(order, encoded, cut, lm.model.batch_size * SLICE_BATCHES):
        requests = [
            Instance(request_type="loglikelihood", doc={}, arguments=(f"{number}:{place}", *window), idx=0)
            for number in numbers
            for place, window in enumerate(cut.windows(encoded[number].tolist()))
        ]
        for request, answer in zip(requests, lm.loglikelihood_windows(requests), strict=True):
            parts[int(request.args[0].partition(":")[0])].append(answer)
    return [math.fsum(part) for part in parts]


def _slices(
    order: Sequence[int], encoded: Sequence[Tokens], cut: Cut, least_windows: int
) -> Iterator[list[int]]:
    part: list[int] = []
    windows = 0
    for number in order:
        part.append(number)
        windows += cut.count(len(encoded[number]))
        if windows >= least_windows:
            yield part
            part, windows = [], 0
    if part:
        yield part


def _scored(benchmark: Benchmark, document: Document, loglikelihood: float, tokens: int) -> Scored:
    sizes = measure_text(document.text)
    return Scored(
        group=benchmark.task if document.group is None else document.group,
        place=document.place,
        loglikelihood=loglikelihood,
        tokens=tokens,
        **sizes._asdict(),
    )


def _raw(texts: Texts, cut: Cut, documents: Sequence[Scored]) -> dict[str, JsonValue]:
    """The settings as resolved for this model, and what was counted in each group."""
    groups: dict[str, JsonValue] = {
        group: {
            "documents": len(members),
            "loglikelihood": math.fsum(member.loglikelihood for member in members),
            "tokens": sum(member.tokens for member in members),
            "words": sum(member.words for member in members),
            "bytes": sum(member.bytes for member in members),
        }
        for group, members in sorted(by_group(documents).items())
    }
    return {"texts": {"text": texts.text, "group": texts.group, **asdict(cut)}, "groups": groups}
