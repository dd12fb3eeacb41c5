"""LongEval: cases that a seed determines, and graders of lines and topics against hand-computed answers."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue

from a360.benchmarks import find_benchmark, locked_grader_hash
from a360.datasets.generated import generate_long_eval
from a360.datasets.long_eval import MOST_LINES, line_cases, topic_cases
from a360.datasets.long_eval_words import ADJECTIVES, FOLLOW_UPS, NOUNS, OPENERS, REPLIES, TOPICS
from a360.datasets.mirror import read_manifest
from a360.datasets.target import MirrorTarget
from a360.datasets.verify import verify_mirror
from a360.errors import ConfigError, DataError
from a360.grading.graders import find_grader
from a360.grading.last_number import find_numbers
from a360.grading.task import AskJudge, Graded, GradeTask, Judgment, Question
from a360.grading.topics import first_named, normal_words
from a360.identity import hash_value
from a360.records import Grading, Metric
from a360.results.answers import NOT_ASKED, AnswerRow
from a360.storage import open_store

ROOT = Path(__file__).parents[2]
LINE = re.compile(r"^line ([a-z]+-[a-z]+): REGISTER_CONTENT is <(\d+)>$", re.MULTILINE)
REASON = "not asked: a prompt has 9,999 tokens, beside the answer there is room for 1,948"


def test_answers_are_greedy_and_as_long_as_the_originals() -> None:
    documents = []
    for name in ("longeval-lines", "longeval-topics"):
        decoding = find_benchmark(name).decoding
        assert decoding
        documents.append(decoding.document())
    assert documents == [{"max_new_tokens": 100, "until": []}, {"max_new_tokens": 50, "until": []}]


# --- cases -------------------------------------------------------------------------------------------


@given(st.integers(1, 300), st.integers(0, 5))
def test_a_case_of_lines_has_different_names_and_asks_for_one_of_them(lines: int, seed: int) -> None:
    [case] = line_cases(lines, 1, seed)
    listed = LINE.findall(str(case["prompt"]))
    place = case["random_idx"]
    assert isinstance(place, dict)
    assert len({name for name, _ in listed}) == len(listed) == lines == case["num_lines"]
    assert listed[place["index"]] == (place["name"], str(case["expected_number"]))
    assert str(case["prompt"]).endswith(f"the REGISTER_CONTENT of line {place['name']} is")
    assert str(case["prompt"]).count(str(case["correct_line"])) == 1


@given(st.integers(1, len(TOPICS)), st.integers(0, 5))
def test_a_conversation_speaks_of_its_topics_in_their_order(topics: int, seed: int) -> None:
    [case] = topic_cases(topics, 1, seed)
    named, prompt = case["topics"], str(case["prompt"])
    assert isinstance(named, list)
    assert len(set(named)) == len(named) == topics == case["num_topics"]
    places = [prompt.index(topic) for topic in named]
    assert places == sorted(places)
    assert prompt.count("USER: ") == prompt.count("ASSISTANT: ") == 2 * topics


def test_a_case_depends_on_its_seed_and_on_no_other_case() -> None:
    ten = list(line_cases(20, 10, 7))
    assert list(line_cases(20, 3, 7)) == ten[:3]
    assert len({str(case["prompt"]) for case in ten}) == 10
    assert next(line_cases(20, 1, 8)) != ten[0]
    assert next(topic_cases(5, 1, 8)) != next(topic_cases(5, 1, 7))


def test_the_cases_of_a_seed_never_change() -> None:
    """A changed word or draw is other data under the same settings: long_eval.VERSION has to grow."""
    made = [[*line_cases(40, 3, 1)], [*topic_cases(10, 3, 1)]]
    assert hash_value(made) == "6067ff507630beac"


def test_words_are_different_and_no_topic_is_in_another_one() -> None:
    for words in (ADJECTIVES, NOUNS, TOPICS, OPENERS, REPLIES, FOLLOW_UPS):
        assert len(set(words)) == len(words)
    assert MOST_LINES == len({f"{a}-{n}" for a in ADJECTIVES for n in NOUNS}) >= 1350
    for topic in TOPICS:
        inside = [other for other in TOPICS if f" {normal_words(topic)} " in f" {normal_words(other)} "]
        assert inside == [topic]
        said = " ".join((*REPLIES, *FOLLOW_UPS))
        assert normal_words(topic) not in normal_words(said)
    assert any("," in topic for topic in TOPICS)


# --- in a mirror -------------------------------------------------------------------------------------


def test_cases_go_into_a_mirror_a_file_for_each_length(tmp_path: Path) -> None:
    made = generate_long_eval(MirrorTarget(str(tmp_path / "m")), "lines", [200, 10], cases=2, seed=3)
    assert list(made.counts) == [
        "test/lines_00010-00000-of-00001.parquet", "test/lines_00200-00000-of-00001.parquet",
    ]  # fmt: skip
    rows = pq.read_table(tmp_path / "m" / made.repository / next(iter(made.counts))).to_pylist()
    assert rows == list(line_cases(10, 2, 3))
    assert verify_mirror(open_store(str(tmp_path / "m"))).defects == ()
    assert find_benchmark("longeval-lines").data == (made.repository,)


def test_equal_settings_are_one_revision_and_others_replace_the_files(tmp_path: Path) -> None:
    target = str(tmp_path / "m")
    first = generate_long_eval(MirrorTarget(target), "topics", [1, 5], cases=2)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert generate_long_eval(MirrorTarget(target), "topics", [5, 1], cases=2) == first
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    others: list[dict[str, int]] = [{"cases": 2, "seed": 1}, {"cases": 3}]
    revisions = {
        generate_long_eval(MirrorTarget(target), "topics", [1, 5], **other).revision for other in others
    }
    second = generate_long_eval(MirrorTarget(target), "topics", [10], cases=2)
    assert len({first.revision, second.revision, *revisions}) == 4
    assert len(list((tmp_path / "m").rglob("*.parquet"))) == 1
    generate_long_eval(MirrorTarget(target), "lines", [10], cases=1)
    assert list(read_manifest(tmp_path / "m").repositories) == [
        "a360/long-eval-lines",
        "a360/long-eval-topics",
    ]


@pytest.mark.parametrize(
    ("lengths", "found"), [([], "none"), ([0], "0"), ([10, 10], "10"), ([len(TOPICS) + 1], "37")]
)
def test_lengths_that_cannot_be_made_are_refused(tmp_path: Path, lengths: list[int], found: str) -> None:
    with pytest.raises(ConfigError, match=f"found {found}, expected different numbers from 1 to 36"):
        generate_long_eval(MirrorTarget(str(tmp_path / "m")), "topics", lengths)
    assert not list(tmp_path.rglob("*.parquet"))


def test_the_command_makes_what_was_asked_for(tmp_path: Path) -> None:
    def a360(*words: object) -> subprocess.CompletedProcess[str]:
        command = [
            sys.executable,
            "-P",
            "-m",
            "a360",
            "data",
            "long-eval",
            *map(str, (tmp_path / "m", *words)),
        ]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        return subprocess.run(command, env=environment, capture_output=True, text=True)

    done = a360("--lines", "5,10", "--topics", "none", "--cases", 2)
    assert done.returncode == 0, done.stderr
    assert [line.split() for line in done.stdout.splitlines()][:3] == [
        ["file", "rows"],
        ["test/lines_00005-00000-of-00001.parquet", "2"],
        ["test/lines_00010-00000-of-00001.parquet", "2"],
    ]
    refused = a360("--lines", "5,x")
    assert (refused.returncode, "--lines is '5,x', expected numbers such as" in refused.stderr) == (2, True)
    assert a360("--lines", "none", "--topics", "none").returncode == 2


# --- lines -------------------------------------------------------------------------------------------


def graded(benchmark: str, answers: list[AnswerRow], judge: AskJudge | None = None) -> Graded:
    row = find_benchmark(benchmark)
    grading = Grading(grader=str(row.grader), source_hash=locked_grader_hash(str(row.grader)))
    task = GradeTask(benchmark=row, grading=grading, answers=tuple(answers), judge=judge)
    return find_grader(grading)(task)


def lines(*said: tuple[int, str, int]) -> Graded:
    """Grades (lines of the case, response, right number)."""
    rows = [
        AnswerRow(n, 0, f"f:{n}", str(length), "prompt", response, {"expected_number": right})
        for n, (length, response, right) in enumerate(said)
    ]
    return graded("demo-longeval-lines", rows)


def metric(found: Graded, name: str, task: str) -> Metric:
    [record] = [m for m in found.metrics if (m.metric, m.task) == (name, task)]
    return record


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        (" <2416>\nline x: REGISTER_CONTENT is <7>", ["2416", "7"]), ("", []), ("none", []), ("-5.", ["5"]),
        ("007", ["7"]), ("000", ["0"]), ("12,345", ["12", "345"]), ("9" * 5000, ["9" * 5000]), ("²", []),
    ],
    ids=range(9),
)  # fmt: skip
def test_numbers_are_whole_and_in_their_order(response: str, expected: list[str]) -> None:
    assert find_numbers(response) == expected


def test_the_last_number_counts_and_the_first_is_compared_beside_it() -> None:
    found = lines(
        (5, " <42>", 42), (5, " <42>\nline a: REGISTER_CONTENT is <7>", 42), (10, "line 3 has 42", 42),
        (10, " \n", 42), (10, "I do not know", 42),
    )  # fmt: skip
    assert metric(found, "acc", "long_eval_lines").value == 2 / 5
    assert metric(found, "acc", "long_eval_lines").headline
    assert metric(found, "acc_first", "long_eval_lines").value == 2 / 5
    assert metric(found, "acc", "long_eval_lines_5").value == 1 / 2
    assert metric(found, "acc", "long_eval_lines_10").value == 1 / 3
    assert [row["prediction"] for row in found.items.to_pylist()] == ["42", "", "", "42", "7"]


def test_an_answer_of_nothing_but_the_end_of_text_is_wrong_and_counted() -> None:
    found = lines((5, "", 42), (5, "", 42), (5, "42", 42), (5, "who knows", 42))
    assert metric(found, "acc", "long_eval_lines").value == 1 / 4
    assert metric(found, "empty", "long_eval_lines").value == 2 / 4
    assert metric(found, "no_number", "long_eval_lines").value == 3 / 4
    assert found.items.num_rows == 4


def not_asked(number: int, length: int) -> AnswerRow:
    reference: dict[str, JsonValue] = {"expected_number": 1, "topics": ["x"], NOT_ASKED: REASON}
    return AnswerRow(number, 0, f"f:{number}", str(length), "prompt", "", reference)


def test_two_hundred_lines_in_a_context_of_2048_are_not_applicable_and_no_zero() -> None:
    asked = AnswerRow(0, 0, "f:0", "10", "p", "42", {"expected_number": 42})
    found = graded("demo-longeval-lines", [not_asked(1, 200), asked, not_asked(2, 200)])
    left_out = metric(found, "acc", "long_eval_lines_200")
    assert (left_out.value, left_out.n, left_out.reason) == (None, 0, REASON)
    assert (metric(found, "acc", "long_eval_lines").value, metric(found, "acc", "long_eval_lines").n) == (
        1.0,
        1,
    )
    assert metric(found, "empty", "long_eval_lines").value == 0.0
    assert found.raw == {"cases_not_asked": {"200": 2}}
    assert found.items.num_rows == 1


@pytest.mark.parametrize("benchmark", ["demo-longeval-lines", "demo-longeval-topics"])
def test_where_no_length_fits_the_headline_has_a_reason(benchmark: str) -> None:
    found = graded(benchmark, [not_asked(0, 200)])
    [headline] = [m for m in found.metrics if m.headline]
    assert (headline.value, headline.reason) == (None, "no length of the cases fits into the context")


def test_lengths_are_in_the_order_of_numbers() -> None:
    found = lines((100, "1", 1), (20, "1", 1), (3, "1", 1))
    tasks = [m.task for m in found.metrics if m.metric == "acc"]
    assert tasks == ["long_eval_lines_3", "long_eval_lines_20", "long_eval_lines_100", "long_eval_lines"]


# --- topics ------------------------------------------------------------------------------------------

NAMED = ["the history of lighthouses", "old maps, and the mistakes in them", "the rules of chess"]


def topics(*responses: str, first: int = 0, judge: AskJudge | None = None) -> Graded:
    named: list[JsonValue] = [*NAMED[first:], *NAMED[:first]]
    rows = [
        AnswerRow(n, 0, f"f:{n}", "3", "prompt", response, {"topics": named})
        for n, response in enumerate(responses)
    ]
    return graded("demo-longeval-topics", rows, judge)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (" The History of Lighthouses.", 0), ("history of lighthouses and the rules of chess", 0),
        ("the rules of chess, then the history of lighthouses", 2), ("lighthouses", None), ("", None),
        ("Old maps and the mistakes in them!", 1), ("the history of lighthousesque", None),
    ],
)  # fmt: skip
def test_the_topic_that_is_named_first_counts(answer: str, expected: int | None) -> None:
    assert first_named(answer, NAMED) == expected


def test_an_answer_that_lists_all_topics_is_right_only_if_the_first_comes_first() -> None:
    found = topics("; ".join(NAMED), "; ".join(reversed(NAMED)), "History of lighthouses", "")
    assert metric(found, "first_topic", "long_eval_topics").value == 2 / 4
    assert metric(found, "first_topic", "long_eval_topics").headline
    assert metric(found, "exact", "long_eval_topics").value == 1 / 4
    assert metric(found, "empty", "long_eval_topics").value == 1 / 4


def test_a_topic_with_a_comma_is_one_topic() -> None:
    """The original's table split it, and graded what stood before the comma."""
    found = topics("old maps, and the mistakes in them", "old maps", first=1)
    assert metric(found, "exact", "long_eval_topics").value == 1 / 2
    assert [row["target"] for row in found.items.to_pylist()] == [NAMED[1]] * 2


