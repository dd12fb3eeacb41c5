"""Samples -> slim per-item outcomes: what every later statistic needs, without the texts.

One row per (task, filter, document): hashes of document, prompt and target, the log-likelihood of every
choice (nats) or of the whole text, the prediction, the target and every metric. A perplexity metric has its
log-likelihood as value and the number of words or bytes as weight.
"""

from collections.abc import Mapping, Sequence

import pyarrow as pa
from pydantic import JsonValue

from a360.identity import hash_value
from a360.results.answers import AnswerRow

Sample = Mapping[str, object]
"""What lm-eval says of one document; evaluators and graders of a360 write the same."""


SCHEMA = pa.schema(
    [
        ("task", pa.dictionary(pa.int16(), pa.string())),
        ("filter", pa.dictionary(pa.int8(), pa.string())),
        ("doc_id", pa.int32()),
        ("doc_hash", pa.string()),
        ("prompt_hash", pa.string()),
        ("target_hash", pa.string()),
        ("loglikelihoods", pa.list_(pa.float64())),
        ("prediction", pa.string()),
        ("target", pa.string()),
        ("metrics", pa.map_(pa.string(), pa.float64())),
        ("weights", pa.map_(pa.string(), pa.float64())),
    ],
    metadata={"schema": "a360.items/1"},
)


def item_table(samples: Mapping[str, Sequence[Sample]]) -> pa.Table:
    """The per-item outcomes of a benchmark, ordered by task, filter and document."""
    rows = [_row(task, sample) for task in sorted(samples) for sample in samples[task]]
    rows.sort(key=lambda row: (row["task"], row["filter"], row["doc_id"]))
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def answer_sample(
    number: int, answer: AnswerRow, *, right: JsonValue, target: str, said: str, values: Mapping[str, float]
) -> Sample:
    """One graded answer: ``said`` of it beside what is right, and its value of every metric.

    ``target`` is what is right in words, ``right`` all of what was compared with.
    """
    return {
        "doc_id": number,
        "filter": "none",
        "doc_hash": hash_value(answer.place),
        "prompt_hash": hash_value(answer.prompt),
        "target_hash": hash_value(right),
        "filtered_resps": [said],
        "target": target,
        "metrics": list(values),
        **values,
    }


def values_of(samples: Sequence[Sample], metric: str) -> list[float]:
    """Every sample's value of a metric."""
    return [float(str(sample[metric])) for sample in samples]


def _row(task: str, sample: Sample) -> dict[str, object]:
    loglikelihoods, prediction = _outcome(sample["filtered_resps"])
    metrics, weights = _metrics(sample)
    return {
        "task": task,
        "filter": sample["filter"],
        "doc_id": sample["doc_id"],
        "doc_hash": str(sample["doc_hash"])[:16],
        "prompt_hash": str(sample["prompt_hash"])[:16],
        "target_hash": str(sample["target_hash"])[:16],
        "loglikelihoods": loglikelihoods,
        "prediction": prediction,
        "target": str(sample["target"]),
        "metrics": metrics,
        "weights": weights,
    }


def _outcome(responses: object) -> tuple[list[float], str | None]:
    """Of choices their log-likelihoods and the likeliest, of a text its log-likelihood, else the answer."""
    if not isinstance(responses, list | tuple) or not responses:
        return [], None
    if isinstance(responses[0], str):
        return [], responses[0]
    if isinstance(responses[0], float | int):
        return [float(responses[0])], None
    likelihoods = [float(response[0]) for response in responses]
    return likelihoods, str(likelihoods.index(max(likelihoods)))


def _metrics(sample: Sample) -> tuple[list[tuple[str, float]], list[tuple[str, float]]]:
    metrics, weights = [], []
    names = sample["metrics"]
    for name in names if isinstance(names, list) else []:
        value = sample[name]
        if isinstance(value, list | tuple):
            metrics.append((name, float(value[0])))
            weights.append((name, float(value[1])))
        elif isinstance(value, bool | int | float) or hasattr(value, "__float__"):
            metrics.append((name, float(value)))
    return metrics, weights
