"""The report of a training run as files: tables, coverage, figures and the page, written when they changed.

``render_report`` is pure; ``put_report`` keeps any store equal to what it returns, ``publish_report`` a
local directory, so that a report in the bucket and one on the desk are the same bytes.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from a360.dynamics.memorization import Matches
from a360.errors import MissingError
from a360.publish.averages import all_curves, average_table
from a360.publish.coverage import coverage_bytes
from a360.publish.figures import render_figures
from a360.publish.html import render_page
from a360.publish.memorization import FILE_NAME, memorization_bytes
from a360.publish.rows import BenchmarkView, csv_bytes, parquet_bytes, tidy_table
from a360.results.collect import Collected
from a360.storage import Store, open_store

PAGE = "report.html"
FIGURES = "figures/"


@dataclass(frozen=True, kw_only=True)
class Published:
    """Where a report is and which of its files this call changed."""

    out_dir: Path
    files: tuple[str, ...]
    changed: tuple[str, ...]
    """Names below ``out_dir``, removed figures too; empty when everything was up to date."""

    @property
    def page_path(self) -> Path:
        """The HTML page."""
        return self.out_dir / PAGE


def render_report(
    collected: Collected, views: Mapping[str, BenchmarkView], matches: Matches | None = None
) -> dict[str, bytes]:
    """File name -> bytes of a whole report; equal results give equal bytes.

    ``matches`` are the outcomes of memorization, where there are some.
    """
    averages = average_table(collected, all_curves(collected, views))
    table = pa.concat_tables([tidy_table(collected.results), averages])
    figures = render_figures(collected, views)
    return {
        "coverage.json": coverage_bytes(collected),
        **({FILE_NAME: memorization_bytes(collected, matches)} if matches else {}),
        "table.csv": csv_bytes(table),
        "table.parquet": parquet_bytes(table),
        **{f"{FIGURES}{name}": data for name, data in figures.items()},
        PAGE: render_page(collected, views),
    }


def publish_report(
    collected: Collected,
    views: Mapping[str, BenchmarkView],
    out_dir: Path,
    matches: Matches | None = None,
) -> Published:
    """Makes ``out_dir`` hold the report.

    Raises:
        ConfigError: the directory cannot be written.
        TransientError: the disk is full.
    """
    files = render_report(collected, views, matches)
    changed = put_report(open_store(f"file://{out_dir.absolute()}"), files)
    return Published(out_dir=out_dir, files=tuple(files), changed=changed)


_OWN_FIGURE = re.compile(rf"{FIGURES}(average|downstream|perplexity)\.(svg|pdf|png)")


def put_report(store: Store, files: Mapping[str, bytes], prefix: str = "") -> tuple[str, ...]:
    """The names of the files that were written or removed below ``prefix`` (empty, or ending in a slash).

    The page, which speaks of the other files, comes last. What is already there is not touched. Figures that
    the report no longer has are removed.
    """
    changed = [name for name, data in files.items() if _put(store, f"{prefix}{name}", data)]
    for entry in list(store.list(f"{prefix}{FIGURES}")):
        name = entry.key.removeprefix(prefix)
        if name not in files and _OWN_FIGURE.fullmatch(name):
            store.delete(entry.key)
            changed.append(name)
    return tuple(changed)


def _put(store: Store, key: str, data: bytes) -> bool:
    """Whether the file had to be written."""
    try:
        if store.read(key) == data:
            return False
    except MissingError:
        pass
    store.write(key, data)
    return True
