"""The demo's rows about everyday life, reading and people: real schemas, one right answer each."""

import ast
from collections import Counter
from collections.abc import Callable

import pytest

from a360.demo.everyday import copa_rows, openbook_rows, piqa_rows, siqa_rows, swag_rows, winogrande_rows
from a360.demo.questions import Row, Splits, arc_rows
from a360.demo.reading import drop_rows, race_rows, triviaqa_rows
from a360.demo.society import CROWS_WORDS, HAZARDS, crows_rows, toxigen_rows, wmdp_rows

MAKERS: dict[str, tuple[Callable[[], Splits], set[str]]] = {
    "arc-easy": (lambda: arc_rows("arc-easy"), {"id", "question", "choices", "answerKey"}),
    "openbookqa": (openbook_rows, {"id", "question_stem", "choices", "answerKey"}),
    "piqa": (piqa_rows, {"goal", "sol1", "sol2", "label"}),
    "siqa": (siqa_rows, {"context", "question", "answerA", "answerB", "answerC", "label"}),
    "winogrande": (winogrande_rows, {"sentence", "option1", "option2", "answer"}),
    "copa": (copa_rows, {"premise", "choice1", "choice2", "question", "idx", "label"}),
    "swag": (
        swag_rows,
        {"video-id", "fold-ind", "startphrase", "sent1", "sent2", "gold-source", "label"}
        | {f"ending{i}" for i in range(4)},
    ),
    "race": (race_rows, {"article", "problems"}),
    "drop": (
        drop_rows, {"section_id", "query_id", "passage", "question", "answer", "validated_answers"}
    ),
    "triviaqa": (
        triviaqa_rows,
        {"question", "question_id", "question_source", "entity_pages", "search_results", "answer"},
    ),
    "crows": (crows_rows, {"id", "sent_more", "sent_less", "stereo_antistereo", "bias_type"}),
    "toxigen": (
        toxigen_rows,
        {
            "text", "target_group", "factual?", "ingroup_effect", "lewd", "framing", "predicted_group",
            "stereotyping", "intent", "toxicity_ai", "toxicity_human", "predicted_author", "actual_method",
        },
    ),
    **{name: (lambda name=name: wmdp_rows(name), {"answer", "question", "choices"}) for name in HAZARDS},  # type: ignore[misc]
}  # fmt: skip


def every_row(splits: Splits) -> list[Row]:
    return [row for rows in splits.values() for row in rows]


@pytest.mark.parametrize("name", MAKERS)
def test_rows_have_the_real_columns_and_none_occurs_twice(name: str) -> None:
    make, columns = MAKERS[name]
    splits = make()
    rows = every_row(splits)
    assert all(row.keys() == columns for row in rows)
    assert len({repr(row) for row in rows}) == len(rows)
    evaluated = splits.get("test") or splits["validation"]
    assert len(evaluated) >= (8 if name.startswith("wmdp") else 24)
    assert make() == splits


@pytest.mark.parametrize(
    ("make", "column"),
    [(piqa_rows, "label"), (copa_rows, "label"), (siqa_rows, "label"), (winogrande_rows, "answer"),
     (swag_rows, "label"), (openbook_rows, "answerKey")],
)  # fmt: skip
def test_right_answers_are_spread(make: Callable[[], Splits], column: str) -> None:
    counts = Counter(str(row[column]) for row in every_row(make()))
    assert len(counts) >= 2
    assert max(counts.values()) <= 0.75 * sum(counts.values())


def test_a_twin_of_winogrande_asks_for_the_other_option() -> None:
    right: dict[str, set[object]] = {}
    for row in every_row(winogrande_rows()):
        assert str(row["sentence"]).count("_") == 1
        stem = str(row["sentence"]).partition("_")[0]
        right.setdefault(stem, set()).add(row[f"option{row['answer']}"])
    assert len(right) == 18
    assert all(len(answers) == 2 for answers in right.values())


def test_a_race_answer_is_told_in_the_article() -> None:
    for row in every_row(race_rows()):
        problems = ast.literal_eval(str(row["problems"]))
        assert len(problems) == 3
        for problem in problems:
            assert len(set(problem["options"])) == 4
            answer = problem["options"]["ABCD".index(problem["answer"])]
            assert answer.lower() in str(row["article"]).lower()
    assert any("  _  ." in str(row["problems"]) for row in every_row(race_rows()))


def test_drop_has_answers_of_every_kind() -> None:
    kinds = Counter[str]()
    for row in every_row(drop_rows()):
        answer = row["answer"]
        assert isinstance(answer, dict)
        kinds["number"] += answer["number"] != ""
        kinds["spans"] += bool(answer["spans"])
        kinds["date"] += answer["date"]["year"] != ""
    assert min(kinds.values()) >= 6
    assert sum(kinds.values()) == 36


def test_crows_pairs_have_three_rows_of_each_of_the_ten_types() -> None:
    rows = every_row(crows_rows())
    assert Counter(row["bias_type"] for row in rows) == dict.fromkeys(CROWS_WORDS, 3)
    assert len(CROWS_WORDS) == 10
    assert all(row["sent_more"] != row["sent_less"] for row in rows)


def test_toxigen_has_ratings_on_both_sides_of_the_line() -> None:
    rows = toxigen_rows()["test"]
    toxic = [float(str(row["toxicity_ai"])) + float(str(row["toxicity_human"])) > 5.5 for row in rows]
    assert 6 <= sum(toxic) <= 18
