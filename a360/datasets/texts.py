"""The documents of a perplexity benchmark: a text of every row, and the group that the row belongs to."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from a360.benchmarks import Texts
from a360.datasets.row_files import read_rows


class Document(NamedTuple):
    """One text, the group it belongs to, and where it was read, for messages."""

    text: str
    group: str | None
    place: str


def read_texts(mirror_dir: Path, paths: Iterable[str], texts: Texts) -> Iterator[Document]:
    """The documents of some files of a mirror, in the order of the paths and of their rows.

    Raises:
        DataError: a file is of no known kind or damaged, a line is broken, a field is missing, a text is
            empty or no text; always with file and line or row, and what was expected.
    """
    fields = [field for field in (texts.text, texts.group) if field]
    for row in read_rows(mirror_dir, paths, fields):
        yield Document(row.text(texts.text), row.group(texts.group), row.place)
