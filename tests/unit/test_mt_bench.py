"""MT-bench: what is asked, what a judge is shown, and what its judgments come to."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import JsonValue

from a360.benchmarks import Conversations, find_benchmark, locked_grader_hash, locked_task_hash
from a360.benchmarks.conversations import conversations_hash
from a360.benchmarks.prompts import Decoding
from a360.datasets.conversations import Conversation, read_conversations
from a360.datasets.convert import convert_data
from a360.datasets.mirror import MirrorFile, MirrorManifest, MirrorRepository
from a360.datasets.target import MirrorTarget
from a360.demo.conversations import judge_prompt_rows, question_rows, reference_rows
from a360.errors import ConfigError, DataError
from a360.grading.graders import find_grader
from a360.grading.mt_bench import fill_template
from a360.grading.task import AskJudge, Graded, GradeTask, Judgment, Question
from a360.identity import hash_value
from a360.plan import History, build_protocols, make_plan
from a360.records import Grading, Metric, Plan
from a360.results.answers import AnswerRow
from a360.results.places import CommitName
from a360.suite import Suite
from tests.documents import make_discovery, make_suite

BENCHMARK = find_benchmark("demo-mt-bench")
SETTINGS = BENCHMARK.conversations or pytest.fail("no conversations")
GRADING = Grading(grader="mt_bench", source_hash=locked_grader_hash("mt_bench"), judge_model="m")
JUDGE = "judge: {model: gpt, url: 'http://127.0.0.1:1/v1'}"

# --- what is asked -----------------------------------------------------------------------------------


def test_temperatures_are_those_of_the_categories_and_part_of_the_protocol() -> None:
    decoding = find_benchmark("mt-bench").decoding
    assert decoding
    assert decoding.document() == {
        "max_new_tokens": 1024,
        "until": [],
        "seed": 0,
        "temperatures": {
            "writing": 0.7, "roleplay": 0.7, "extraction": 0.0, "math": 0.0, "coding": 0.0,
            "reasoning": 0.0, "stem": 0.1, "humanities": 0.1,
        },
    }  # fmt: skip
    assert "temperatures" not in Decoding(max_new_tokens=1).document()
    twin = BENCHMARK.decoding
    assert twin
    assert (twin.max_new_tokens, twin.temperatures) == (32, decoding.temperatures)


def test_conversations_are_their_own_lock() -> None:
    assert locked_task_hash(BENCHMARK) == conversations_hash(SETTINGS)
    other = Conversations(**{**vars(SETTINGS), "reference_categories": ("math",)})
    assert conversations_hash(other) != conversations_hash(SETTINGS)


def written(directory: Path, **changes: list[dict[str, object]]) -> list[Conversation]:
    """The conversations of a mirror with the demo's rows, some of them exchanged."""
    rows = {
        "questions": question_rows()["test"],
        "references": reference_rows()["test"],
        "judge_prompts": judge_prompt_rows()["test"],
        **changes,
    }
    places = []
    for name, of in rows.items():
        places.append(f"a360/mt-bench/{name}/test-0.parquet")
        (directory / places[-1]).parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.Table.from_pylist(of), directory / places[-1])
    return list(read_conversations(directory, places, SETTINGS))


def test_a_question_comes_with_its_right_answers_and_the_prompts_of_its_category(tmp_path: Path) -> None:
    writing, math, reasoning, stem = written(tmp_path)
    assert (math.id, math.group, math.turns) == ("102", "math", ("What is 17 plus 25?", "Double the result."))
    assert math.references == ("42", "84")
    assert [prompt["name"] for prompt in math.judge_prompts] == [
        "single-math-v1", "single-math-v1-multi-turn",
    ]  # fmt: skip
    assert reasoning.references == ("Jan", "Tom")
    for other in (writing, stem):
        assert other.references is None
        assert [prompt["name"] for prompt in other.judge_prompts] == ["single-v1", "single-v1-multi-turn"]
    assert writing.place == "a360/mt-bench/questions/test-0.parquet:1"


