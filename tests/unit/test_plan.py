"""Planning is pure: what is expected minus what is committed."""

import pytest

from a360.datasets.mirror import MirrorFile, MirrorManifest, MirrorRepository
from a360.errors import ConfigError
from a360.identity import generation_key, result_key
from a360.plan import (
    History,
    Protocols,
    Unavailable,
    build_protocols,
    find_cells,
    make_plan,
    pairs_of_group,
)
from a360.records import Failure, Grading, Plan, Quarantine
from a360.results.places import CommitName
from tests.documents import make_checkpoint, make_discovery, make_protocol, make_protocols, make_suite

BENCHMARKS = ("demo-boolq", "demo-wikitext")


def key_of(step: int, benchmark: str) -> str:
    return result_key(generation_key(make_checkpoint(step).digest, make_protocol(benchmark)), None)


def plan(
    history: History | None = None,
    extra: str = "",
    *,
    retry_failed: bool = False,
    steps: int = 3,
    max_checkpoints: int | None = None,
) -> Plan:
    return make_plan(
        make_suite(extra=extra),
        make_discovery(range(steps)),
        make_protocols(*BENCHMARKS),
        history or History(),
        environments=() if retry_failed else ["image of plans", "here"],
        max_checkpoints=max_checkpoints,
    )


def failure(step: int, benchmark: str, exit_code: int = 3, environment: str = "here") -> History:
    key = key_of(step, benchmark)
    document = Failure(
        model="m", checkpoint=f"step_{step}", benchmark=benchmark, key=key, attempt="a", exit_code=exit_code,
        error="NaN logits", hint=None, environment=environment, node="n", failed_at="2026-01-01",
    )  # fmt: skip
    return History(failures={CommitName(benchmark, f"step_{step}", key): document})


def test_an_empty_store_plans_every_pair_oldest_checkpoint_first() -> None:
    groups = plan().groups
    assert [pair for group in groups for pair in group] == [
        f"step_{step}/{benchmark}" for step in range(3) for benchmark in sorted(BENCHMARKS)
    ]
    assert all(len(group) == 1 for group in groups)


def test_a_committed_pair_is_done_and_not_planned_again() -> None:
    history = History(commits={CommitName("demo-boolq", "step_1", key_of(1, "demo-boolq"))})
    made = plan(history)
    assert [cell.state for cell in made.cells if cell.checkpoint == "step_1"] == ["done", "missing"]
    assert ("step_1/demo-boolq",) not in made.groups
    assert len(made.groups) == 5


def test_a_commit_of_another_digest_or_protocol_does_not_count() -> None:
    history = History(commits={CommitName("demo-boolq", "step_1", key_of(2, "demo-boolq"))})
    assert len(plan(history).groups) == 6


def test_a_pair_that_failed_in_this_environment_is_skipped_until_asked_for() -> None:
    history = failure(0, "demo-boolq")
    skipped = plan(history)
    assert [cell.state for cell in skipped.cells][:1] == ["failed"]
    assert "NaN logits" in str(skipped.cells[0].reason)
    assert len(skipped.groups) == 5
    assert len(plan(history, retry_failed=True).groups) == 6


@pytest.mark.parametrize(("exit_code", "environment"), [(75, "here"), (2, "here"), (3, "another image")])
def test_a_failure_that_may_pass_is_planned_again(exit_code: int, environment: str) -> None:
    assert len(plan(failure(0, "demo-boolq", exit_code, environment)).groups) == 6


def test_quarantined_checkpoints_keep_their_cells_and_reasons() -> None:
    broken = Quarantine(id="step_9", uri="u", step=9, reason="shard is truncated")
    made = make_plan(
        make_suite(),
        make_discovery(range(1), (broken,)),
        make_protocols(*BENCHMARKS),
        History(),
        environments=(),
    )
    cells = [cell for cell in made.cells if cell.checkpoint == "step_9"]
    assert [(cell.state, cell.reason) for cell in cells] == [("quarantined", "shard is truncated")] * 2
    assert len(made.groups) == 2


