"""Commits, failures, the index and coverage."""

import json
from pathlib import Path

import pytest

from a360.errors import ConfigError, DataError
from a360.plan import History, make_plan
from a360.records import Failure, Plan, Quarantine
from a360.results.collect import DELETED, collect_results
from a360.results.commit import commit_result, record_failure, write_plan
from a360.results.places import (
    CommitName,
    commit_place,
    failure_place,
    index_place,
    parse_commit,
    parse_failure,
)
from a360.results.read import list_commits, read_failures, read_plan, read_results
from a360.storage import Store, open_store
from tests.documents import make_checkpoint, make_discovery, make_protocols, make_result, make_suite


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(str(tmp_path / "store"))


@pytest.fixture
def plan() -> Plan:
    protocols = make_protocols("demo-boolq", "demo-wikitext")
    return make_plan(make_suite(), make_discovery(range(2)), protocols, History(), environments=())


def commit(store: Store, plan: Plan, index: int, **changes: float | int) -> CommitName:
    cell = plan.cells[index]
    checkpoint = make_checkpoint(int(cell.checkpoint.removeprefix("step_")))
    result = make_result(cell.benchmark, checkpoint, cell.key or "", **changes)  # type: ignore[arg-type]
    assert commit_result(store, result)
    return CommitName(cell.benchmark, cell.checkpoint, cell.key or "")


def test_the_second_commit_of_a_pair_loses_and_changes_nothing(store: Store) -> None:
    first = make_result("demo-boolq", make_checkpoint(1), "k" * 16, value=0.25)
    assert commit_result(store, first)
    assert not commit_result(store, first.model_copy(update={"prompts": 99}))
    stored = json.loads(store.read(commit_place("m", CommitName("demo-boolq", "step_1", "k" * 16))))
    assert stored["prompts"] == 10


def test_an_oversized_raw_result_is_left_out_of_the_marker(store: Store) -> None:
    result = make_result("demo-boolq", make_checkpoint(1), "k" * 16)
    commit_result(store, result.model_copy(update={"raw": {"x": "y" * 1_100_000}}))
    data = store.read(commit_place("m", CommitName("demo-boolq", "step_1", "k" * 16)))
    assert len(data) < 1_000_000
    assert "omitted" in json.loads(data)["raw"]


@pytest.mark.parametrize(
    "checkpoint", ["step_1", "a@b", "phase1/step10", "CrystalCoder_phase1_checkpoint_000100"]
)
@pytest.mark.parametrize(
    "benchmark", ["demo-boolq", "arc-challenge-25shot", "arc-challenge-0shot", "arc-easy"]
)
def test_names_of_commits_and_failures_can_be_read_back(checkpoint: str, benchmark: str) -> None:
    name = CommitName(benchmark, checkpoint, "0" * 16)
    assert parse_commit("m", commit_place("m", name)) == name
    assert parse_failure("m", failure_place("m", name, "attempt-1")) == (name, "attempt-1")
    assert parse_commit("m", "v1/commits/m/demo-boolq/notes.txt") is None


def test_coverage_gives_each_cell_its_state_and_reason(store: Store, plan: Plan) -> None:
    commit(store, plan, 0)
    cell = plan.cells[1]
    record_failure(
        store,
        Failure(
            model="m", checkpoint=cell.checkpoint, benchmark=cell.benchmark, key=cell.key or "", attempt="a",
            exit_code=3, error="NaN logits", hint=None, environment="e", node="n", failed_at="2026",
        ),
    )  # fmt: skip
    collected = collect_results(store, plan)
    assert [cell.state for cell in collected.coverage] == ["done", "failed", "missing", "missing"]
    assert collected.coverage[1].reason == "NaN logits"
    assert collected.count() == {"done": 1, "failed": 1, "missing": 2}
    assert not collected.is_complete()