QUESTIONS = question_rows()["test"]
REFERENCES = reference_rows()["test"]
PROMPTS = judge_prompt_rows()["test"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"questions": [*QUESTIONS, QUESTIONS[0]]}, r":5: the question is there twice: found 101"),
        ({"questions": [{**QUESTIONS[0], "turns": ["one"]}]}, r":1: .*few turns: found 1, expected 2"),
        ({"references": REFERENCES[:1]}, r":3: question 103 of reasoning lacks its reference .* found none"),
        (
            {"references": [{**row, "turns": ["one"]} for row in REFERENCES]},
            r":2: question 102 of math lacks its reference answer: found 1 turns, expected 2 turns",
        ),
        ({"references": [*REFERENCES, REFERENCES[0]]}, r":3: the reference is there twice: found 102"),
        ({"judge_prompts": PROMPTS[1:]}, r"judge has no prompt single-v1: a360/mt-bench/judge_prompts"),
        ({"judge_prompts": [*PROMPTS, PROMPTS[0]]}, r":5: the judge's prompt is there twice: found s"),
    ],
    ids=range(7),
)  # fmt: skip
def test_what_is_missing_or_twice_is_refused_by_its_row(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        written(tmp_path, **changes)


# --- converting --------------------------------------------------------------------------------------


def lines(path: Path, *rows: object) -> Path:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return path


def test_the_files_of_the_authors_become_three_configurations(tmp_path: Path) -> None:
    """Fields as the authors have them; those that nobody reads are left out."""
    sources = [
        lines(
            tmp_path / "question.jsonl",
            {"question_id": 81, "category": "writing", "turns": ["a", "b"]},
            {"question_id": 111, "category": "math", "turns": ["c", "d"], "reference": ["e", ""]},
        ),
        lines(
            tmp_path / "gpt-4.jsonl",
            {"question_id": 111, "answer_id": "x", "choices": [{"index": 0, "turns": ["e", "f"]}]},
        ),
        lines(
            tmp_path / "judge_prompts.jsonl",
            *(
                {"name": str(row["name"]), "type": "single", "system_prompt": "", "description": "x",
                 "prompt_template": row["prompt_template"], "category": "general", "output_format": "[[r]]"}
                for row in PROMPTS
            ),
        ),
    ]  # fmt: skip
    target = tmp_path / "m"
    made = convert_data(MirrorTarget(str(target)), "mt-bench", sources)
    places = [f"a360/mt-bench/{place}" for place in made.counts]
    assert [counts.rows for counts in made.counts.values()] == [4, 2, 1]
    first, second = read_conversations(target, places, SETTINGS)
    assert (first.id, first.references, first.judge_prompts[0]["system"]) == ("81", None, "")
    assert (second.id, second.turns, second.references) == ("111", ("c", "d"), ("e", "f"))


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"question_id": 1, "category": "x", "turns": []}, "found no turns"),
        ({"question_id": 1, "category": "x", "turns": ["a", ""]}, "found no text"),
        ({"question_id": True, "category": "x", "turns": ["a"]}, "question_id True"),
        ({"category": "x", "turns": ["a"]}, "question_id None"),
        ({"question_id": 1, "turns": ["a"]}, "found no text, expected a text category"),
        ({"question_id": 1, "choices": []}, "found no turns"),
        ({"name": "x", "prompt_template": ""}, "found no text"),
        ({"name": "x", "prompt_template": "y", "system_prompt": 1}, "a int as system_prompt"),
    ],
    ids=range(8),
)
def test_a_line_that_cannot_be_used_is_refused_by_its_number(tmp_path: Path, row: object, words: str) -> None:
    with pytest.raises(DataError, match=rf"x\.jsonl:1: .*{words}"):
        convert_data(MirrorTarget(str(tmp_path / "m")), "mt-bench", [lines(tmp_path / "x.jsonl", row)])


# --- what a judge is shown ---------------------------------------------------------------------------


def answer(
    question: str,
    turn: int,
    response: str,
    *,
    category: str = "writing",
    right: str | None = None,
    template: str = "",
) -> AnswerRow:
    reference: dict[str, JsonValue] = {
        "question_id": question, "turn": turn, "question": f"q{question}.{turn}", "right": right,
        "judge": {"name": "n", "system": "be fair", "template": template or "{question} {answer}"},
    }  # fmt: skip
    return AnswerRow(int(question), 0, f"f:{question}", category, "p", response, reference)


def graded(answers: list[AnswerRow], *values: float | None) -> tuple[Graded, list[Question]]:
    """What the grader makes of some judgments, and what it asked."""
    shown: list[Question] = []

    def judge(questions: Any, parse: Any) -> list[Judgment]:
        shown.extend(questions)
        given = values or (5.0,) * len(questions)
        return [Judgment(value, "", 1 if value else 3) for value in given]

    return find_grader(GRADING)(task(answers, judge)), shown


def task(answers: list[AnswerRow], judge: AskJudge | None) -> GradeTask:
    return GradeTask(benchmark=BENCHMARK, grading=GRADING, answers=tuple(answers), judge=judge)


def test_the_second_turn_is_shown_with_the_first_and_with_both_right_answers() -> None:
    both = "{question_1}|{answer_1}|{ref_answer_1}|{question_2}|{answer_2}|{ref_answer_2}"
    answers = [
        answer("1", 1, " {question} one ", right="r1", template="{question}|{ref_answer_1}|{answer}|{{x}}"),
        answer("1", 2, "{answer_1}", right="r2", template=both),
        answer("2", 1, "other"),
    ]
    _, shown = graded(answers)
    assert [question.prompt for question in shown] == [
        "q1.1|r1|{question} one|{x}",
        "q1.1|{question} one|r1|q1.2|{answer_1}|r2",
        "q2.1 other",
    ]
    assert {question.system for question in shown} == {"be fair"}


