"""kill -9 in every phase of a sweep: nothing is lost, nothing is done twice, the table is the same.

A round is a fresh store and one kill in each phase, then a process that may finish. At batch size 1 an
answer does not depend on its neighbours, so the table must equal an undisturbed run's byte for byte. KILLS
says how many kills (30 by default in ``make kills``, 10 in CI); KILLS_SEED repeats a run.
"""

import json
import os
import random
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from a360.demo.rows import write_mirror
from a360.demo.text import read_documents, split_documents
from tests.tiny_model import write_checkpoint

pytestmark = [pytest.mark.integration, pytest.mark.kills, pytest.mark.timeout(5000)]

ROOT = Path(__file__).parents[2]
PHASES = ("staging", "evaluating", "committing", "collecting", "publishing")
BENCHMARKS = ("demo-boolq", "demo-wikitext", "demo-gsm8k-5shot")
CHECKPOINTS = 2
FLUSH_REQUESTS = 5
LATEST_EVENT = {"staging": 1, "evaluating": 60, "committing": 3, "collecting": 1, "publishing": 1}
"""The kill comes at one of the first so many events of its phase."""
LATEST_MILLISECONDS = {"staging": 8, "evaluating": 40, "committing": 2, "collecting": 4, "publishing": 1500}


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """One store below one directory; checkpoints and mirror are shared."""

    directory: Path
    world: Path

    def run(self, phase: str = "", count: int = 0, milliseconds: float = 0.0) -> int:
        """The exit code of a process that is killed in a phase, or may finish."""
        done = subprocess.run(
            [
                sys.executable, str(ROOT / "tests" / "victim.py"), str(self._suite()), str(self.log_path),
                phase, str(count), str(milliseconds),
            ],
            env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
            capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode in (0, -9), done.stderr[-3000:]
        return done.returncode

    def _suite(self) -> Path:
        path = self.directory / "suite.yaml"
        naming = {"pattern": "step_(?P<step>[0-9]+)", "settle_seconds": 0}
        run = {
            "device": "cpu", "batch_size": 1, "threads": 1, "pairs_per_group": "all",
            "journal_requests": FLUSH_REQUESTS, "cache_dir": "cache",
        }  # fmt: skip
        path.write_text(
            json.dumps(
                {
                    "name": "kills",
                    "model": {
                        "name": "tiny", "root": str(self.world / "checkpoints"), "naming": naming,
                        "dtype": "float32",
                    },
                    "store": {"uri": "store"},
                    "data": {"mirror": str(self.world / "mirror")},
                    "benchmarks": list(BENCHMARKS),
                    "run": run,
                }
            )
        )  # fmt: skip
        return path

    @property
    def log_path(self) -> Path:
        return self.directory / "events.log"

    def markers(self) -> dict[str, tuple[int, int]]:
        """Every commit marker with its inode and modification time: another one means a second commit."""
        paths = (self.directory / "store" / "v1" / "commits").rglob("*.json")
        return {path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in paths}

    def died_in(self) -> str:
        """The phase in which the last process died; none where the pair that it was committing is there."""
        phase, pair, _ = f"{self.log_path.read_text().splitlines()[-1]} 0".split(" ")[:3]
        checkpoint, _, benchmark = pair.partition("/")
        commits = self.directory / "store" / "v1" / "commits" / "tiny" / benchmark
        if phase == "committing" and any(commits.glob(f"{checkpoint}@*.json")):
            return ""
        return "evaluating" if phase == "flushed" else phase

    def answered(self) -> int:
        """Requests that the model answered, over all processes of this sweep."""
        steps = (line.split() for line in self.log_path.read_text().splitlines())
        return sum(
            phase == "evaluating" and int(done) > 0 for phase, _, done in (s for s in steps if len(s) == 3)
        )

    def journalled(self) -> int:
        """Answers in the journal."""
        files = (self.directory / "store" / "v1" / "journal").rglob("*.parquet")
        return sum(pq.read_metadata(path).num_rows for path in files)

    def table(self) -> bytes:
        return (self.directory / "report" / "table.csv").read_bytes()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("kills")
    write_mirror(directory / "mirror", split_documents(read_documents())[1])
    for step in range(CHECKPOINTS):
        write_checkpoint(directory / "checkpoints" / f"step_{step}", seed=step)
    return directory


@pytest.fixture(scope="module")
def undisturbed(world: Path) -> Sweep:
    directory = world / "undisturbed"
    directory.mkdir()
    sweep = Sweep(directory=directory, world=world)
    assert sweep.run() == 0
    assert len(sweep.markers()) == CHECKPOINTS * len(BENCHMARKS)
    return sweep


def test_a_sweep_survives_being_killed_in_every_phase(world: Path, undisturbed: Sweep) -> None:
    kills = int(os.environ.get("KILLS", "5"))
    seed = int(os.environ.get("KILLS_SEED", "20261123"))
    dice, killed = random.Random(seed), Counter[str]()
    print(f"\nseed {seed}")
    rounds = (kills + len(PHASES) - 1) // len(PHASES)
    for number in range(2 * rounds):
        if number >= rounds and min(killed[phase] for phase in PHASES) >= kills // 6:
            break  # else a kill that came too late is made up for
        directory = world / f"round-{number}"
        directory.mkdir()
        sweep = Sweep(directory=directory, world=world)
        seen: dict[str, tuple[int, int]] = {}
        for phase in PHASES:
            count = dice.randint(1, LATEST_EVENT[phase])
            milliseconds = round(dice.uniform(0, LATEST_MILLISECONDS[phase]), 1)
            before = sweep.answered() - sweep.journalled() if sweep.log_path.exists() else 0
            code = sweep.run(phase, count, milliseconds)
            repeated = sweep.answered() - sweep.journalled() - before
            hit = code == -9 and sweep.died_in() == phase
            killed[phase] += hit
            place = f"{phase:10} event {count:2} +{milliseconds:6} ms {'hit ' if hit else 'late'}"
            print(f"{place} exit {code:3} repeats {repeated} answered requests")
            markers = sweep.markers()
            assert seen.items() <= markers.items(), (
                f"a commit was lost or replaced after a kill while {phase}"
            )
            seen = markers
            assert repeated <= FLUSH_REQUESTS + 1
        assert sweep.run() == 0
        assert sweep.markers().keys() == undisturbed.markers().keys()
        assert seen.items() <= sweep.markers().items()
        assert sweep.table() == undisturbed.table()
    print(f"kills {dict(killed)}")
    assert min(killed[phase] for phase in PHASES) >= kills // 6, "a phase was hardly killed"
