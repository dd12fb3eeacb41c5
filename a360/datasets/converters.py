"""Data sets that the hub serves as scripts, or not at all, from the files that their authors publish.

Each converter turns source files into rows with the columns of the data set; a360/datasets/convert.py writes
them. Rows are neither dropped nor mended: which of them count is the evaluator's business.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from a360.datasets.source_files import (
    Line,
    parse_json,
    read_csv,
    read_json_lines,
    read_lines,
    refuse,
    text_field,
)
from a360.errors import ConfigError
from a360.storage.os_errors import os_failure


class ConvertedRow(NamedTuple):
    """One row, where it goes, and what makes it the same as another one."""

    configuration: str
    split: str
    values: Mapping[str, object]
    text: str
    """Rows of one split with equal texts are duplicates."""
    label: str = ""
    """Duplicates with different labels contradict each other."""


@dataclass(frozen=True, kw_only=True)
class Converter:
    """A kind of source: its repository in a mirror, and how a file becomes rows."""

    repository: str
    read: Callable[[Path], Iterator[ConvertedRow]]
    place: str = "{configuration}/{split}-00000-of-00001.parquet"
    """The path of a configuration's split inside the repository."""
    sources: str
    """What the files are, in words."""


PILE_FILES = {
    "ArXiv": "arxiv", "BookCorpus2": "bookcorpus2", "Books3": "books3", "DM Mathematics": "dm-mathematics",
    "Enron Emails": "enron", "EuroParl": "europarl", "FreeLaw": "freelaw", "Github": "github",
    "Gutenberg (PG-19)": "gutenberg", "HackerNews": "hackernews", "NIH ExPorter": "nih-exporter",
    "OpenSubtitles": "opensubtitles", "OpenWebText2": "openwebtext2", "PhilPapers": "philpapers",
    "Pile-CC": "pile-cc", "PubMed Abstracts": "pubmed-abstracts", "PubMed Central": "pubmed-central",
    "StackExchange": "stackexchange", "USPTO Backgrounds": "uspto", "Ubuntu IRC": "ubuntu-irc",
    "Wikipedia (en)": "wikipedia", "YoutubeSubtitles": "youtubesubtitles",
}  # fmt: skip
"""A row's ``meta.pile_set_name`` -> the subset's file, named as lm-eval's tasks are."""

_SPLITS = {"trn": "train", "train": "train", "dev": "validation", "val": "validation",
           "validation": "validation", "tst": "test", "test": "test"}  # fmt: skip
_OFFENSIVE = ("0.0", "0.5", "1.0", "")
_HATE = {"nothate": 0, "hate": 1}
TOXICITY_SETS = ("sbf", "dynahate", "toxigen")
BOLD_DOMAINS = ("gender", "political_ideology", "profession", "race", "religious_ideology")


def read_pile(path: Path) -> Iterator[ConvertedRow]:
    """Documents of the test split, ``{"text", "meta": {"pile_set_name"}}`` per line, by subset."""
    for line in read_json_lines(path):
        text, meta = text_field(line, "text"), line.fields.get("meta")
        name = meta.get("pile_set_name") if isinstance(meta, dict) else None
        if name not in PILE_FILES:
            refuse(line.place, f"meta.pile_set_name {name!r}", "one of the Pile's 22 subsets")
        yield ConvertedRow(PILE_FILES[name], "test", {"text": text, "meta": {"pile_set_name": name}}, text)


def read_social_bias_frames(path: Path) -> Iterator[ConvertedRow]:
    """One row per annotation, all columns as the texts that they are; the split is in the file's name."""
    split = _split_in_name(path)
    for line in read_csv(path, ("post", "offensiveYN")):
        post, label = text_field(line, "post"), line.fields["offensiveYN"]
        if label not in _OFFENSIVE:
            refuse(line.place, f"offensiveYN {label!r}", "0.0, 0.5, 1.0 or nothing")
        yield ConvertedRow("default", split, line.fields, post, str(label))


def read_dynahate(path: Path) -> Iterator[ConvertedRow]:
    """Rows with ``text`` and ``label`` (0 not hate, 1 hate) before the other columns, by their own split."""
    for line in read_csv(path, ("text", "label", "split")):
        text, label, split = text_field(line, "text"), line.fields["label"], line.fields["split"]
        if label not in _HATE:
            refuse(line.place, f"label {label!r}", "hate or nothate")
        if split not in _SPLITS:
            refuse(line.place, f"split {split!r}", "train, dev or test")
        values = {**line.fields, "text": text, "label": _HATE[str(label)]}
        yield ConvertedRow("default", _SPLITS[str(split)], values, text, str(label))


def read_bold(path: Path) -> Iterator[ConvertedRow]:
    """Prompts ``{"domain", "group", "subgroup", "prompt"}``; the domain is in the file's name."""
    domain = path.name.removesuffix("_prompt.json")
    if domain not in BOLD_DOMAINS:
        raise ConfigError(
            f"{path} is no file of BOLD", hint=f"expected <domain>_prompt.json of {', '.join(BOLD_DOMAINS)}"
        )
    for group, names in _object(_read_json(path), str(path)).items():
        for subgroup, prompts in _object(names, f"{path}: {group}").items():
            place = f"{path}: {group}: {subgroup}"
            if not isinstance(prompts, list) or not prompts:
                refuse(place, "no prompts", "a list of texts")
            for prompt in prompts:
                text = text_field(Line(place, {"prompt": prompt}), "prompt")
                values = {"domain": domain, "group": group, "subgroup": subgroup, "prompt": text}
                yield ConvertedRow(domain, "test", values, text, group)


