"""Texts of somebody's own in a suite, and the protocol of a row of the perplexity evaluator."""

import re
from dataclasses import fields, replace
from pathlib import Path

import pytest

import a360.benchmarks.texts as texts_module
from a360.benchmarks import CATALOGUE, Benchmark, GroupSubset, Texts, find_benchmark, locked_task_hash
from a360.benchmarks.choices import AverageGroups, OwnTexts
from a360.benchmarks.pile import ASSUMED_18, SUBSETS
from a360.benchmarks.texts import texts_hash
from a360.datasets.mirror import MirrorFile, MirrorManifest, MirrorRepository
from a360.demo.pile_rows import MANNERS, pile_10k_rows, pile_rows
from a360.errors import ConfigError
from a360.identity import generation_key
from a360.plan import build_protocols
from a360.suite import Suite, parse_suite

FILE = MirrorFile(bytes=1, sha256="0" * 64)
OTHERS = {
    "text": Texts(text="body"),
    "group": Texts(group="g"),
    "window": Texts(window=7),
    "stride": Texts(stride=3),
    "prefix": Texts(prefix="none"),
    "average_groups": Texts(average_groups=GroupSubset(label="l", groups=("a",))),
}
"""By field, what differs from the defaults in that field."""


def suite(texts: str, benchmarks: str = "[]") -> Suite:
    text = f"""
name: own
model: {{name: m, root: root, naming: {{pattern: 'step_(?P<step>[0-9]+)'}}}}
store: {{uri: store}}
data: {{mirror: mirror}}
benchmarks: {benchmarks}
texts: {texts}
"""
    return parse_suite(text, where="own.yaml", base_dir=Path("/"))


def manifest(*folders: str, stand_in: bool = False) -> MirrorManifest:
    files = {f"{folder}/a.jsonl": FILE for folder in folders}
    return MirrorManifest(
        stand_in=stand_in, repositories={"own": MirrorRepository(revision="1", files=files)}
    )


NOTES = "[{id: notes, data: own/notes, group: meta.source, window: 64, stride: 32, limit: 5}]"


def test_own_texts_are_a_benchmark_of_the_suite_beside_those_of_the_catalogue() -> None:
    whole = suite(NOTES, "[boolq]")
    assert [(row.id, limit) for row, limit in whole.chosen()] == [("boolq", None), ("notes", 5)]
    assert whole.find_benchmark("boolq") is CATALOGUE["boolq"]
    row = whole.find_benchmark("notes")
    assert (row.kind, row.evaluator, row.data) == ("perplexity", "perplexity", ("own/notes",))
    assert row.texts == Texts(group="meta.source", window=64, stride=32)
    with pytest.raises(LookupError, match="unknown benchmark 'nots'"):
        whole.find_benchmark("nots")


@pytest.mark.parametrize("stand_in", [False, True])
def test_own_texts_are_planned_on_any_mirror_that_has_them(stand_in: bool) -> None:
    protocols = build_protocols(suite(NOTES), manifest("notes", stand_in=stand_in)).protocols
    assert protocols["notes"].limit == 5
    assert protocols["notes"].task_hash == texts_hash(Texts(group="meta.source", window=64, stride=32))
    missing = build_protocols(suite(NOTES), manifest("other")).unavailable
    assert "data missing: the mirror has no data own/notes" in missing["notes"].reason


