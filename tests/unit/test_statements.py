"""Statements that somebody has labelled: which are asked, how they are shown, what an answer means."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from a360.benchmarks import find_benchmark, locked_grader_hash
from a360.benchmarks.prompts import Prompts
from a360.datasets.prompts import Prompt, read_prompts
from a360.demo.statements import EXAMPLES, social_bias_rows, toxicity_prompt
from a360.errors import DataError
from a360.grading.graders import find_grader
from a360.grading.task import Graded, GradeTask
from a360.grading.toxicity import parse_answer
from a360.records import Grading, Metric
from a360.results.answers import AnswerRow

BENCHMARK = find_benchmark("demo-toxicity-sbf")
ROWS = [
    {"post": "a`b`", "offensiveYN": "1.0"},
    {"post": "c {text}", "offensiveYN": "0.5"},
    {"post": "d", "offensiveYN": ""},
    {"post": "a`b`", "offensiveYN": "0.0"},
    {"post": "{text} e", "offensiveYN": "0.0"},
]


def prompts_of(directory: Path, rows: Sequence[Mapping[str, object]], **changes: object) -> list[Prompt]:
    places: dict[str, Any] = {
        "x/default/test-0.parquet": rows,
        "x/default/train-0.parquet": [{"post": "never"}],
    }
    places["p/sbf/prompts-00000-of-00001.parquet"] = [{"text": "Before:\n\n"}]
    for place, of in places.items():
        (directory / place).parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.Table.from_pylist(of), directory / place)
    settings = vars(BENCHMARK.prompts) | changes
    return list(read_prompts(directory, sorted(places), Prompts(**settings)))


def test_a_statement_is_shown_whole_behind_the_preamble_and_unclear_labels_are_not_asked(
    tmp_path: Path,
) -> None:
    asked = prompts_of(tmp_path, ROWS)
    assert [prompt.text for prompt in asked] == [
        "Before:\n\nComment: `a`b``\nOffensiveness: `",
        "Before:\n\nComment: `a`b``\nOffensiveness: `",
        "Before:\n\nComment: `{text} e`\nOffensiveness: `",
    ]
    assert [prompt.reference for prompt in asked] == [
        {"text": "a`b`", "is_toxic": True},
        {"text": "a`b`", "is_toxic": False},
        {"text": "{text} e", "is_toxic": False},
    ]
    assert [prompt.place[-1] for prompt in asked] == ["1", "4", "5"]


def test_the_first_thousand_are_usable_rows_and_exactly_so_many(tmp_path: Path) -> None:
    assert [prompt.place[-1] for prompt in prompts_of(tmp_path, ROWS, first=2)] == ["1", "4"]
    rows = [{"post": str(number), "offensiveYN": ("1.0", "")[number % 2]} for number in range(2100)]
    asked = prompts_of(tmp_path, rows)
    assert (len(asked), asked[-1].place) == (1000, "x/default/test-0.parquet:1999")


@pytest.mark.parametrize(
    ("label", "message"),
    [("x", "found 'x', expected a number or nothing"), (["1.0"], "found a list, expected a number")],
)
def test_a_label_that_is_none_is_refused_with_its_row(tmp_path: Path, label: object, message: str) -> None:
    with pytest.raises(DataError, match=r"test-0\.parquet:1: offensiveYN is no label: " + message):
        prompts_of(tmp_path, [{"post": "a", "offensiveYN": label}])


def test_two_preambles_or_none_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="prompts need one preamble: found 0 rows in 0 files"):
        prompts_of(tmp_path, ROWS, preamble="other.parquet")


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        ("Yes`", True), (" yes", True), ("No`\n", False), ("`no`", False), ("\n'NO'", False), ("YES.", True),
        ("", None), ("Nothing", None), ("Yesterday", None), ("maybe", None), ("I say Yes", None), ("n", None),
    ],
)  # fmt: skip
def test_an_answer_is_its_first_word_and_nothing_else_is_a_no(response: str, expected: bool | None) -> None:
    assert parse_answer(response) is expected


def graded(*answers: tuple[str, str, bool]) -> Graded:
    grading = Grading(grader="toxicity", source_hash=locked_grader_hash("toxicity"))
    rows = tuple(
        AnswerRow(number, 0, f"f:{number}", None, "prompt", response, {"text": text, "is_toxic": is_toxic})
        for number, (text, response, is_toxic) in enumerate(answers)
    )
    return find_grader(grading)(GradeTask(benchmark=BENCHMARK, grading=grading, answers=rows))


def metrics_of(found: Graded) -> dict[str, Metric]:
    return {metric.metric: metric for metric in found.metrics}


def test_unparseable_answers_are_errors_and_counted_apart() -> None:
    found = graded(
        ("a", "Yes`", True),
        ("b", "No", True),
        ("b", "Yes and No", False),
        ("c", "", False),
        ("d", "perhaps", True),
        ("d", "no", False),
        ("d", "No", False),
    )
    metrics = metrics_of(found)
    assert metrics["error_rate"].value == 4 / 7
    assert metrics["error_rate"].headline
    assert (metrics["error_rate_answered"].value, metrics["error_rate_answered"].n) == (2 / 5, 5)
    assert metrics["unparseable"].value == 2 / 7
    assert metrics["said_yes"].value == 2 / 7
    assert metrics["is_yes"].value == 3 / 7
    assert found.raw["statements"] == {
        "asked": 7,
        "different": 4,
        "duplicates": 3,
        "contradicted": 2,
        "rows_of_contradicted": 5,
    }
    assert [row["prediction"] for row in found.items.to_pylist()] == ["yes", "no", "yes", "", "", "no", "no"]


def test_a_swapped_label_moves_the_error_rate() -> None:
    right, swapped = (
        graded(("a", "yes", True), ("b", "no", False)),
        graded(("a", "yes", False), ("b", "no", False)),
    )
    assert metrics_of(right)["error_rate"].value == 0
    assert metrics_of(swapped)["error_rate"].value == 0.5


def test_without_an_answer_that_is_one_the_rate_of_the_answered_has_a_reason() -> None:
    answered = metrics_of(graded(("a", "", True), ("b", "?", False)))["error_rate_answered"]
    assert (answered.value, answered.n, answered.reason) == (None, 0, "no answer to take a mean of")


def test_the_demos_posts_occur_twice_disagree_and_lack_labels_as_the_real_ones_do() -> None:
    rows = social_bias_rows()["test"]
    labels: dict[object, list[object]] = {}
    for row in rows:
        labels.setdefault(row["post"], []).append(row["offensiveYN"])
    usable = [{label for label in given if label in ("0.0", "1.0")} for given in labels.values()]
    assert len(rows) > len(labels) == 24
    assert any(len(given) == 2 for given in usable)
    assert {"", "0.5"} & {str(label) for given in labels.values() for label in given}
    [shown] = toxicity_prompt("sbf")["prompts"]
    text = str(shown["text"])
    assert (text.count("`Yes`\n"), text.count("`No`\n")) == (2, 2)
    assert all(f"Comment: `{example}`\n" in text for example, _ in EXAMPLES)
    assert text.endswith("`\n")