@pytest.mark.parametrize(("exit_code", "state"), [(75, "missing"), (2, "failed"), (3, "failed")])
def test_only_a_failure_that_is_not_planned_again_counts_as_failed(
    store: Store, plan: Plan, exit_code: int, state: str
) -> None:
    cell = plan.cells[0]
    failure = Failure(
        model="m", checkpoint=cell.checkpoint, benchmark=cell.benchmark, key=cell.key or "", attempt="a",
        exit_code=exit_code, error="no answer", hint=None, environment="e", node="n", failed_at="2026",
    )  # fmt: skip
    record_failure(store, failure)
    assert [(c.state, c.reason) for c in collect_results(store, plan).coverage[:1]] == [(state, "no answer")]


ABSENT = Quarantine(id="step_1", uri="u", step=1, phase=1, state="not uploaded", reason="no folder")


def planned(steps: range, *left_out: Quarantine) -> Plan:
    protocols = make_protocols("demo-boolq", "demo-wikitext")
    return make_plan(make_suite(), make_discovery(steps, left_out), protocols, History(), environments=())


def test_results_of_deleted_checkpoints_stay(store: Store, plan: Plan) -> None:
    for index in range(4):
        commit(store, plan, index)
    moved = ABSENT.model_copy(update={"tokens": 4096})
    collected = collect_results(store, planned(range(1), moved))
    assert [(cell.checkpoint, cell.state, cell.reason) for cell in collected.coverage] == [
        ("step_0", "done", None), ("step_0", "done", None),
        ("step_1", "done", DELETED), ("step_1", "done", DELETED),
    ]  # fmt: skip
    assert [(r.checkpoint, r.tokens) for r in collected.results] == [
        ("step_0", 0), ("step_0", 0), ("step_1", 4096), ("step_1", 4096),
    ]  # fmt: skip
    assert collected.is_complete()


def test_a_deleted_checkpoint_that_no_suite_expects_may_be_another_training_runs(
    store: Store, plan: Plan
) -> None:
    for index in range(4):
        commit(store, plan, index)
    collected = collect_results(store, planned(range(1)))
    assert {cell.checkpoint for cell in collected.coverage} == {"step_0"}
    assert {result.checkpoint for result in collected.results} == {"step_0"}


def test_results_of_a_deleted_checkpoint_are_of_the_digest_that_was_measured_last(
    store: Store, plan: Plan
) -> None:
    for index in range(4):
        commit(store, plan, index)
    replaced = make_checkpoint(1, digest="f" * 64)
    newer = make_result("demo-boolq", replaced, "n" * 16)
    finished = newer.provenance.model_copy(update={"finished_at": "2026-02-01T00:00:00+00:00"})
    commit_result(store, newer.model_copy(update={"provenance": finished}))
    collected = collect_results(store, planned(range(1), ABSENT))
    assert [(cell.benchmark, cell.key, cell.state) for cell in collected.coverage[2:]] == [
        ("demo-boolq", "n" * 16, "done"), ("demo-wikitext", None, "not uploaded"),
    ]  # fmt: skip


def test_results_of_a_deleted_checkpoint_by_another_protocol_do_not_mix_in(store: Store, plan: Plan) -> None:
    for index in range(4):
        commit(store, plan, index)
    limited = plan.protocols["demo-boolq"].model_copy(update={"limit": 5})
    other = planned(range(1), ABSENT).model_copy(
        update={"protocols": {**plan.protocols, "demo-boolq": limited}}
    )
    states = [cell.state for cell in collect_results(store, other).coverage[2:]]
    assert states == ["not uploaded", "done"]


def test_a_quarantined_checkpoint_is_not_what_was_measured(store: Store, plan: Plan) -> None:
    for index in range(4):
        commit(store, plan, index)
    damaged = Quarantine(id="step_1", uri="u", step=1, phase=1, reason="truncated")
    collected = collect_results(store, planned(range(1), damaged))
    assert {(cell.checkpoint, cell.state) for cell in collected.coverage} == {
        ("step_0", "done"), ("step_1", "quarantined"),
    }  # fmt: skip


