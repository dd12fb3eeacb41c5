"""The prompts of a benchmark of the generation evaluator, made of the rows that its data ids name."""

import re
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

from pydantic import JsonValue

from a360.benchmarks import Prompts
from a360.datasets.row_files import Row, read_rows
from a360.datasets.templates import TEMPLATES
from a360.errors import DataError


class Prompt(NamedTuple):
    """What is shown to a model, and what a grader compares the answer with."""

    text: str
    group: str | None
    place: str
    reference: dict[str, JsonValue]


def read_prompts(mirror_dir: Path, paths: Iterable[str], prompts: Prompts) -> Iterator[Prompt]:
    """The prompts of some files of a mirror, in the order of the paths and of their rows.

    Rows that their template calls unusable are passed over; ``first`` counts the others.

    Raises:
        DataError: a row, an example or the preamble cannot be read, or a text has too few words.
    """
    places = list(paths)
    before = _preamble(mirror_dir, places, prompts.preamble) + _examples(mirror_dir, places, prompts)
    made = 0
    for row in read_rows(mirror_dir, _row_files(places, prompts), _fields(prompts)):
        if made == prompts.first:
            return
        if prompt := _prompt(row, prompts, before):
            made += 1
            yield prompt


def _row_files(places: Iterable[str], prompts: Prompts) -> list[str]:
    rows = [place for place in places if not _ends_in(place, prompts.preamble)]
    return [place for place in rows if prompts.files is None or fnmatchcase(place, prompts.files)]


def _fields(prompts: Prompts) -> set[str]:
    named = {prompts.text, *prompts.reference}
    if prompts.template:
        named |= TEMPLATES[prompts.template].fields
    return named | {field for field in (prompts.group, prompts.label) if field}


def _prompt(row: Row, prompts: Prompts, before: str) -> Prompt | None:
    reference = {name: _json(row, name) for name in prompts.reference}
    text = row.text(prompts.text)
    if prompts.template:
        shown = TEMPLATES[prompts.template].show(row, prompts)
        if shown is None:
            return None
        text, reference = shown.text, reference | shown.reference
    elif prompts.words is not None:
        text, word = _first_words(text, row.place, prompts.words)
        reference["word"] = word
    if prompts.strip:
        text = text.strip()
    return Prompt(before + text, row.group(prompts.group), row.place, reference)


def _json(row: Row, name: str) -> JsonValue:
    value = row.field(name)
    if value is None or isinstance(value, str | int | float | bool | list | dict):
        return value
    row.refuse(f"{name} is no JSON", f"a {type(value).__name__}", "a text, a number, a list or an object")


def _preamble(mirror_dir: Path, places: Iterable[str], ending: str | None) -> str:
    """The one text of the preamble's file, as it stands there; nothing where there is no preamble."""
    if ending is None:
        return ""
    found = [place for place in places if _ends_in(place, ending)]
    texts = [row.text("text") for row in read_rows(mirror_dir, found, {"text"})]
    if len(texts) != 1:
        raise DataError(
            f"prompts need one preamble: found {len(texts)} rows in {len(found)} files ending in {ending}",
            hint="a360 data convert toxicity-prompts writes it from the text file of the set.",
        )
    return texts[0]


def _examples(mirror_dir: Path, places: Iterable[str], prompts: Prompts) -> str:
    """The examples as they stand before every text, each with an empty line behind it."""
    template = TEMPLATES[prompts.template] if prompts.template else None
    if template is None or template.solve is None:
        return ""
    files = [place for place in places if fnmatchcase(place, str(prompts.example_files))]
    fields = {prompts.text, "task_id", "code", *template.fields}
    rows = {row.field("task_id"): row for row in read_rows(mirror_dir, files, fields)}
    if missing := [number for number in prompts.examples if number not in rows]:
        raise DataError(
            f"prompts need their examples: found none with the task_id {', '.join(map(str, missing))} "
            f"in {len(files)} files {prompts.example_files}, expected one of each",
            hint="Mirror the data again, with all of its files.",
        )
    parts = []
    for row in (rows[number] for number in prompts.examples):
        shown = template.show(row, prompts)
        parts.append(f"{shown.text if shown else ''}{template.solve(row)}\n\n")
    return "".join(parts)


def _ends_in(place: str, ending: str | None) -> bool:
    return ending is not None and f"/{place}".endswith(f"/{ending}")


def _first_words(text: str, place: str, words: int) -> tuple[str, str]:
    """The text up to the end of a word, as it is written there, and the word after it."""
    ends = [match.end() for match in re.finditer(r"\S+", text)]
    if len(ends) <= words:
        raise DataError(
            f"text is too short: {place}: found {len(ends)} words, expected more than {words}",
            hint="Take it out of the data, or show fewer words.",
        )
    shown, rest = text[: ends[words - 1]], text[ends[words - 1] :]
    return shown, rest.split(maxsplit=1)[0]
