"""The questions of a benchmark of the conversation evaluator, each with all that a judge will be shown.

A grade job has no mirror: reference answers and the judge's prompts travel with the answers. Nothing is
skipped: a question without a reference that its category needs, or named twice, ends the evaluation.
"""

from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

from pydantic import JsonValue

from a360.benchmarks import Conversations
from a360.datasets.row_files import Row, kind_of, read_rows
from a360.errors import DataError


class Conversation(NamedTuple):
    """One question of several turns."""

    id: str
    group: str
    place: str
    turns: tuple[str, ...]
    references: tuple[str, ...] | None
    """The right answer to each turn; None where the judge sees none."""
    judge_prompts: tuple[dict[str, JsonValue], ...]
    """For each turn the name and the texts of what the judge is shown."""


def read_conversations(
    mirror_dir: Path, paths: Iterable[str], settings: Conversations
) -> Iterator[Conversation]:
    """The questions of some files of a mirror, in the order of the paths and of their rows.

    Raises:
        DataError: a row cannot be read, a question is there twice, has another number of turns than there are
            prompts for the judge, or lacks its reference; a prompt of the judge is missing.
    """
    places = list(paths)
    references = _by_id(mirror_dir, places, settings.references)
    prompts = _judge_prompts(mirror_dir, places, settings)
    fields = {"question_id", "category", "turns"}
    seen: set[str] = set()
    for row in read_rows(mirror_dir, _matching(places, settings.questions), fields):
        number, group, turns = _id(row), row.group("category") or "", _turns(row)
        if number in seen:
            row.refuse("the question is there twice", number, "every question_id once")
        seen.add(number)
        if len(turns) != len(settings.templates):
            row.refuse(
                "the question has too many or few turns", str(len(turns)), str(len(settings.templates))
            )
        compared = group in settings.reference_categories
        right = references.get(number) if compared else None
        if compared and (right is None or len(right) != len(turns)):
            found = "none" if right is None else f"{len(right)} turns"
            row.refuse(
                f"question {number} of {group} lacks its reference answer", found, f"{len(turns)} turns"
            )
        names = settings.reference_templates if compared else settings.templates
        yield Conversation(number, group, row.place, turns, right, tuple(prompts[name] for name in names))


def _matching(places: Iterable[str], pattern: str) -> list[str]:
    return [place for place in places if fnmatchcase(place, pattern)]


def _by_id(mirror_dir: Path, places: Iterable[str], pattern: str) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for row in read_rows(mirror_dir, _matching(places, pattern), {"question_id", "turns"}):
        if _id(row) in found:
            row.refuse("the reference is there twice", _id(row), "every question_id once")
        found[_id(row)] = _turns(row)
    return found


def _judge_prompts(
    mirror_dir: Path, places: Iterable[str], settings: Conversations
) -> dict[str, dict[str, JsonValue]]:
    """The prompts that the settings name, by name."""
    wanted = {*settings.templates, *settings.reference_templates}
    fields = {"name", "system_prompt", "prompt_template"}
    found: dict[str, dict[str, JsonValue]] = {}
    for row in read_rows(mirror_dir, _matching(places, f"{settings.judge_prompts}/*"), fields):
        name = row.text("name")
        if name not in wanted:
            continue
        if name in found:
            row.refuse("the judge's prompt is there twice", name, "every name once")
        system = row.field("system_prompt")
        if not isinstance(system, str):
            row.refuse("system_prompt is no text", f"a {kind_of(system)}", "a string, perhaps an empty one")
        found[name] = {"name": name, "system": system, "template": row.text("prompt_template")}
    if missing := sorted(wanted - found.keys()):
        raise DataError(
            f"judge has no prompt {missing[0]}: {settings.judge_prompts}: "
            f"found {', '.join(found) or 'none'}, "
            f"expected {', '.join(sorted(wanted))}",
            hint="a360 data convert mt-bench writes them from the file of judge prompts.",
        )
    return found


def _id(row: Row) -> str:
    return row.group("question_id") or ""


def _turns(row: Row) -> tuple[str, ...]:
    turns = row.field("turns")
    if not isinstance(turns, list) or not turns or not all(isinstance(turn, str) and turn for turn in turns):
        row.refuse("turns is no list of texts", f"a {kind_of(turns)}", "one text for each turn")
    return tuple(turns)