def test_a_result_with_too_many_truncated_prompts_is_not_applicable(store: Store, plan: Plan) -> None:
    commit(store, plan, 0, truncated=6)
    strict = collect_results(store, plan, max_truncated=0.5)
    assert strict.coverage[0].state == "not applicable"
    assert "6 of 10 prompts truncated" in str(strict.coverage[0].reason)
    assert strict.results == ()
    assert len(collect_results(store, plan, max_truncated=0.6).results) == 1


def test_a_complete_plan_says_so(store: Store, plan: Plan) -> None:
    for index in range(4):
        commit(store, plan, index)
    assert collect_results(store, plan).is_complete()


def test_the_index_saves_reading_and_losing_it_changes_nothing(store: Store, plan: Plan) -> None:
    names = [commit(store, plan, index, value=index / 7) for index in range(3)]
    cold = read_results(store, "m", names)
    reads: list[str] = []
    read = store.read

    def counting_read(key: str, start: int | None = None, length: int | None = None) -> bytes:
        reads.append(key)
        return read(key, start, length)

    store.read = counting_read  # type: ignore[method-assign]
    assert read_results(store, "m", names) == cold
    assert reads == [index_place("m")]
    store.delete(index_place("m"))
    assert read_results(store, "m", names) == cold
    store.write(index_place("m"), b"rubbish")
    assert read_results(store, "m", names) == cold


def test_the_index_does_not_keep_a_deleted_commit(store: Store, plan: Plan) -> None:
    names = [commit(store, plan, index) for index in range(2)]
    read_results(store, "m", names)
    store.delete(commit_place("m", names[0]))
    assert [r.checkpoint for r in read_results(store, "m", names).results] == ["step_0"]
    assert list(list_commits(store, "m")) == [names[1]]


def test_a_damaged_commit_is_a_failed_cell_and_stops_nobody(store: Store, plan: Plan) -> None:
    damaged, *others = [commit(store, plan, index) for index in range(4)]
    store.write(commit_place("m", damaged), b'{"schema_name": "a360.result/1"}')
    for _ in range(2):  # without the index, then with it
        collected = collect_results(store, plan)
        assert [cell.state for cell in collected.coverage] == ["failed", "done", "done", "done"]
        assert len(collected.results) == len(others)
        reason = collected.coverage[0].reason or ""
        assert f"document is damaged: {commit_place('m', damaged)}: expected a Result" in reason
        assert "Delete it" in reason


def test_a_store_that_may_not_be_written_is_read_all_the_same(
    store: Store, plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(key: str, data: bytes) -> None:
        raise ConfigError("access denied")

    commit(store, plan, 0)
    monkeypatch.setattr(store, "write", refuse)
    assert len(collect_results(store, plan).results) == 1


def test_a_damaged_failure_bars_nothing(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    place = failure_place("m", CommitName("demo-boolq", "step_1", "k" * 16), "a")
    store.write(place, b"{")
    assert read_failures(store, "m") == {}
    assert place in caplog.text


def test_the_newest_failure_of_a_pair_counts(store: Store) -> None:
    name = CommitName("demo-boolq", "step_1", "k" * 16)
    for attempt in ("a", "b"):
        failure = Failure(
            model="m", checkpoint="step_1", benchmark="demo-boolq", key="k" * 16, attempt=attempt,
            exit_code=3, error=f"error {attempt}", hint=None, environment="e", node="n", failed_at="2026",
        )  # fmt: skip
        record_failure(store, failure)
    assert read_failures(store, "m")[name].error == "error b"


def test_a_plan_comes_back_as_it_was_stored(store: Store, plan: Plan) -> None:
    write_plan(store, plan)
    assert read_plan(store, plan.id) == plan
    with pytest.raises(DataError, match="no plan nope"):
        read_plan(store, "nope")
