"""The grade stage on a store without any model: what it refuses, records, and commits once."""

from pathlib import Path

import pytest

from a360.benchmarks import locked_grader_hash
from a360.errors import ConfigError
from a360.grade import Grader
from a360.pairs import Event
from a360.plan import History, Protocols, make_plan
from a360.records import Generations, Grading, Plan
from a360.results.answers import AnswerRow, answer_table
from a360.results.commit import commit_generations, write_answers
from a360.results.places import CommitName, generations_place
from a360.results.read import list_commits, read_failures, read_results
from a360.storage import Store, open_store
from a360.suite import Suite
from tests.documents import make_checkpoint, make_discovery, make_protocol, make_result, make_suite

BENCHMARK = "demo-next-word"
PAIRS = [f"step_{step}/{BENCHMARK}" for step in range(2)]


@pytest.fixture
def suite(tmp_path: Path) -> Suite:
    return make_suite(f"[{BENCHMARK}, demo-boolq]", base_dir=tmp_path)


@pytest.fixture
def store(suite: Suite) -> Store:
    return open_store(suite.store.uri)


@pytest.fixture
def plan(suite: Suite) -> Plan:
    protocols = Protocols(
        protocols={name: make_protocol(name) for name in (BENCHMARK, "demo-boolq")},
        gradings={BENCHMARK: Grading(grader="next_word", source_hash=locked_grader_hash("next_word"))},
    )
    return make_plan(suite, make_discovery(range(2)), protocols, History(), environments=())


def generate(store: Store, plan: Plan, step: int, **changes: object) -> CommitName:
    """Commits the answers of a pair: one right, one wrong."""
    [cell] = [cell for cell in plan.cells if (cell.checkpoint, cell.benchmark) == (f"step_{step}", BENCHMARK)]
    key = str(cell.generation_key)
    rows = [
        AnswerRow(n, 0, f"f:{n}", None, f"prompt {n}", f" {said}", {"word": "the"})
        for n, said in enumerate(("the", "a"))
    ]
    shared = make_result(BENCHMARK, make_checkpoint(step), "k" * 16, truncated=1).model_dump()
    shared = {name: shared[name] for name in Generations.model_fields if name in shared}
    answers = write_answers(store, key, answer_table(rows))
    settings = {**shared, "schema_name": "a360.generations/1", "generation_key": key, "answers": answers}
    commit_generations(store, Generations.model_validate({**settings, **changes}))
    return CommitName(BENCHMARK, f"step_{step}", key)


def test_answers_become_a_result_once(suite: Suite, store: Store, plan: Plan) -> None:
    names = [generate(store, plan, step) for step in range(2)]
    events: list[Event] = []
    grader = Grader(suite, events.append)
    assert [outcome.state for outcome in grader.grade_group(plan, PAIRS)] == ["committed"] * 2
    assert [event.phase for event in events if event.pair == PAIRS[0] and not event.done] == [
        "grading", "committing", "committed",
    ]  # fmt: skip
    assert [outcome.state for outcome in grader.grade_group(plan, PAIRS)] == ["done already"] * 2
    commits = list_commits(store, "m")
    assert {name.key for name in commits} == {c.key for c in plan.cells if c.benchmark == BENCHMARK}
    for result in read_results(store, "m", commits).results:
        assert result.generation_key in {name.key for name in names}
        assert (result.grading, result.prompts, result.truncated_prompts) == (plan.gradings[BENCHMARK], 10, 1)
        assert [m.value for m in result.metrics if m.headline] == [0.5]
        assert result.provenance.engine == "grader next_word"
        assert result.provenance.requests_scored == 0


def test_what_is_not_generated_yet_is_tried_again_and_bars_nobody(
    suite: Suite, store: Store, plan: Plan
) -> None:
    generate(store, plan, 1)
    outcomes = Grader(suite).grade_group(plan, PAIRS)
    assert [(outcome.state, outcome.exit_code) for outcome in outcomes] == [("failed", 75), ("committed", 0)]
    [failure] = read_failures(store, "m").values()
    assert "nothing to grade: step_0/demo-next-word: expected a generation at" in failure.error
    cell = plan.cells[0]
    assert generations_place("m", CommitName(BENCHMARK, "step_0", str(cell.generation_key))) in failure.error


@pytest.mark.parametrize("changes", [{"digest": "f" * 64}, {"protocol": make_protocol(BENCHMARK, limit=5)}])
def test_a_generation_that_is_not_the_plans_is_refused(
    suite: Suite, store: Store, plan: Plan, changes: dict[str, object]
) -> None:
    generate(store, plan, 0, **changes)
    [outcome] = Grader(suite).grade_group(plan, PAIRS[:1])
    assert (outcome.state, outcome.exit_code) == ("failed", 3)
    assert "generation is not the plan's: v1/generations/m/demo-next-word/step_0@" in outcome.error


def test_a_key_that_the_grading_does_not_give_is_refused(suite: Suite, store: Store, plan: Plan) -> None:
    generate(store, plan, 0)
    forged = plan.cells[0].model_copy(update={"key": "0" * 16})
    with pytest.raises(ConfigError, match=f"pair {PAIRS[0]} has the key {'0' * 16}, its grading gives"):
        Grader(suite).grade_group(plan.model_copy(update={"cells": (forged, *plan.cells[1:])}), PAIRS[:1])
    assert read_failures(store, "m") == {}


def test_a_pair_that_is_not_graded_apart_is_refused(suite: Suite, plan: Plan) -> None:
    with pytest.raises(ConfigError, match="pair step_0/demo-boolq has no grading stage"):
        Grader(suite).grade_group(plan, ["step_0/demo-boolq"])
