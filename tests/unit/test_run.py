"""The worker pool of ``a360 run``: what it makes of workers that die, tire, fail and refuse.

The workers are real processes that run ``act`` below in the place of an evaluation: each pair's benchmark
says what happens to it.
"""

import os
import signal
import subprocess
import sys
import time
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

import a360.run
from a360.errors import ConfigError
from a360.pairs import Event, PairOutcome
from a360.plan import History, make_plan
from a360.records import Plan
from a360.results.read import read_failures
from a360.run import Finished, run_groups
from a360.storage import open_store
from a360.suite import Suite
from tests.documents import make_discovery, make_protocols, make_suite

LOG = "A360_TEST_LOG"
ROOT = Path(__file__).parents[2]
DEADLY, WELL, BUSY, REFUSED = "demo-boolq", "demo-wikitext", "demo-gsm8k-5shot", "demo-mmlu-5shot"
PASSING = "demo-truthfulqa-mc2"


def act(suite: Suite, plan: Plan, pipe: Connection) -> None:
    """A worker that does to a pair what its benchmark stands for, and notes it with its pid."""
    while True:
        try:
            pairs = pipe.recv()
        except EOFError:
            return
        outcomes = []
        for pair in pairs:
            tries = note(pair)
            pipe.send(Event("evaluating", pair))
            outcomes.append(PairOutcome(pair, "committed"))
            benchmark = pair.partition("/")[2]
            if benchmark == DEADLY:
                os.kill(os.getpid(), signal.SIGKILL)
            elif benchmark == BUSY:
                time.sleep(60)
            elif benchmark == REFUSED:
                pipe.send(ConfigError("no mirror"))
            elif benchmark == PASSING and tries < 3:
                outcomes[-1] = PairOutcome(pair, "failed", 75, "no answer")
            else:
                pipe.send(Event("committed", pair))
        pipe.send(Finished(tuple(outcomes), 0))


def note(pair: str) -> int:
    """Adds a line to the log; how often the pair is in it."""
    with open(os.environ[LOG], "a", encoding="utf-8") as log:
        log.write(f"{os.getpid()} {pair}\n")
    return [seen for _, seen in read_log()].count(pair)


def read_log() -> list[tuple[int, str]]:
    """(pid, pair) of every try."""
    lines = [line.split() for line in Path(os.environ[LOG]).read_text(encoding="utf-8").splitlines()]
    return [(int(pid), pair) for pid, pair in lines]


@pytest.fixture(autouse=True)
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(LOG, str(tmp_path / "log"))
    monkeypatch.setattr(a360.run, "_RETRY_SECONDS", 0.01)
    (tmp_path / "log").touch()


def planned(directory: Path, benchmarks: list[str], extra: str = "") -> tuple[Suite, Plan]:
    suite = make_suite(str(benchmarks), extra, base_dir=directory)
    protocols = make_protocols(*benchmarks)
    return suite, make_plan(suite, make_discovery(range(2)), protocols, History(), environments=())


def run(directory: Path, benchmarks: list[str], extra: str = "", workers: int = 2) -> dict[str, PairOutcome]:
    suite, plan = planned(directory, benchmarks, extra)
    outcomes = run_groups(suite, plan, lambda event: None, workers=workers, work=act)
    return {outcome.pair: outcome for outcome in outcomes}


def test_a_pair_that_kills_its_worker_is_tried_alone_and_given_up(tmp_path: Path) -> None:
    whole = "run: {pairs_per_group: all}"
    outcomes = run(tmp_path, [WELL, DEADLY], whole)
    assert {pair: outcome.state for pair, outcome in outcomes.items()} == {
        f"step_{step}/{benchmark}": state
        for step in (0, 1)
        for benchmark, state in ((WELL, "committed"), (DEADLY, "failed"))
    }
    tries = [pair for _, pair in read_log()]
    assert {tries.count(pair) for pair in outcomes if pair.endswith(DEADLY)} == {a360.run.TRIES}
    assert {tries.count(pair) for pair in outcomes if pair.endswith(WELL)} == {1}
    failures = read_failures(open_store(str(tmp_path / "store")), "m")
    assert {(failure.exit_code, "SIGKILL" in failure.error) for failure in failures.values()} == {(75, True)}
    assert len(failures) == 2


def test_the_neighbours_of_a_deadly_pair_are_not_charged_for_it(tmp_path: Path) -> None:
    outcomes = run(tmp_path, [DEADLY, PASSING], "run: {pairs_per_group: all}")
    assert {pair: outcome.state for pair, outcome in outcomes.items() if PASSING in pair} == {
        f"step_{step}/{PASSING}": "committed" for step in (0, 1)
    }


def test_what_may_pass_is_tried_again_and_can_succeed(tmp_path: Path) -> None:
    outcomes = run(tmp_path, [PASSING])
    assert {outcome.state for outcome in outcomes.values()} == {"committed"}
    assert len(read_log()) == 6


def test_a_store_for_a_single_writer_gets_one_worker(tmp_path: Path) -> None:
    suite, plan = planned(tmp_path, [WELL])
    store = suite.store.model_copy(update={"single_writer": True})
    run_groups(suite.model_copy(update={"store": store}), plan, lambda event: None, workers=2, work=act)
    assert len({pid for pid, _ in read_log()}) == 1


def test_workers_whose_checkpoints_do_not_fit_the_cache_together_run_one_by_one(tmp_path: Path) -> None:
    suite, plan = planned(tmp_path, [WELL])
    small = suite.run.model_copy(update={"cache_gib": 3 / 2**30})  # a checkpoint of the plan has 2 bytes
    run_groups(suite.model_copy(update={"run": small}), plan, lambda event: None, workers=2, work=act)
    assert len({pid for pid, _ in read_log()}) == 1


def test_a_worker_is_replaced_after_its_number_of_pairs(tmp_path: Path) -> None:
    run(tmp_path, [WELL], "run: {recycle_pairs: 1}", workers=1)
    assert len({pid for pid, _ in read_log()}) == 2


def test_a_suite_that_no_worker_can_use_ends_the_run(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no mirror"):
        run(tmp_path, [REFUSED])
    assert not any(is_alive(pid) for pid, _ in read_log())


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_a_run_that_is_ended_takes_its_busy_workers_along(tmp_path: Path, end: signal.Signals) -> None:
    script = (
        f"from pathlib import Path; from tests.unit.test_run import *; run(Path({str(tmp_path)!r}), [BUSY])"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen([sys.executable, "-c", script], env=environment) as parent:
        deadline = time.monotonic() + 60
        while len(read_log()) < 2 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert len(read_log()) == 2
        parent.send_signal(end)
        assert parent.wait(30) == -end
    deadline = time.monotonic() + 30  # a busy worker sleeps longer
    while any(is_alive(pid) for pid, _ in read_log()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(is_alive(pid) for pid, _ in read_log())


def is_alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


@pytest.mark.timeout(60)
def test_a_group_that_becomes_due_between_two_looks_is_not_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    take, calls = a360.run._Queue.take, iter(range(100))

    def blink(queue: a360.run._Queue) -> a360.run._Group | None:
        return None if next(calls) == 2 else take(queue)

    monkeypatch.setattr(a360.run._Queue, "take", blink)
    monkeypatch.setattr(a360.run, "_RETRY_SECONDS", 0.0)
    outcomes = run(tmp_path, [PASSING], workers=1)
    assert {outcome.state for outcome in outcomes.values()} == {"committed"}