def test_a_case_without_topics_is_refused() -> None:
    with pytest.raises(DataError, match="case has no topics: f:0"):
        graded("demo-longeval-topics", [AnswerRow(0, 0, "f:0", "3", "p", "x", {"topics": []})])


def test_a_judge_is_asked_beside_it_and_what_it_does_not_say_is_no_zero() -> None:
    shown: list[Question] = []

    def judge(questions: object, parse: object) -> list[Judgment]:
        shown.extend(questions)  # type: ignore[arg-type]
        texts = ["[[1]]", "hm", "[[0]]", "[[7]]"]
        return [Judgment(parse(text), text, 3) for text in texts]  # type: ignore[operator]

    found = topics("{topic}", "x", "y", "", judge=judge)
    assert "Right topic: the history of lighthouses\n\nAnswer: {topic}\n" in shown[0].prompt
    judged = metric(found, "judged", "long_eval_topics")
    assert (judged.value, judged.n) == (1 / 2, 2)
    assert metric(found, "unparseable", "long_eval_topics").value == 2 / 4
    items = [dict(row["metrics"]) for row in found.items.to_pylist()]
    assert [item.get("judged") for item in items] == [1.0, None, 0.0, None]
    assert [item["unparseable"] for item in items] == [0.0, 1.0, 0.0, 1.0]
    assert metric(found, "first_topic", "long_eval_topics").value == 0.0