@pytest.mark.parametrize("template", ["{ref_answer_1}", "{answer_2}", "{}", "{question.__class__}", "{0}"])
def test_a_prompt_that_asks_for_what_there_is_not_is_refused(template: str) -> None:
    with pytest.raises(DataError, match=r"judge's prompt asks for \{"):
        graded([answer("1", 1, "x", template=template)])


def test_a_template_is_filled_in_one_pass() -> None:
    fields = {"a": "{b}", "b": "{{}}"}
    assert fill_template("{a} {b} {{a}} }} {{ {", fields) == "{b} {{}} {a} } { {"


def test_a_turn_without_the_one_before_it_is_refused() -> None:
    with pytest.raises(DataError, match=r"question 1 lacks a turn: found \[2\]"):
        graded([answer("1", 2, "x")])


def test_without_a_judge_nothing_is_graded() -> None:
    with pytest.raises(ConfigError, match="benchmark demo-mt-bench has no judge for mt_bench"):
        find_grader(GRADING)(task([answer("1", 1, "x")], None))


# --- what judgments come to --------------------------------------------------------------------------


def record(found: Graded, metric: str, task: str = "mt_bench", subset: str | None = None) -> Metric:
    [one] = [m for m in found.metrics if (m.metric, m.task, m.subset) == (metric, task, subset)]
    return one


ANSWERS = [
    answer("1", 1, "a"), answer("1", 2, ""), answer("2", 1, " \n", category="math"),
    answer("2", 2, "b", category="math"),
]  # fmt: skip


def test_the_score_is_the_mean_of_all_judgments_per_turn_and_per_category() -> None:
    found, _ = graded(ANSWERS, 2.0, 4.0, 10.0, 1.0)
    assert (record(found, "rating").value, record(found, "rating").n) == (17 / 4, 4)
    assert record(found, "rating").headline
    assert record(found, "rating", subset="turn-1").value == 6.0
    assert record(found, "rating", subset="turn-2").value == 2.5
    assert record(found, "rating", "writing").value == 3.0
    assert record(found, "rating", "math").value == 5.5
    assert found.raw == {"judgments": 4, "tries": 4}


def test_what_could_not_be_parsed_is_counted_and_neither_dropped_nor_zero() -> None:
    """FastChat gives such a judgment -1 and leaves it out without a word."""
    found, _ = graded(ANSWERS, 2.0, None, 10.0, None)
    assert (record(found, "rating").value, record(found, "rating").n) == (6.0, 2)
    assert (record(found, "unparseable").value, record(found, "unparseable").n) == (2 / 4, 4)
    turn = record(found, "rating", subset="turn-2")
    assert (turn.value, turn.n, turn.reason) == (None, 0, "no judgment could be parsed")
    assert record(found, "unparseable", subset="turn-2").value == 1.0
    items = [(row["task"], row["prediction"], dict(row["metrics"])) for row in found.items.to_pylist()]
    assert items == [
        ("math", "10", {"rating": 10.0, "unparseable": 0.0, "empty": 1.0}),
        ("math", "", {"unparseable": 1.0, "empty": 0.0}),
        ("writing", "2", {"rating": 2.0, "unparseable": 0.0, "empty": 0.0}),
        ("writing", "", {"unparseable": 1.0, "empty": 1.0}),
    ]
    assert found.raw == {"judgments": 4, "tries": 8}


def test_a_judge_that_only_answers_nonsense_leaves_a_headline_with_a_reason() -> None:
    found, _ = graded(ANSWERS, None, None, None, None)
    [headline] = [m for m in found.metrics if m.headline]
    assert (headline.value, headline.reason) == (None, "no judgment could be parsed")


def test_an_answer_of_nothing_but_the_end_of_text_is_judged_and_counted() -> None:
    found, shown = graded(ANSWERS, 1.0, 1.0, 1.0, 1.0)
    assert len(shown) == 4
    assert record(found, "empty").value == 2 / 4
    assert (record(found, "empty", "math").value, record(found, "empty", "writing").value) == (0.5, 0.5)


# --- planning ----------------------------------------------------------------------------------------

PLACES = ("questions", "references", "judge_prompts")
STORED = {f"{name}/test-0.parquet": MirrorFile(bytes=1, sha256=name) for name in PLACES}


