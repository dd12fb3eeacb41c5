"""How far a sweep is, from the documents that Argo writes."""

from datetime import UTC, datetime
from typing import Any

import pytest

from a360.benchmarks import CATALOGUE
from a360.cluster.progress import CheckpointProgress, SweepProgress, measure, parse_groups
from a360.cluster.workflows import fraction, item_of, read_workflow
from tests.cluster_objects import BENCHMARKS, Document, child, item, node, plan_node, sweep

NOW = datetime(2026, 1, 1, 1, 0, tzinfo=UTC)
TWO = "0:0,1+2"
EVALUATE = "c[0].evaluate(0:benchmarks:boolq,grade:none,group:0)"
BOTH = "c[0].evaluate(1:benchmarks:arc-easy+piqa,grade:none,group:1)"


def measured(sweep_document: Document, *children: Document) -> SweepProgress:
    return measure(read_workflow(sweep_document), map(read_workflow, children), NOW)


def one(groups: str = TWO, phase: str = "Running", **more: Any) -> CheckpointProgress:
    """The progress of the only checkpoint of a sweep."""
    planned = sweep("s", nodes=[plan_node([item("c", "ckpt_1", groups)])])
    [checkpoint] = measured(planned, child("s", "c", "ckpt_1", groups, phase, **more)).checkpoints
    return checkpoint


def states(checkpoint: CheckpointProgress) -> list[str]:
    return [group.state for group in checkpoint.groups]


def test_a_sweep_that_plans_has_no_pairs_yet() -> None:
    progress = measured(sweep("s", nodes=[node("s[0].plan", "plan", "Running")]))
    assert (progress.planned, progress.count(), progress.seconds_left) == (False, 0, None)


def test_a_checkpoint_whose_workflow_does_not_exist_yet_waits() -> None:
    progress = measured(sweep("s", nodes=[plan_node([item("c", "ckpt_1", TWO)])]))
    assert progress.planned
    assert [(c.checkpoint, c.state) for c in progress.checkpoints] == [("ckpt_1", "waiting")]
    assert (progress.count(), progress.count("waiting")) == (3, 3)


def test_groups_are_counted_in_pairs() -> None:
    checkpoint = one(nodes=[node(f"{EVALUATE}(0)", "evaluate"), node(BOTH, "evaluate", "Running")])
    assert states(checkpoint) == ["done", "running"]
    assert (checkpoint.count("done"), checkpoint.count("running"), checkpoint.count()) == (1, 2, 3)


def test_a_failed_attempt_below_a_retry_is_not_the_end_of_its_group() -> None:
    attempts = [
        node(EVALUATE, "evaluate", "Running", type="Retry"),
        node(f"{EVALUATE}(0)", "evaluate", "Error", message="pod deleted"),
        node(f"{EVALUATE}(1)", "evaluate", "Running"),
    ]
    assert states(one(nodes=attempts)) == ["running", "waiting"]
    ended = [node(EVALUATE, "evaluate", "Failed", type="Retry"), *attempts[1:]]
    assert states(one(nodes=ended)) == ["failed", "waiting"]


def test_a_graded_group_is_done_when_its_grading_is() -> None:
    groups = "0:3"
    name = "c[0].evaluate(0:benchmarks:demo-next-word,grade:classifier,group:0)"
    grade = "c[1].grade(0:benchmarks:demo-next-word,grade:classifier,group:0)"
    evaluated = [node(name, "evaluate"), node(grade, "grade-code", "Skipped", type="Skipped")]
    assert states(one(groups, nodes=evaluated)) == ["running"]
    running = [*evaluated[:1], node(grade, "grade-classifier", "Running")]
    assert states(one(groups, nodes=running)) == ["running"]
    assert states(one(groups, nodes=[*evaluated[:1], node(grade, "grade-classifier")])) == ["done"]
    assert states(one(groups, nodes=[*evaluated[:1], node(grade, "grade-classifier", "Failed")])) == [
        "failed"
    ]


def test_what_a_failed_workflow_left_out_has_failed_and_what_it_did_is_done() -> None:
    checkpoint = one(phase="Failed", message="child 'x' failed", nodes=[node(EVALUATE, "evaluate")])
    assert (checkpoint.state, checkpoint.message) == ("failed", "child 'x' failed")
    assert states(checkpoint) == ["done", "failed"]


def test_a_workflow_that_was_stopped_has_not_failed() -> None:
    checkpoint = one(phase="Failed", shutdown="Stop", nodes=[])
    assert (checkpoint.state, states(checkpoint)) == ("stopped", ["stopped", "stopped"])


@pytest.mark.parametrize(
    ("phase", "state"), [("Succeeded", "done"), ("Failed", "failed"), ("Running", "running")]
)
def test_a_workflow_that_was_deleted_is_known_from_the_sweep(phase: str, state: str) -> None:
    inputs = {"parameters": [{"name": "child", "value": "c"}]}
    resource = node("s[1].run(0:child:c)", "run-checkpoint", phase, type="Retry", inputs=inputs)
    attempt = node("s[1].run(0:child:c)(0)", "run-checkpoint", "Error", inputs=inputs)
    progress = measured(sweep("s", nodes=[plan_node([item("c", "ckpt_1", TWO)]), attempt, resource]))
    assert [checkpoint.state for checkpoint in progress.checkpoints] == [state]


