"""The demo's rows: true, in the real schemas, and the same every time."""

import re
from collections import Counter
from itertools import product
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml

from a360.benchmarks.catalogue import CATALOGUE
from a360.benchmarks.mmlu import mmlu_macros
from a360.datasets.mirror import (
    MANIFEST_NAME,
    MODELS,
    build_manifest,
    data_revision,
    manifest_hash,
    read_manifest,
    write_manifest,
)
from a360.datasets.staging import verify_files
from a360.demo import facts_craft, facts_nature, facts_world
from a360.demo.facts import FactTable, questions
from a360.demo.questions import SUBJECTS, Row, Splits, arc_rows, boolq_rows, mmlu_rows, truthful_rows
from a360.demo.rows import LONG_CHARS, SHORT_CHARS, heldout_rows, write_mirror
from a360.demo.stories import gsm8k_rows, hellaswag_rows, wikitext_rows
from a360.demo.text import SOURCES, Document
from a360.errors import ConfigError, DataError

TABLES = [
    value
    for room in (facts_craft, facts_nature, facts_world)
    for value in vars(room).values()
    if isinstance(value, FactTable)
]
TRUE_ANSWERS = {(question.text, question.answer) for table in TABLES for question in questions(table)}
HELDOUT = tuple(
    Document(source=source, name=f"{source}{number}", text=f"line {number}\n" * (120 if number % 5 else 1500))
    for source in SOURCES
    for number in range(60)
)

OTHER = tuple(Document(source=each.source, name=f"{each.name}x", text=each.text) for each in HELDOUT)


def texts(splits: Splits, split: str, column: str = "question") -> list[str]:
    return [str(row[column]) for row in splits[split]]


def right_choice(row: Row) -> str:
    """The choice that an ARC row calls right."""
    choices = row["choices"]
    assert isinstance(choices, dict)
    return str(choices["text"][choices["label"].index(row["answerKey"])])


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.title)
def test_a_table_gives_unambiguous_questions(table: FactTable) -> None:
    terms = [fact.term for fact in table.facts]
    assert len(set(terms)) == len(terms) >= 7
    assert all(fact.term and fact.value for fact in table.facts)
    assert (table.ask_back is None) == (len(table.values) < len(terms))
    for question in questions(table):
        assert question.answer not in question.wrong
        assert len(set(question.wrong)) == len(question.wrong) >= 4
        assert "{" not in question.text.replace("{1}", "")


@pytest.mark.parametrize("subject", SUBJECTS)
def test_an_mmlu_subject_has_rows_for_every_split_and_true_answers(subject: str) -> None:
    splits = mmlu_rows(subject)
    assert {split: len(rows) for split, rows in splits.items()} == {"test": 2, "validation": 1, "dev": 5}
    asked = [text for split in splits for text in texts(splits, split)]
    assert len(set(asked)) == 8
    for row in (row for rows in splits.values() for row in rows):
        choices, answer = row["choices"], row["answer"]
        assert isinstance(choices, list)
        assert isinstance(answer, int)
        assert len(set(choices)) == 4
        assert (row["question"], choices[answer]) in TRUE_ANSWERS
        assert row["subject"] == subject


def test_the_subjects_are_those_of_mmlu() -> None:
    (everything,) = (macro for macro in mmlu_macros() if macro.subset is None)
    assert sorted(f"mmlu_{subject}" for subject in SUBJECTS) == sorted(everything.tasks)


def test_arc_rows_have_true_answers_and_every_shape_of_choices() -> None:
    splits = arc_rows()
    assert {split: len(rows) for split, rows in splits.items()} == {"test": 24, "train": 40, "validation": 8}
    rows = [row for rows in splits.values() for row in rows]
    assert len({row["question"] for row in rows}) == len(rows)
    shapes: Counter[tuple[int, bool]] = Counter()
    for row in rows:
        assert (row["question"], right_choice(row)) in TRUE_ANSWERS
        assert isinstance(row["choices"], dict)
        labels = row["choices"]["label"]
        assert len(labels) == len(set(row["choices"]["text"]))
        shapes[len(labels), labels[0] == "1"] += 1
    assert {size for size, _ in shapes} == {3, 4, 5}
    assert {digits for _, digits in shapes} == {True, False}