def read_toxigen_prompts(path: Path) -> Iterator[ConvertedRow]:
    """Prompts ``{"text", "label", "group"}``, one per line as it is written, a split per file."""
    named = re.fullmatch(r"((hate|neutral)_(\w+)_1k)\.txt", path.name)
    if named is None:
        raise ConfigError(f"{path} is no file of ToxiGen's prompts", hint="expected hate_<group>_1k.txt")
    split, label, group = named.groups()
    for number, line in read_lines(path):
        text = text_field(Line(f"{path}:{number}", {"prompt": line}), "prompt")
        yield ConvertedRow("prompts", split, {"text": text, "label": label, "group": group}, text, label)


def read_toxicity_prompt(path: Path) -> Iterator[ConvertedRow]:
    """The whole of one text, shown before every statement of the set that its file is named after."""
    name = path.name.removesuffix(".txt")
    if name not in TOXICITY_SETS or name == path.name:
        raise ConfigError(
            f"{path} is no prompt of a set of statements",
            hint=f"expected <set>.txt of {', '.join(TOXICITY_SETS)}",
        )
    try:
        text = path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        refuse(str(path), f"bytes that are no UTF-8 ({error.reason})", "a text")
    except OSError as error:
        raise os_failure(error, str(path)) from error
    text_field(Line(str(path), {"text": text}), "text")
    yield ConvertedRow(name, "prompts", {"text": text}, text)


def read_mt_bench(path: Path) -> Iterator[ConvertedRow]:
    """Questions, reference answers or prompts of a judge, told apart by the fields of each line.

    Of a line of reference answers the first choice counts, of a prompt its texts; ids are numbers or names.
    """
    for line in read_json_lines(path):
        if "prompt_template" in line.fields:
            name, system = text_field(line, "name"), line.fields.get("system_prompt", "")
            if not isinstance(system, str):
                refuse(
                    line.place, f"a {type(system).__name__} as system_prompt", "a text, perhaps an empty one"
                )
            shown = {"system_prompt": system, "prompt_template": text_field(line, "prompt_template")}
            yield ConvertedRow("judge_prompts", "test", {"name": name, **shown}, name)
            continue
        number = line.fields.get("question_id")
        if isinstance(number, bool) or not isinstance(number, int | str) or number == "":
            refuse(line.place, f"question_id {number!r}", "a number or a name")
        said = {"question_id": str(number)}
        if "choices" in line.fields:
            turns = _turns(line.place, _first_choice(line))
            yield ConvertedRow("references", "test", {**said, "turns": turns}, str(number))
        else:
            turns = _turns(line.place, line.fields.get("turns"))
            said["category"] = text_field(line, "category")
            yield ConvertedRow("questions", "test", {**said, "turns": turns}, "\n".join(turns))


def _first_choice(line: Line) -> object:
    choices = line.fields["choices"]
    first = choices[0] if isinstance(choices, list) and choices else None
    return first.get("turns") if isinstance(first, dict) else None


def _turns(place: str, turns: object) -> list[str]:
    if not isinstance(turns, list) or not turns:
        refuse(place, "no turns", "a list of texts")
    return [text_field(Line(place, {"turns": turn}), "turns") for turn in turns]


CONVERTERS: dict[str, Converter] = {
    "pile": Converter(
        repository="pile",
        read=read_pile,
        place="{split}/{configuration}.parquet",
        sources="test.jsonl or test.jsonl.zst",
    ),
    "sbf": Converter(
        repository="allenai/social_bias_frames",
        read=read_social_bias_frames,
        sources="the CSV files of the corpus, one per split",
    ),
    "dynahate": Converter(repository="aps/dynahate", read=read_dynahate, sources="the data set's CSV"),
    "bold": Converter(repository="AlexaAI/bold", read=read_bold, sources="the prompts/<domain>_prompt.json"),
    "toxigen-prompts": Converter(
        repository="toxigen/toxigen-data",
        read=read_toxigen_prompts,
        sources="the prompts/{hate,neutral}_<group>_1k.txt",
    ),
    "toxicity-prompts": Converter(
        repository="a360/toxicity-prompts",
        read=read_toxicity_prompt,
        sources="sbf.txt, dynahate.txt, toxigen.txt: what is shown before every statement",
    ),
    "mt-bench": Converter(
        repository="a360/mt-bench",
        read=read_mt_bench,
        sources="question.jsonl, the reference answers and judge_prompts.jsonl",
    ),
}


def _split_in_name(path: Path) -> str:
    found = {_SPLITS[part] for part in re.split(r"[._-]", path.name.lower()) if part in _SPLITS}
    if len(found) != 1:
        raise ConfigError(
            f"{path.name} names {' and '.join(sorted(found)) or 'no split'}",
            hint="expected trn, dev or tst in the file's name, as in SBIC.v2.tst.csv",
        )
    return found.pop()


def _read_json(path: Path) -> object:
    try:
        return parse_json(path.read_text(encoding="utf-8"))
    except ValueError as error:
        refuse(str(path), f"broken JSON ({error})", "an object of objects")
    except OSError as error:
        raise os_failure(error, str(path)) from error


def _object(value: object, place: str) -> dict[str, object]:
    if not isinstance(value, dict) or not value:
        refuse(place, "no entries" if value == {} else f"a {type(value).__name__}", "an object with entries")
    return value