def test_a_checkpoint_that_never_began_before_the_end_is_not_done() -> None:
    planned = [plan_node([item("c", "ckpt_1", TWO)])]
    assert measured(sweep("s", phase="Failed", nodes=planned)).checkpoints[0].state == "failed"
    stopped = sweep("s", phase="Failed", shutdown="Stop", nodes=planned)
    assert measured(stopped).checkpoints[0].state == "stopped"
    assert measured(sweep("s", phase="Succeeded", nodes=planned)).checkpoints[0].state == "done"


def test_the_time_that_is_left_goes_by_the_cost_of_what_is_done() -> None:
    groups = "0:4,0"
    name = "c[0].evaluate(0:benchmarks:mmlu-5shot,grade:none,group:0)"
    running = child("s", "c", "ckpt_1", groups, nodes=[node(name, "evaluate")])
    progress = measured(sweep("s", nodes=[plan_node([item("c", "ckpt_1", groups)])]), running)
    done, rest = CATALOGUE["mmlu-5shot"].cost, CATALOGUE["boolq"].cost
    assert progress.seconds_left == pytest.approx(3600 * rest / done)


def test_a_pod_at_work_counts_by_its_own_progress() -> None:
    attempts = [
        node(EVALUATE, "evaluate", "Running", type="Retry", progress="9/10"),
        node(f"{EVALUATE}(0)", "evaluate", "Error", progress="9/10", startedAt="2026-01-01T00:00:01Z"),
        node(f"{EVALUATE}(1)", "evaluate", "Running", progress="1/4", startedAt="2026-01-01T00:20:00Z"),
    ]
    checkpoint = one("0:0", nodes=attempts)
    done, total = checkpoint.work()
    assert done == pytest.approx(total / 4)


def test_nothing_done_gives_no_time() -> None:
    running = child("s", "c", "ckpt_1", TWO)
    assert measured(sweep("s", nodes=[plan_node([item("c", "ckpt_1", TWO)])]), running).seconds_left is None


def test_an_ended_sweep_has_no_time_left() -> None:
    done = child("s", "c", "ckpt_1", TWO, "Succeeded")
    planned = [plan_node([item("c", "ckpt_1", TWO)])]
    assert measured(sweep("s", phase="Succeeded", nodes=planned), done).seconds_left is None


def test_without_the_sweeps_nodes_its_children_are_what_is_known() -> None:
    progress = measured(sweep("s"), child("s", "c", "ckpt_1", TWO))
    assert (progress.planned, [c.checkpoint for c in progress.checkpoints]) == (False, ["ckpt_1"])


# --- documents -------------------------------------------------------------------------------------


def test_compressed_nodes_are_read() -> None:
    planned = [plan_node([item("c", "ckpt_1", TWO)])]
    assert measured(sweep("s", nodes=planned, packed=True)).planned


def test_nodes_that_cannot_be_read_are_none() -> None:
    document = sweep("s")
    document["status"] = {"phase": "Running", "compressedNodes": "KLUv/QQA"}
    assert read_workflow(document).nodes is None
    document["status"] = {"phase": "Running", "offloadNodeStatusVersion": "fnv:1"}
    assert read_workflow(document).nodes is None


def test_a_workflow_that_argo_has_not_seen_is_pending() -> None:
    document = sweep("s")
    del document["status"]
    assert read_workflow(document).phase == "Pending"
    assert not read_workflow(document).ended


def test_the_fields_of_an_item_are_read_from_the_name_of_its_node() -> None:
    assert item_of(f"{BOTH}(2)") == {"benchmarks": "arc-easy+piqa", "grade": "none", "group": "1"}
    assert item_of("c[0].evaluate(0:plain)(1)") == {}
    assert item_of("c[0].plan") == {}


@pytest.mark.parametrize(
    ("text", "part"), [("1/4", 0.25), ("0/0", 0.0), ("", 0.0), ("9/4", 1.0), ("x/4", 0.0)]
)
def test_progress_is_a_part_of_one(text: str, part: float) -> None:
    assert fraction(text) == part


def test_groups_are_parsed() -> None:
    assert [(g.number, g.benchmarks, g.grade) for g in parse_groups("46:0,1+2,3*", BENCHMARKS)] == [
        ("46", ("boolq",), "none"),
        ("47", ("arc-easy", "piqa"), "none"),
        ("48", ("demo-next-word",), "classifier"),
    ]
    assert parse_groups("", "") == ()


@pytest.mark.parametrize(
    ("text", "benchmarks"),
    [
        ("mmlu-5shot,boolq", "mmlu-5shot:none,boolq:none"),
        ("0:mmlu-5shot", "mmlu-5shot:none"),
        ("0:3", "mmlu-5shot:none"),
        ("0:0", "mmlu-5shot"),
        ("0:0", ""),
    ],
)
def test_groups_of_another_version_are_not_known_and_no_fault(text: str, benchmarks: str) -> None:
    assert parse_groups(text, benchmarks) == ()