def test_the_right_answers_are_spread_over_the_labels() -> None:
    mmlu = Counter(row["answer"] for subject in SUBJECTS for row in mmlu_rows(subject)["test"])
    assert set(mmlu) == {0, 1, 2, 3}
    assert max(mmlu.values()) < 45
    assert len({row["label"] for row in hellaswag_rows()["validation"]}) == 4


def test_truthful_rows_put_the_true_choice_first() -> None:
    rows = truthful_rows()["validation"]
    assert len({row["question"] for row in rows}) == len(rows) == 24
    stated = {table.state.format(term=f.term, value=f.value) for table in TABLES for f in table.facts}
    for row in rows:
        mc1, mc2 = row["mc1_targets"], row["mc2_targets"]
        assert isinstance(mc1, dict)
        assert isinstance(mc2, dict)
        assert mc1["labels"] == [1, 0, 0, 0]
        assert mc2["labels"] == [1, 1, 0, 0, 0]
        assert mc1["choices"] == [mc2["choices"][0], *mc2["choices"][2:]]
        true = [choice for choice in mc2["choices"] if choice in stated or lowered(choice) in stated]
        assert true == mc2["choices"][:1]
        assert len(set(mc2["choices"])) == 5


def lowered(text: str) -> str:
    return text[0].lower() + text[1:]


def test_a_boolq_answer_is_yes_exactly_when_the_passage_says_so() -> None:
    splits = boolq_rows()
    assert {split: len(rows) for split, rows in splits.items()} == {"validation": 24, "train": 8}
    true = {table.check.format(term=f.term, value=f.value).lower() for table in TABLES for f in table.facts}
    told: dict[str, set[str]] = {}
    for table in TABLES:
        for fact, value in product(table.facts, table.values):
            asked = table.check.format(term=fact.term, value=value).lower()
            told.setdefault(asked, set()).add(table.state.format(term=fact.term, value=fact.value).lower())
    assert [row["label"] for row in splits["validation"]].count(1) == 12
    for row in (row for rows in splits.values() for row in rows):
        assert (row["question"] in true) == (row["label"] == 1)
        assert sum(statement in str(row["passage"]).lower() for statement in told[str(row["question"])]) == 1
        assert row["question"] == str(row["question"]).lower().rstrip("?")
        assert str(row["passage"]).count(". ") == 2


def test_hellaswag_rows_end_in_the_activity_s_own_words() -> None:
    splits = hellaswag_rows()
    assert {split: len(rows) for split, rows in splits.items()} == {"validation": 24, "train": 36}
    for row in (row for rows in splits.values() for row in rows):
        endings, label = row["endings"], row["label"]
        assert isinstance(endings, list)
        assert isinstance(label, str)
        assert len(set(endings)) == 4
        told = " ".join(facts_craft.ACTIVITIES[str(row["activity_label"])].split()).lower()
        assert f"{row['ctx']} {endings[int(label)]}".lower() in told
        assert sum(f"{row['ctx']} {ending}".lower() in told for ending in endings) == 1


def test_gsm8k_solutions_compute_what_they_say() -> None:
    splits = gsm8k_rows()
    assert {split: len(rows) for split, rows in splits.items()} == {"test": 24, "train": 36}
    asked = [text.strip() for text in texts(splits, "test") + texts(splits, "train")]
    assert len(set(asked)) == len(asked)
    for answer in texts(splits, "test", "answer") + texts(splits, "train", "answer"):
        sums = re.findall(r"<<(\d+)([-+*/])(\d+)=(\d+)>>", answer)
        for left, sign, right, result in sums:
            a, b, c = int(left), int(right), int(result)
            assert {"+": a + b == c, "-": a - b == c, "*": a * b == c, "/": b * c == a}[sign]
        assert answer.endswith(f"\n#### {sums[-1][3]}")


