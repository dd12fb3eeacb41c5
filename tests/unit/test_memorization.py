"""Memorization: what a match is, which chunks a checkpoint is asked for, and what belongs to a key."""

from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from a360.benchmarks import Memorization, locked_task_hash
from a360.benchmarks.choices import OwnSequences
from a360.benchmarks.memorization import memorization_hash
from a360.datasets.mirror import MirrorFile, MirrorManifest, MirrorRepository
from a360.datasets.sequences import TrainingSequence
from a360.errors import ConfigError
from a360.evaluators.memorization_metrics import Continued, memorization_items, memorization_records
from a360.plan import History, build_protocols, make_plan
from a360.records import Cell, Discovery, Metric, Plan
from a360.suite import Suite, parse_suite
from tests.documents import make_checkpoint

ASKED = Memorization()
OWN = {"id": "mem", "data": "amber/sequences", "chunks": 5, "first_seen_step": 0, "steps_per_chunk": 1}


def sequence(line: int = 1, chunk: str = "chunk-000", source: str = "c4") -> TrainingSequence:
    return TrainingSequence(chunk, line, source, tuple(range(64)), f"p/{chunk}/f:{line}")


def continued(matches: str, **where: object) -> Continued:
    """A sequence whose answer is right where ``matches`` has a 1."""
    said = [32 + place if right == "1" else -1 for place, right in enumerate(matches)]
    return Continued.compare(sequence(**where), ASKED, said)  # type: ignore[arg-type]


def values(records: list[Metric], metric: str) -> dict[tuple[str, str | None], float | None]:
    return {(r.task, r.subset): r.value for r in records if r.metric == metric}


def test_a_match_is_position_by_position_and_no_prefix() -> None:
    late = continued("0" + "1" * 31)
    assert (late.value("token_match"), late.value("full_match")) == (31 / 32, 0.0)
    assert continued("1" * 32).value("full_match") == 1.0
    assert continued("10" * 16).value("token_match") == 0.5


def test_a_shifted_answer_is_not_right() -> None:
    shifted = Continued.compare(sequence(), ASKED, list(range(33, 65)))
    assert shifted.value("token_match") == 0


def test_an_answer_of_another_length_is_an_error_and_never_cut() -> None:
    with pytest.raises(ValueError, match="shorter"):
        Continued.compare(sequence(), ASKED, list(range(32, 63)))


def test_shares_are_fractions_of_chunks_sources_and_all() -> None:
    found = memorization_records(
        "mem",
        [
            continued("1" * 32),
            continued("1" * 16 + "0" * 16, line=2, source="book"),
            continued("0" * 32, chunk="chunk-001", source="book"),
        ],
    )
    assert values(found, "full_match") == {
        ("chunk-000", None): 0.5, ("chunk-001", None): 0.0, ("mem", "book"): 0.0, ("mem", "c4"): 1.0,
        ("mem", None): 1 / 3,
    }  # fmt: skip
    assert values(found, "token_match")["mem", None] == 0.5
    assert all(0 <= (record.value or 0) <= 1 for record in found)
    assert {record.n for record in found if record.task == "mem" and record.subset is None} == {3}


def test_every_sequence_keeps_its_line_its_source_and_where_it_was_right() -> None:
    rows = memorization_items([continued("10" * 16, line=7), continued("1" * 32, line=3)]).to_pylist()
    assert [(row["task"], row["doc_id"], row["prediction"], row["target"]) for row in rows] == [
        ("chunk-000", 3, "1" * 32, "c4"),
        ("chunk-000", 7, "10" * 16, "c4"),
    ]


@given(st.lists(st.text("01", min_size=32, max_size=32), min_size=1, max_size=20))
def test_the_mean_of_a_group_lies_between_full_and_any_match(matches: list[str]) -> None:
    found = memorization_records("mem", [continued(each, line=n) for n, each in enumerate(matches)])
    full, token = (values(found, metric)["mem", None] for metric in ("full_match", "token_match"))
    assert token == pytest.approx(sum(each.count("1") for each in matches) / 32 / len(matches))
    assert full == sum("0" not in each for each in matches) / len(matches)
    assert full is not None
    assert token is not None
    assert full <= token + 1e-12


def test_chunks_are_grouped_and_the_last_group_may_be_smaller() -> None:
    rows = OwnSequences(**OWN, chunks_per_group=2, control=True).benchmarks()  # type: ignore[arg-type]
    assert [row.id for row in rows] == ["mem-000-001", "mem-002-003", "mem-004", "mem-control"]
    assert rows[1].data == ("amber/sequences/chunk-002", "amber/sequences/chunk-003")
    assert [row.memorization.seen_from_step for row in rows if row.memorization] == [1, 3, 4, None]


