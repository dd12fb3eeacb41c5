"""The accuracy of ``demo-next-word`` from a store's files, by a plain program that imports nothing of a360.

The real word is read from the mirror's rows, not from what was stored beside the answers.
"""

import json
import statistics
from pathlib import Path
from typing import NamedTuple

import pyarrow.parquet as pq

WORDS = 32


class Expected(NamedTuple):
    """What a result must say."""

    acc: float
    stderr: float
    empty: float
    by_source: dict[str, float]


def next_word_of(store_dir: Path, mirror_dir: Path, checkpoint: str) -> Expected:
    """The numbers of a checkpoint's committed generation."""
    [path] = (store_dir / "v1" / "generations").rglob(f"demo-next-word/{checkpoint}@*.json")
    rows = pq.read_table(store_dir / json.loads(path.read_text())["answers"]["key"]).to_pylist()
    hits: dict[str, list[int]] = {}
    empty = 0
    for row in rows:
        file, _, number = row["place"].rpartition(":")
        text = pq.read_table(mirror_dir / file)["text"][int(number) - 1].as_py()
        assert text.startswith(row["prompt"])
        real = text.split()[WORDS]
        said = row["response"].split()
        empty += not said
        hits.setdefault(row["group"], []).append(int(bool(said) and said[0] == real))
    flat = [hit for source in sorted(hits) for hit in hits[source]]
    return Expected(
        acc=sum(flat) / len(flat),
        stderr=statistics.stdev(flat) / len(flat) ** 0.5,
        empty=empty / len(rows),
        by_source={source: sum(of) / len(of) for source, of in hits.items()},
    )