def test_a_duplicate_of_a_step_is_expected_nowhere() -> None:
    duplicate = Quarantine(id="main", uri="u", step=0, state="duplicate", reason="same step as step_0")
    discovery = make_discovery(range(1), (duplicate,))
    made = make_plan(make_suite(), discovery, make_protocols(*BENCHMARKS), History(), environments=())
    assert {cell.checkpoint for cell in made.cells} == {"step_0"}
    assert made.quarantined == (duplicate,)


def test_newest_first_with_a_bound_takes_the_last_checkpoints() -> None:
    made = plan(extra="sweep: {max_pairs: 3, order: newest-first}")
    assert [pair for group in made.groups for pair in group] == [
        "step_2/demo-boolq", "step_2/demo-wikitext", "step_1/demo-boolq",
    ]  # fmt: skip


def test_checkpoints_beyond_the_bound_are_left_for_the_next_plan() -> None:
    made = plan(extra="sweep: {order: newest-first}", max_checkpoints=1)
    assert {pair for group in made.groups for pair in group} == {"step_2/demo-boolq", "step_2/demo-wikitext"}
    assert [cell.state for cell in made.cells] == ["missing"] * 6


def test_groups_hold_pairs_of_one_checkpoint_only() -> None:
    made = plan(extra="run: {pairs_per_group: all}")
    assert [len(group) for group in made.groups] == [2, 2, 2]
    assert all(len({pair.split("/")[0] for pair in group}) == 1 for group in made.groups)


def test_the_plan_id_is_a_function_of_the_content() -> None:
    assert plan().id == plan().id
    assert plan().id != plan(steps=2).id


def test_missing_data_leaves_the_other_benchmarks_alone() -> None:
    protocols = Protocols(
        protocols={"demo-boolq": make_protocol("demo-boolq")},
        unavailable={"demo-wikitext": Unavailable("missing", "data missing: x")},
    )
    made = make_plan(make_suite(), make_discovery(range(1)), protocols, History(), environments=())
    assert [(c.benchmark, c.state, c.reason) for c in made.cells] == [
        ("demo-boolq", "missing", None),
        ("demo-wikitext", "missing", "data missing: x"),
    ]
    assert made.groups == (("step_0/demo-boolq",),)


def mirror(*repositories: str, stand_in: bool = True) -> MirrorManifest:
    files = {"boolq/validation.parquet": MirrorFile(bytes=1, sha256="s")}
    return MirrorManifest(
        stand_in=stand_in,
        repositories={name: MirrorRepository(revision="r", files=files) for name in repositories},
    )


def test_stand_in_rows_never_serve_a_real_benchmark() -> None:
    with pytest.raises(ConfigError, match="stand-in rows: benchmark boolq"):
        build_protocols(make_suite("[boolq]"), mirror("aps/super_glue"))
    assert (
        "boolq" in build_protocols(make_suite("[boolq]"), mirror("aps/super_glue", stand_in=False)).protocols
    )


def test_absent_data_makes_a_benchmark_unavailable_by_name() -> None:
    built = build_protocols(make_suite(), mirror("aps/super_glue"))
    assert list(built.protocols) == ["demo-boolq"]
    assert "EleutherAI/wikitext_document_level" in built.unavailable["demo-wikitext"].reason


def test_data_limit_and_dtype_change_the_protocol_but_batch_size_does_not() -> None:
    def protocol(suite_extra: str = "", benchmarks: str = "[demo-boolq]", revision: str = "s") -> object:
        files = {"boolq/validation.parquet": MirrorFile(bytes=1, sha256=revision)}
        manifest = MirrorManifest(
            stand_in=True, repositories={"aps/super_glue": MirrorRepository(revision="r", files=files)}
        )
        return build_protocols(make_suite(benchmarks, suite_extra), manifest).protocols["demo-boolq"]

    assert protocol() == protocol("run: {batch_size: 3, device: cpu, workers: 2}")
    assert protocol() != protocol(revision="other bytes")
    assert protocol() != protocol(benchmarks="[{id: demo-boolq, limit: 5}]")


GRADED = "demo-next-word"