def test_an_id_of_the_catalogue_cannot_be_taken() -> None:
    with pytest.raises(ConfigError, match=r"texts\.0\.id: 'boolq' is a benchmark of the catalogue"):
        suite("[{id: boolq, data: own/notes}]")


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        ("[{id: a, data: d}, {id: a, data: e}]", "benchmark 'a' is named twice"),
        ("[]", "benchmarks is empty, expected at least 1 id"),
        ("[{id: A B, data: d}]", r"texts\.0\.id: .*pattern"),
        ("[{id: a, data: /d}]", r"texts\.0\.data: .*pattern"),
        ("[{id: a}]", r"texts\.0\.data: is required"),
        (
            "[{id: a, data: d, window: 8, stride: 9}]",
            r"texts\.0: stride is 9, expected at most the window",
        ),
        ("[{id: a, data: d, groups: x}]", r"texts\.0\.groups: unknown key"),
        ("[{id: a, data: d, average_groups: {groups: [x]}}]", r"texts\.0: average_groups without group"),
    ],
)
def test_a_fault_in_own_texts_names_its_place(texts: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        suite(texts)


def test_everything_that_somebody_sets_for_own_texts_reaches_the_row() -> None:
    average = AverageGroups(groups=("x", "y"))
    row = OwnTexts(
        id="a", data="d", text="body", group="g", window=7, stride=3, average_groups=average
    ).benchmark()
    subset = GroupSubset(label="assumed-2", groups=("x", "y"))
    assert row.texts == Texts(text="body", group="g", window=7, stride=3, average_groups=subset)


PILE_17 = "[{id: pile, average_groups: {label: without-owt2, groups: [ArXiv, Github]}}, pile-10k, boolq]"


def test_a_suite_says_which_groups_of_the_pile_are_averaged_and_the_protocol_follows() -> None:
    whole = suite("[]", PILE_17)
    subset = GroupSubset(label="without-owt2", groups=("ArXiv", "Github"))
    texts = Texts(group="meta.pile_set_name", average_groups=subset)
    assert whole.find_benchmark("pile").texts == texts
    assert whole.chosen()[0].benchmark == whole.find_benchmark("pile")
    assert whole.find_benchmark("pile-10k") == CATALOGUE["pile-10k"]
    files = {"test/arxiv.parquet": FILE}
    pile = MirrorManifest(stand_in=False, repositories={"pile": MirrorRepository(revision="1", files=files)})
    chosen, usual = (
        build_protocols(suite("[]", benchmarks), pile).protocols["pile"] for benchmarks in (PILE_17, "[pile]")
    )
    assert chosen.task_hash == texts_hash(texts)
    assert usual.task_hash == locked_task_hash(CATALOGUE["pile"])
    assert generation_key("digest", chosen) != generation_key("digest", usual)
    same = suite("[]", f"[{{id: pile, average_groups: {{groups: [{', '.join(ASSUMED_18.groups)}]}}}}]")
    assert same.find_benchmark("pile") == CATALOGUE["pile"], "the catalogue's list, under its label"


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        (
            "{id: pile, average_groups: {groups: [Arxiv]}}",
            "pile has no group 'Arxiv', expected such as 'ArXiv'",
        ),
        ("{id: pile, average_groups: {groups: []}}", r"average_groups\.groups: .*at least 1 item"),
        ("{id: pile, average_groups: {groups: [ArXiv, ArXiv]}}", "'ArXiv' is named twice"),
        ("{id: pile, average_groups: {groups: [ArXiv], label: A b}}", r"average_groups\.label: .*pattern"),
        (
            "{id: boolq, average_groups: {groups: [x]}}",
            "average_groups of boolq, whose documents have no groups",
        ),
    ],
)
def test_groups_to_average_that_are_not_there_are_refused_by_name(choice: str, said: str) -> None:
    with pytest.raises(ConfigError, match=rf"benchmarks\.0.*{said}"):
        suite("[]", f"[{choice}]")


def test_the_hash_of_texts_covers_every_setting_and_the_evaluators_version(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plain = texts_hash(Texts())
    assert {field.name for field in fields(Texts)} == OTHERS.keys()
    hashes = [texts_hash(texts) for texts in OTHERS.values()]
    assert len({plain, *hashes}) == 1 + len(OTHERS)
    assert locked_task_hash(find_benchmark("pile")) == locked_task_hash(find_benchmark("demo-pile"))
    monkeypatch.setattr(texts_module, "PERPLEXITY_VERSION", 2)
    assert texts_hash(Texts()) != plain


def test_a_row_has_texts_exactly_when_the_perplexity_evaluator_scores_it() -> None:
    row = find_benchmark("pile")
    with pytest.raises(ValueError, match="benchmark pile: the perplexity evaluator, and no other, has texts"):
        replace(row, texts=None)
    with pytest.raises(ValueError, match="has texts"):
        replace(row, evaluator="harness")
    assert isinstance(row, Benchmark)


def test_the_pile_has_22_subsets_and_the_assumed_list_18_of_them() -> None:
    assert len(set(SUBSETS)) == 22
    assert len(ASSUMED_18.groups) == 18
    assert set(ASSUMED_18.groups) < set(SUBSETS)


def test_the_demos_pile_has_two_short_documents_of_every_subset() -> None:
    assert MANNERS.keys() == set(SUBSETS)
    rows = pile_rows()
    assert len(rows) == 22
    texts = [str(row["text"]) for members in rows.values() for row in members]
    assert len(set(texts)) == 44
    assert all(100 < len(text) < 2000 for text in texts)
    assert not [text for text in texts if re.search(r"\{(title|term|value|ask|[sS]tate)\}", text)]
    assert [row["meta"] for row in rows["gutenberg_pg_19"]] == [{"pile_set_name": "Gutenberg (PG-19)"}] * 2
    assert pile_10k_rows()["train"] == [row for members in rows.values() for row in members]
