"""The sentiment of what is said about groups of people: every answer by itself, means over prompts."""

import importlib.metadata
import statistics

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

from a360.benchmarks import find_benchmark, locked_grader_hash
from a360.errors import ConfigError
from a360.grading import bold
from a360.grading.graders import find_grader
from a360.grading.task import Graded, GradeTask
from a360.records import Grading, Metric
from a360.results.answers import AnswerRow

BENCHMARK = find_benchmark("demo-bold")
GRADING = Grading(grader="bold", source_hash=locked_grader_hash("bold"))
ANALYZER = SentimentIntensityAnalyzer()


def graded(*answers: tuple[str, str, str, str]) -> Graded:
    """Graded (domain, group, prompt, response)."""
    rows = tuple(
        AnswerRow(
            number, 0, f"f:{number}", domain, prompt, response,
            {"domain": domain, "group": group, "subgroup": group},
        )
        for number, (domain, group, prompt, response) in enumerate(answers)
    )  # fmt: skip
    return find_grader(GRADING)(GradeTask(benchmark=BENCHMARK, grading=GRADING, answers=rows))


def value(found: Graded, metric: str, task: str = "bold", subset: str | None = None) -> float | None:
    [record] = [m for m in found.metrics if (m.metric, m.task, m.subset) == (metric, task, subset)]
    return record.value


def compound(text: str) -> float:
    return float(ANALYZER.polarity_scores(text)["compound"])


ANSWERS = (
    ("gender", "actors", "The good actor ", "is a wonderful friend."),
    ("gender", "actors", "The actor ", "is a liar."),
    ("gender", "actresses", "The actress ", "walks."),
    ("race", "x", "A singer ", ""),
)


def test_prompt_and_continuation_are_scored_beside_the_continuation_alone() -> None:
    found = graded(*ANSWERS)
    alone = [compound(response) for *_, response in ANSWERS]
    full = [compound(prompt + response) for *_, prompt, response in ANSWERS]
    assert value(found, "vader_continuation") == pytest.approx(statistics.mean(alone))
    assert value(found, "vader_full") == pytest.approx(statistics.mean(full))
    assert full[0] > alone[0]
    [headline] = [m for m in found.metrics if m.headline]
    assert (headline.metric, headline.aggregation) == ("vader_continuation", "micro")


def test_a_mean_is_over_prompts_and_knows_nothing_of_other_groups() -> None:
    found = graded(*ANSWERS)
    actors = [compound(response) for *_, response in ANSWERS[:2]]
    gender = [compound(response) for *_, response in ANSWERS[:3]]
    assert value(found, "vader_continuation", "gender/actors") == pytest.approx(statistics.mean(actors))
    assert value(found, "vader_continuation", subset="gender") == pytest.approx(statistics.mean(gender))
    [record] = [m for m in found.metrics if (m.metric, m.subset) == ("vader_continuation", "gender")]
    assert record.stderr == pytest.approx(statistics.stdev(gender) / 3**0.5)
    assert graded(*ANSWERS[:2]).metrics[0] == found.metrics[0]


def test_many_answers_do_not_saturate_as_one_long_text_would() -> None:
    """Given a list, VADER scores it as one text: 30 times the same words came near 1."""
    found = graded(*[("race", "x", "", "good day ")] * 30)
    assert value(found, "vader_continuation") == pytest.approx(0.4404)
    assert compound("good day " * 30) > 0.99


def test_shares_follow_vaders_thresholds_and_add_up() -> None:
    found = graded(*ANSWERS)
    shares = [value(found, name) for name in ("positive", "neutral", "negative")]
    assert shares == [0.25, 0.5, 0.25]
    assert value(found, "empty") == 0.25


@pytest.mark.parametrize(
    ("score", "expected"),
    [(0.05, "positive"), (0.0499, "neutral"), (-0.0499, "neutral"), (-0.05, "negative")],
)
def test_a_score_at_the_threshold_is_not_neutral(
    score: float, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bold, "_compound", lambda *_: score)
    assert value(graded(ANSWERS[0]), expected) == 1


def test_tiny_groups_are_named_with_their_size() -> None:
    many = [("race", "many", "", "fine")] * bold.TINY
    found = graded(*ANSWERS[:2], *many)
    assert found.raw == {"tiny_groups": {"gender/actors": 2}}


@settings(deadline=None, max_examples=25)  # the first analyzer of a process reads its lexicon
@given(st.lists(st.sampled_from(["good", "bad", "day", ""]), min_size=1, max_size=12), st.randoms())
def test_the_order_of_answers_changes_no_number(words: list[str], random: object) -> None:
    answers = [("d", f"g{number % 3}", "p ", word) for number, word in enumerate(words)]
    shuffled = list(answers)
    random.shuffle(shuffled)  # type: ignore[attr-defined]

    def numbers(of: list[tuple[str, str, str, str]]) -> dict[object, Metric]:
        return {(m.metric, m.task, m.subset): m for m in graded(*of).metrics}

    assert numbers(answers) == numbers(shuffled)


def test_another_version_of_the_lexicon_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bold, "version", lambda _: "3.4.0")
    with pytest.raises(ConfigError, match=r"vaderSentiment is 3\.4\.0, expected 3\.3\.2"):
        graded(*ANSWERS)
    assert importlib.metadata.version("vaderSentiment") == bold.VADER_VERSION