def suite(pattern: str = r"(?P<step>\d+)", **changes: object) -> Suite:
    document = {
        "name": "s",
        "model": {"name": "m", "root": "r", "naming": {"pattern": pattern}},
        "store": {"uri": "s"},
        "data": {"mirror": "d"},
        "benchmarks": [],
        "memorization": [{**OWN, **changes}],
    }
    return parse_suite(yaml.safe_dump(document), where="test", base_dir=Path("/"))


def manifest(**hashes: str) -> MirrorManifest:
    files = {
        f"{folder.replace('_', '-')}/s.parquet": MirrorFile(bytes=1, sha256=h) for folder, h in hashes.items()
    }
    return MirrorManifest(
        stand_in=False, repositories={"amber/sequences": MirrorRepository(revision="r", files=files)}
    )


CHUNKS = {f"chunk_{number:03d}": "0" * 64 for number in range(5)}


def plan(of: Suite, mirror: MirrorManifest) -> Plan:
    discovery = Discovery(model="m", checkpoints=tuple(map(make_checkpoint, (0, 2, 4))), quarantined=())
    return make_plan(of, discovery, build_protocols(of, mirror), History(), environments=["e"])


def states(of: Suite) -> dict[tuple[str, str], str]:
    mirror = manifest(**CHUNKS, control="1" * 64)
    return {(cell.checkpoint, cell.benchmark): cell.state for cell in plan(of, mirror).cells}


def cell_of(made: Plan, checkpoint: str, benchmark: str) -> Cell:
    [cell] = [c for c in made.cells if (c.checkpoint, c.benchmark) == (checkpoint, benchmark)]
    return cell


def test_a_checkpoint_is_asked_for_chunks_that_it_has_seen_and_for_the_control() -> None:
    """ckpt_i is saved after chunk i: it has seen chunks 0 to i."""
    found = states(suite(control=True))
    for step, seen in ((2, 3), (0, 1)):
        asked = [found[f"step_{step}", f"mem-{chunk:03d}"] for chunk in range(5)]
        assert asked == ["missing"] * seen + ["not applicable"] * (5 - seen)
    assert {found[f"step_{step}", "mem-control"] for step in (0, 2, 4)} == {"missing"}
    cell = cell_of(plan(suite(), manifest(**CHUNKS)), "step_2", "mem-003")
    assert cell.reason == "not seen yet: its last chunk ends at step 3"


def test_all_chunks_are_asked_for_on_request() -> None:
    assert set(states(suite(include="all")).values()) == {"missing"}


def keys(of: Suite, mirror: MirrorManifest) -> dict[tuple[str, str], str | None]:
    return {(c.checkpoint, c.benchmark): c.key for c in plan(of, mirror).cells if c.key}


def test_another_draw_of_one_chunk_leaves_the_keys_of_the_others() -> None:
    before = keys(suite(), manifest(**CHUNKS))
    after = keys(suite(), manifest(**{**CHUNKS, "chunk_001": "1" * 64}))
    changed = {pair[1] for pair, key in before.items() if after[pair] != key}
    assert changed == {"mem-001"}


def test_who_is_asked_changes_no_key_and_how_is_asked_does() -> None:
    before = keys(suite(), manifest(**CHUNKS))
    assert before.items() <= keys(suite(include="all"), manifest(**CHUNKS)).items()
    assert keys(suite(chunks=4), manifest(**CHUNKS)).items() <= before.items()
    [row, *_] = OwnSequences(**OWN).benchmarks()  # type: ignore[arg-type]
    [other, *_] = OwnSequences(**OWN, end_of_text="stops").benchmarks()  # type: ignore[arg-type]
    assert locked_task_hash(row) != locked_task_hash(other)


def test_the_last_step_of_a_group_is_in_no_key() -> None:
    asked = Memorization()
    assert memorization_hash(replace(asked, seen_from_step=7)) == memorization_hash(asked)
    assert memorization_hash(replace(asked, asks_unseen=True)) == memorization_hash(asked)
    for change in ({"shown_tokens": 16}, {"asked_tokens": 16}, {"end_of_text": "stops"}):
        assert memorization_hash(replace(asked, **change)) != memorization_hash(asked)


def test_a_chunk_that_was_not_drawn_is_missing_by_name() -> None:
    cell = cell_of(plan(suite(), manifest(chunk_000="0" * 64)), "step_4", "mem-001")
    assert cell.state == "missing"
    assert "the mirror has no data amber/sequences/chunk-001" in str(cell.reason)


def test_phases_are_refused_since_their_steps_say_not_what_was_seen() -> None:
    with pytest.raises(ConfigError, match=r"found a group \(\?P<phase>…\) in model\.naming\.pattern"):
        suite(pattern=r"phase(?P<phase>\d+)_(?P<step>\d+)")


def test_an_id_that_is_taken_is_refused() -> None:
    document = {**suite().model_dump(mode="json", by_alias=True), "texts": [{"id": "mem-000", "data": "x"}]}
    with pytest.raises(ConfigError, match="benchmark 'mem-000' is named twice"):
        parse_suite(yaml.safe_dump(document), where="test", base_dir=Path("/"))