def test_wikitext_pages_are_long_enough_and_differ() -> None:
    splits = wikitext_rows()
    assert {split: len(rows) for split, rows in splits.items()} == {"test": 24, "train": 8, "validation": 6}
    pages = [page for split in splits for page in texts(splits, split, "page")]
    assert len({page.split("\n")[0] for page in pages}) == len(pages)
    for page in pages:
        assert len(page.split()) >= 200
        assert re.match(r" = [\w -]+ = \n \n [A-Z]", page)
        assert len(re.findall(r"\n = = [\w -]+ = = \n \n ", page)) == 4


def test_held_out_rows_are_beginnings_and_a_few_are_longer_than_a_window() -> None:
    known = {document.name: document.text for document in HELDOUT}
    for source in SOURCES:
        rows = heldout_rows(HELDOUT, source)["test"]
        assert len({row["name"] for row in rows}) == len(rows) == 24
        lengths = [len(str(row["text"])) for row in rows]
        assert sorted(lengths)[-2] > LONG_CHARS - 20
        assert sorted(lengths)[-3] <= SHORT_CHARS
        for row in rows:
            assert row["source"] == source
            assert known[str(row["name"])].startswith(str(row["text"]))
            assert str(row["text"]).endswith("\n")


def test_the_mirror_serves_every_demo_benchmark_and_names_real_files(tmp_path: Path) -> None:
    manifest = write_mirror(tmp_path / "mirror", HELDOUT)
    assert manifest.stand_in
    assert read_manifest(tmp_path / "mirror") == manifest
    for benchmark in CATALOGUE.values():
        assert data_revision(manifest, benchmark.places())
    for name, repository in manifest.repositories.items():
        if name.startswith(MODELS):
            assert repository.files
            continue
        readme = (tmp_path / "mirror" / name / "README.md").read_text()
        configurations = yaml.safe_load(readme.split("---\n")[1])["configs"]
        named = {file["path"] for each in configurations for file in each["data_files"]}
        present = {re.sub(r"-00000-of-00001\.parquet$", "-*", path) for path in repository.files}
        index = {".huggingface.yaml"} if len(configurations) > 1 else set()
        assert named | {"README.md"} | index == present


def test_the_mirror_is_the_same_to_the_byte_and_written_once(tmp_path: Path) -> None:
    manifest = write_mirror(tmp_path / "one", HELDOUT)
    assert write_mirror(tmp_path / "two", HELDOUT) == manifest
    written = (tmp_path / "one" / MANIFEST_NAME).stat().st_ino
    assert write_mirror(tmp_path / "one", HELDOUT) == manifest
    assert (tmp_path / "one" / MANIFEST_NAME).stat().st_ino == written
    assert manifest_hash(write_mirror(tmp_path / "three", OTHER)) != manifest_hash(manifest)


def test_a_damaged_or_older_mirror_is_replaced(tmp_path: Path) -> None:
    target = tmp_path / "mirror"
    write_mirror(target, OTHER)
    manifest = write_mirror(target, HELDOUT)
    assert read_manifest(target) == manifest
    file = target / "cais/mmlu/anatomy/test-00000-of-00001.parquet"
    file.write_bytes(b"PAR1")
    write_mirror(target, HELDOUT)
    verify_files(target, manifest, ["cais/mmlu"])
    assert pq.read_table(file).num_rows == 2
    assert [path.name for path in tmp_path.iterdir()] == ["mirror"]


def test_nothing_but_the_demo_s_own_mirror_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "me.png").write_text("x")
    with pytest.raises(ConfigError, match="exists and is not a mirror"):
        write_mirror(tmp_path / "photos", HELDOUT)
    real = tmp_path / "real"
    (real / "cais/mmlu").mkdir(parents=True)
    (real / "cais/mmlu/README.md").write_text("real")
    write_manifest(real, build_manifest(real, stand_in=False, revisions={"cais/mmlu": "r1"}))
    with pytest.raises(ConfigError, match="is a mirror of real data sets"):
        write_mirror(real, HELDOUT)
    assert (tmp_path / "photos" / "me.png").exists()
    assert (real / "cais/mmlu/README.md").read_text() == "real"


def test_a_write_that_fails_leaves_no_mirror(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"demo-heldout/language-reference has no rows for its split test"):
        write_mirror(tmp_path / "mirror", ())
    assert not list(tmp_path.iterdir())
