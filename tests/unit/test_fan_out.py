"""What a workflow fans out over: names of children that Kubernetes takes, and items that name groups."""

import re

import pytest

from a360.benchmarks import find_benchmark
from a360.fan_out import benchmarks_text, child_name, fan_out
from a360.plan import History, Protocols, make_plan
from a360.records import Grading, Plan
from a360.results.places import CommitName
from tests.documents import make_discovery, make_protocol, make_suite

LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
"""DNS-1123, at most 63 characters."""
CRYSTAL = [
    f"CrystalCoder_phase{phase}_checkpoint_{step:06d}"
    for phase in (1, 2, 3)
    for step in range(0, 30_000, 1500)
]
AMBER = [f"ckpt_{number:03d}" for number in range(360)]
OLMO = [f"stage1-step{1000 * n}-tokens{21 * n}B" for n in range(300)] + [
    "stage2-ingredient1-step1000-tokens5B"
]
LONGEST = "a360-amber-" + "x" * 29
HOSTILE = ["___", "-", "Ä", "012", "1e3", "yes", "a: b", "a\nb", '"q"', "x" * 300, "a/b", ""]


@pytest.mark.parametrize("sweep", ["a360-demo-x7k2p", LONGEST, "s"])
@pytest.mark.parametrize(
    "checkpoints", [CRYSTAL, AMBER, OLMO, HOSTILE], ids=["crystal", "amber", "olmo", "hostile"]
)
def test_children_have_legal_names_and_each_its_own(sweep: str, checkpoints: list[str]) -> None:
    names = [child_name(sweep, checkpoint) for checkpoint in checkpoints]
    assert [name for name in names if not LABEL.fullmatch(name) or len(name) > 63] == []
    assert len(set(names)) == len(checkpoints)
    assert all(name.startswith(f"{sweep}-") for name in names)


def test_colliding_slugs_are_kept_apart_by_the_hash_of_the_id() -> None:
    one, other, third = (child_name("s", checkpoint) for checkpoint in ("ckpt_1", "ckpt-1", "CKPT.1"))
    assert [name.rpartition("-")[0] for name in (one, other, third)] == ["s-ckpt-1"] * 3
    assert len({one, other, third}) == 3


def test_the_name_shows_the_end_of_the_id_where_ids_differ() -> None:
    name = child_name("a360-crystal-abcde", "CrystalCoder_phase2_checkpoint_055500")
    assert re.fullmatch("a360-crystal-abcde-point-055500-[0-9a-f]{8}", name)
    assert name == child_name("a360-crystal-abcde", "CrystalCoder_phase2_checkpoint_055500")


@pytest.mark.parametrize(
    "sweep", ["a360-" + "y" * 50, "a360-" + "y" * 51, "a.b", "a-b", "A-B", "", "-x", "." * 70]
)
def test_a_sweep_whose_name_cannot_begin_a_childs_is_shortened_and_stays_itself(sweep: str) -> None:
    name = child_name(sweep, "ckpt_1")
    assert LABEL.fullmatch(name)
    others = ["a360-" + "y" * 49, "a360-" + "y" * 52, "a_b", "a+b"]
    assert name not in {child_name(other, "ckpt_1") for other in others}


def planned(*generated: CommitName, extra: str = "") -> Plan:
    benchmarks = ("demo-boolq", "demo-next-word", "demo-wikitext")
    protocols = Protocols(
        protocols={benchmark: make_protocol(benchmark) for benchmark in benchmarks},
        gradings={"demo-next-word": Grading(grader="next_word", source_hash="s")},
    )
    suite = make_suite(str(list(benchmarks)), extra)
    history = History(generations=frozenset(generated))
    return make_plan(suite, make_discovery(range(2)), protocols, history, environments=())


def items(plan: Plan) -> list[dict[str, str]]:
    return fan_out(plan, [find_benchmark(benchmark) for benchmark in plan.benchmarks], "sweep")


def test_an_item_names_child_checkpoint_and_groups_of_numbered_benchmarks() -> None:
    found = items(planned())
    assert [item["child"] for item in found] == [child_name("sweep", f"step_{step}") for step in (0, 1)]
    assert [(item["checkpoint"], item["groups"]) for item in found] == [
        ("step_0", "0:1,0,2"),
        ("step_1", "3:1,0,2"),
    ]


def test_benchmarks_are_named_once_with_their_grade_kind() -> None:
    benchmarks = [find_benchmark(benchmark) for benchmark in planned().benchmarks]
    assert benchmarks_text(benchmarks) == "demo-boolq:none,demo-next-word:classifier,demo-wikitext:none"


def test_pairs_that_other_pods_grade_are_in_other_groups() -> None:
    found = items(planned(extra="run: {pairs_per_group: all}"))
    assert [item["groups"] for item in found] == ["0:1,0+2", "2:1,0+2"]


def test_a_group_that_only_needs_grading_says_so() -> None:
    plan = planned()
    key = next(cell.generation_key for cell in plan.cells if cell.benchmark == "demo-next-word")
    found = items(planned(CommitName("demo-next-word", "step_0", str(key))))
    assert [item["groups"] for item in found] == ["0:1*,0,2", "3:1,0,2"]


def test_a_plan_without_work_has_no_items() -> None:
    assert items(planned().model_copy(update={"groups": ()})) == []