def manifest(**changes: str) -> MirrorManifest:
    files = {
        place: file.model_copy(update={"sha256": changes.get(place.partition("/")[0], file.sha256)})
        for place, file in STORED.items()
    }
    return MirrorManifest(
        stand_in=True,
        repositories={
            "a360/mt-bench": MirrorRepository(revision="r", files=files),
            **{
                f"a360/long-eval-{kind}": MirrorRepository(
                    revision="r", files={"x.parquet": MirrorFile(bytes=1, sha256=kind)}
                )
                for kind in ("lines", "topics")
            },
        },
    )  # fmt: skip


def plan(suite: Suite, history: History | None = None, *, chat_template: bool | None = True) -> Plan:
    discovery = make_discovery(range(1))
    checkpoints = tuple(
        each.model_copy(update={"chat_template": chat_template}) for each in discovery.checkpoints
    )
    return make_plan(
        suite,
        discovery.model_copy(update={"checkpoints": checkpoints}),
        build_protocols(suite, manifest()),
        history or History(),
        environments=["here"],
    )


def mt_suite(judge: str = JUDGE, benchmarks: str = "[demo-mt-bench]") -> Suite:
    return make_suite(benchmarks, judge)


def with_template(suite: Suite, template: str) -> Suite:
    return suite.model_copy(update={"model": suite.model.model_copy(update={"chat_template": template})})


def test_without_a_chat_template_it_is_not_applicable() -> None:
    [cell] = plan(mt_suite(), chat_template=False).cells
    assert (cell.state, cell.key) == ("not applicable", None)
    assert (
        cell.reason
        == "no chat template: the tokenizer has none, and the suite names none in model.chat_template"
    )
    for known in (True, None):
        assert plan(mt_suite(), chat_template=known).cells[0].state == "missing"


def test_a_template_that_the_suite_names_is_in_the_protocol() -> None:
    named = with_template(mt_suite(), "{{ messages }}")
    made = plan(named, chat_template=False)
    assert made.cells[0].state == "missing"
    assert made.protocols["demo-mt-bench"].chat_template == hash_value("{{ messages }}")
    own = plan(mt_suite()).protocols["demo-mt-bench"]
    assert own.chat_template == "tokenizer"
    others = build_protocols(
        with_template(make_suite("[demo-mt-bench, demo-longeval-topics]", JUDGE), "x"), manifest()
    )
    assert others.protocols["demo-longeval-topics"].chat_template is None


def test_the_judge_and_its_prompts_are_part_of_the_key_and_not_of_the_generation() -> None:
    first, other = plan(mt_suite()), plan(mt_suite(JUDGE.replace("gpt", "other")))
    assert first.gradings["demo-mt-bench"].judge_model == "gpt"
    assert first.gradings["demo-mt-bench"].prompt_hash
    assert first.cells[0].generation_key == other.cells[0].generation_key
    assert first.cells[0].key != other.cells[0].key
    elsewhere = plan(mt_suite(JUDGE.replace(":1/", ":2/")))
    assert elsewhere.cells[0].key == first.cells[0].key
    hashes = [
        build_protocols(mt_suite(), manifest(**{name: "changed"})).gradings["demo-mt-bench"].prompt_hash
        for name in PLACES
    ]
    assert [found == first.gradings["demo-mt-bench"].prompt_hash for found in hashes] == [True, True, False]


def test_another_judge_grades_what_is_generated() -> None:
    cell = plan(mt_suite()).cells[0]
    history = History(
        commits={CommitName(cell.benchmark, cell.checkpoint, str(cell.key))},
        generations={CommitName(cell.benchmark, cell.checkpoint, str(cell.generation_key))},
    )
    assert plan(mt_suite(), history).cells[0].state == "done"
    assert plan(mt_suite(JUDGE.replace("gpt", "other")), history).cells[0].stages == ("grade",)


def test_topics_have_a_judge_where_the_suite_has_one() -> None:
    without, having = (mt_suite(judge, "[demo-longeval-topics]") for judge in ("", JUDGE))
    kinds = [suite.find_benchmark("demo-longeval-topics").grade for suite in (without, having)]
    assert kinds == ["classifier", "judge"]
    first, second = plan(without), plan(having)
    assert first.cells[0].generation_key == second.cells[0].generation_key
    assert first.cells[0].key != second.cells[0].key
    lines = [mt_suite(judge, "[demo-longeval-lines]") for judge in ("", JUDGE)]
    assert {suite.find_benchmark("demo-longeval-lines").grade for suite in lines} == {"classifier"}


def test_a_suite_that_needs_a_judge_and_names_none_is_refused() -> None:
    with pytest.raises(
        ConfigError, match=r"benchmark 'demo-mt-bench' needs a judge, expected a section judge"
    ):
        mt_suite("")


def test_without_its_data_it_is_missing() -> None:
    empty = MirrorManifest(stand_in=True, repositories={})
    found = build_protocols(mt_suite(), empty).unavailable["demo-mt-bench"]
    assert found.state == "missing"
    assert "data missing: the mirror has no data a360/mt-bench" in found.reason
