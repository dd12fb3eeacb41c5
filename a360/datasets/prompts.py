"""The prompts of a benchmark of the generation evaluator, made of the texts that its data ids name."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from pydantic import JsonValue

from a360.benchmarks import Prompts, Texts
from a360.datasets.texts import Document, read_texts
from a360.errors import DataError


class Prompt(NamedTuple):
    """What is shown to a model, and what a grader compares the answer with."""

    text: str
    group: str | None
    place: str
    reference: dict[str, JsonValue]


def read_prompts(mirror_dir: Path, paths: Iterable[str], prompts: Prompts) -> Iterator[Prompt]:
    """The prompts of some files of a mirror, in the order of the paths and of their rows.

    Raises:
        DataError: a text cannot be read, or has too few words.
    """
    texts = Texts(text=prompts.text, group=prompts.group)
    for document in read_texts(mirror_dir, paths, texts):
        if prompts.words is None:
            yield Prompt(document.text, document.group, document.place, {})
        else:
            yield _first_words(document, prompts.words)


def _first_words(document: Document, words: int) -> Prompt:
    """The text up to the end of a word, as it is written there; the word after it is the reference."""
    ends = [match.end() for match in re.finditer(r"\S+", document.text)]
    if len(ends) <= words:
        raise DataError(
            f"text is too short: {document.place}: found {len(ends)} words, expected more than {words}",
            hint="Take it out of the data, or show fewer words.",
        )
    shown, rest = document.text[: ends[words - 1]], document.text[ends[words - 1] :]
    return Prompt(shown, document.group, document.place, {"word": rest.split(maxsplit=1)[0]})