def graded_plan(history: History | None = None, *, sources: str = "s", extra: str = "") -> Plan:
    """A plan of one checkpoint with a benchmark that is graded apart and one that is not."""
    protocols = Protocols(
        protocols={GRADED: make_protocol(GRADED), "demo-boolq": make_protocol("demo-boolq")},
        gradings={GRADED: Grading(grader="next_word", source_hash=sources)},
    )
    suite = make_suite(f"[{GRADED}, demo-boolq]", extra)
    return make_plan(suite, make_discovery(range(1)), protocols, history or History(), environments=["here"])


def generated(plan: Plan) -> CommitName:
    return CommitName(GRADED, "step_0", str(plan.cells[0].generation_key))


def test_a_pair_that_is_graded_apart_has_two_stages() -> None:
    cells = graded_plan().cells
    assert [(cell.benchmark, cell.stages) for cell in cells] == [
        (GRADED, ("evaluate", "grade")), ("demo-boolq", ("evaluate",)),
    ]  # fmt: skip
    assert cells[0].key != result_key(str(cells[0].generation_key), None)


def test_a_committed_generation_leaves_only_grading_to_do() -> None:
    made = graded_plan(History(generations={generated(graded_plan())}))
    assert (made.cells[0].state, made.cells[0].stages) == ("missing", ("grade",))
    assert made.groups == ((f"step_0/{GRADED}",), ("step_0/demo-boolq",))


def test_another_grader_grades_the_same_generation_under_another_key() -> None:
    first = graded_plan()
    commits = {CommitName(GRADED, "step_0", str(first.cells[0].key))}
    history = History(commits=commits, generations={generated(first)})
    assert (graded_plan(history).cells[0].state, graded_plan(history).cells[0].stages) == ("done", ())
    other = graded_plan(history, sources="other").cells[0]
    assert other.generation_key == first.cells[0].generation_key
    assert other.key != first.cells[0].key
    assert (other.state, other.stages) == ("missing", ("grade",))


def test_a_generation_of_another_checkpoint_or_benchmark_does_not_count() -> None:
    name = generated(graded_plan())
    strangers = {name._replace(checkpoint="step_1"), name._replace(benchmark="x"), name._replace(key="k")}
    assert graded_plan(History(generations=strangers)).cells[0].stages == ("evaluate", "grade")


def test_pairs_with_other_stages_or_another_kind_of_grading_are_in_other_groups() -> None:
    whole = "run: {pairs_per_group: all}"
    assert graded_plan(extra=whole).groups == ((f"step_0/{GRADED}",), ("step_0/demo-boolq",))


def test_a_graded_benchmark_has_its_grader_and_its_decoding_in_the_plan() -> None:
    files = {"docstrings/test.parquet": MirrorFile(bytes=1, sha256="s")}
    manifest = MirrorManifest(
        stand_in=True, repositories={"a360/demo-heldout": MirrorRepository(revision="r", files=files)}
    )
    built = build_protocols(make_suite(f"[{GRADED}, demo-heldout-perplexity]"), manifest)
    assert list(built.gradings) == [GRADED]
    assert (built.gradings[GRADED].grader, len(built.gradings[GRADED].source_hash)) == ("next_word", 16)
    assert built.protocols[GRADED].decoding == {"max_new_tokens": 8, "until": []}
    assert built.protocols["demo-heldout-perplexity"].decoding == {}


def test_a_group_is_found_by_its_number_and_an_unknown_one_is_refused() -> None:
    made = plan()
    assert pairs_of_group(made, 5) == made.groups[5]
    for number in (-1, 6):
        with pytest.raises(ConfigError, match=f"has no group {number}: its 6 groups begin at 0"):
            pairs_of_group(made, number)


def test_a_pair_that_is_not_in_the_plan_is_refused_by_name() -> None:
    made = plan()
    assert [cell.checkpoint for cell in find_cells(made, ["step_2/demo-boolq"])] == ["step_2"]
    with pytest.raises(ConfigError, match="pair step_9/demo-boolq is not in plan"):
        find_cells(made, ["step_2/demo-boolq", "step_9/demo-boolq"])
