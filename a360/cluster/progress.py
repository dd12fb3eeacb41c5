"""How far a sweep is: per checkpoint, in pairs, and the time that is left. Pure: workflows in, numbers out.

Which pairs there are is what the plan step handed over; a child that was deleted after its end is known from
the sweep's own nodes. Results are not looked at: the store has them.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from a360.benchmarks import CATALOGUE
from a360.cluster.workflows import Node, Workflow
from a360.fan_out import GENERATED

State = Literal["waiting", "running", "done", "failed", "stopped"]
STATES: tuple[State, ...] = ("running", "waiting", "done", "failed", "stopped")


@dataclass(frozen=True, kw_only=True)
class Group:
    """Pairs of one checkpoint that share a pod."""

    number: str
    benchmarks: tuple[str, ...]
    grade: str

    @property
    def cost(self) -> float:
        """Its relative length: what the catalogue says of its benchmarks."""
        rows = (CATALOGUE.get(benchmark) for benchmark in self.benchmarks)
        return sum(row.cost if row else 1.0 for row in rows)


@dataclass(frozen=True, kw_only=True)
class GroupProgress:
    """One group now; ``part`` of it is done."""

    group: Group
    state: State
    part: float


@dataclass(frozen=True, kw_only=True)
class CheckpointProgress:
    """The pairs of one checkpoint now."""

    checkpoint: str
    workflow: str
    state: State
    groups: tuple[GroupProgress, ...]
    started: datetime | None
    message: str

    def count(self, state: State | None = None) -> int:
        """Pairs, of one state or all."""
        return sum(len(g.group.benchmarks) for g in self.groups if state in (None, g.state))

    def work(self) -> tuple[float, float]:
        """Work that is done, and all of it."""
        done = sum(g.group.cost * g.part for g in self.groups)
        return done, sum(g.group.cost for g in self.groups)


@dataclass(frozen=True, kw_only=True)
class SweepProgress:
    """A sweep now."""

    sweep: Workflow
    now: datetime
    checkpoints: tuple[CheckpointProgress, ...]
    planned: bool
    """Whether it is known what the sweep is to do."""
    seconds_left: float | None

    def count(self, state: State | None = None) -> int:
        """Pairs, of one state or all."""
        return sum(checkpoint.count(state) for checkpoint in self.checkpoints)


def measure(sweep: Workflow, children: Iterable[Workflow], now: datetime) -> SweepProgress:
    """The progress of a sweep from its workflow and those of its checkpoints."""
    by_name = {child.name: child for child in children}
    planned = plan_items(sweep.nodes or ())
    ends = _resource_nodes(sweep.nodes or ())
    items = planned if planned is not None else [_item_of_child(child) for child in by_name.values()]
    checkpoints = tuple(_checkpoint(item, by_name, ends, sweep) for item in items)
    starts = [checkpoint.started for checkpoint in checkpoints if checkpoint.started]
    work = [checkpoint.work() for checkpoint in checkpoints]
    left = None
    if not sweep.ended and starts and planned is not None:
        left = seconds_left(
            sum(d for d, _ in work), sum(t for _, t in work), (now - min(starts)).total_seconds()
        )
    return SweepProgress(
        sweep=sweep, now=now, checkpoints=checkpoints, planned=planned is not None, seconds_left=left
    )


def seconds_left(done: float, total: float, elapsed_seconds: float) -> float | None:
    """The time that the rest takes at the pace so far; None before anything is done."""
    return elapsed_seconds * (total - done) / done if done > 0 else None


def parse_groups(text: str, benchmarks: str) -> tuple[Group, ...]:
    """The groups of a checkpoint as ``fan_out`` writes them: ``17:0,1+2*`` of ``mmlu-5shot:none,…``.

    None of them where a sweep of another version of a360 has written something else.
    """
    try:
        return _parse_groups(text, benchmarks)
    except (ValueError, IndexError):
        return ()


def _parse_groups(text: str, benchmarks: str) -> tuple[Group, ...]:
    first, _, groups = text.partition(":")
    rows = [row.split(":") for row in benchmarks.split(",")]
    found = []
    for number, group in enumerate(groups.split(",") if groups else ()):
        chosen = [rows[int(position)] for position in group.removesuffix(GENERATED).split("+")]
        names = tuple(name for name, _ in chosen)
        found.append(Group(number=str(int(first) + number), benchmarks=names, grade=chosen[0][1]))
    return tuple(found)


def plan_items(nodes: Sequence[Node]) -> list[Mapping[str, str]] | None:
    """What the plan step handed to children: child, checkpoint, groups, benchmarks; None before it ended."""
    for node in nodes:
        if "checkpoints" in node.outputs:
            said_once = {"benchmarks": node.outputs.get("benchmarks", "")}
            items = json.loads(node.outputs["checkpoints"])
            return [{key: str(value) for key, value in item.items()} | said_once for item in items]
    return None


def _item_of_child(child: Workflow) -> Mapping[str, str]:
    return {**child.parameters, "child": child.name}


def _resource_nodes(nodes: Sequence[Node]) -> dict[str, Node]:
    """The node of the sweep that waits for each child: the one over all attempts where there are several."""
    found: dict[str, Node] = {}
    for node in nodes:
        child = node.inputs.get("child") or node.item.get("child")
        if child and (child not in found or node.type == "Retry"):
            found[child] = node
    return found


def _checkpoint(
    item: Mapping[str, str], children: Mapping[str, Workflow], ends: Mapping[str, Node], sweep: Workflow
) -> CheckpointProgress:
    name = item.get("child", "")
    child, end = children.get(name), ends.get(name)
    state = _state(child, end, sweep)
    planned = parse_groups(item.get("groups", ""), item.get("benchmarks", ""))
    groups = tuple(_group(group, child, state) for group in planned)
    message = child.message if child else (end.message if end and state == "failed" else "")
    return CheckpointProgress(
        checkpoint=item.get("checkpoint", name),
        workflow=name,
        state=state,
        groups=groups,
        started=child.started if child else (end.started if end else None),
        message=message,
    )


def _state(child: Workflow | None, end: Node | None, sweep: Workflow) -> State:
    phase = child.phase if child else end.phase if end else "Waiting"
    shutdown = bool(child.shutdown if child else sweep.shutdown)
    if phase == "Succeeded" or (child is None and sweep.phase == "Succeeded"):
        return "done"
    if phase in ("Failed", "Error"):
        return "stopped" if shutdown else "failed"
    if sweep.ended and child is None:
        return "stopped" if shutdown else "failed"
    return "waiting" if phase in ("Pending", "Waiting") else "running"


def _group(group: Group, child: Workflow | None, ended_as: State) -> GroupProgress:
    if ended_as == "done":
        return GroupProgress(group=group, state="done", part=1.0)
    nodes = [
        node for node in (child.nodes if child else None) or () if node.item.get("group") == group.number
    ]
    state = _group_state(group, nodes)
    if ended_as in ("failed", "stopped") and state in ("waiting", "running"):
        state = ended_as
    pods = [node for node in nodes if node.type == "Pod" and node.started]
    latest = max(pods, key=lambda node: node.started or datetime.max, default=None)
    part = 1.0 if state == "done" else latest.progress if latest and state == "running" else 0.0
    return GroupProgress(group=group, state=state, part=part)


def _group_state(group: Group, nodes: Sequence[Node]) -> State:
    tops = _tops(nodes)
    if any(node.phase in ("Failed", "Error") for node in tops):
        return "failed"
    last = [node for node in tops if (node.template.startswith("grade") if group.grade != "none" else True)]
    if last and all(node.phase == "Succeeded" for node in last):
        return "done"
    return "running" if tops else "waiting"


def _tops(nodes: Sequence[Node]) -> list[Node]:
    """Without the attempts below a Retry node, whose failures are not final, and without what was skipped."""
    retries = [node.name for node in nodes if node.type == "Retry"]
    return [
        node
        for node in nodes
        if node.type not in ("Skipped", "StepGroup")
        and not any(node.name.startswith(f"{name}(") for name in retries)
    ]
