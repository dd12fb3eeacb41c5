"""kill -9 of ``a360 data mirror`` at random bytes: the tree is the same, and hardly a byte came twice.

The stand-in for the hub counts what it sends and kills the client the moment a count is reached. What comes
twice is what lay in buffers then: those of four connections, which a360/datasets/hub.py bounds, and the
stand-in's own. KILLS_SEED repeats a run.
"""

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from a360.datasets.mirror import MANIFEST_NAME
from tests.hub import StandIn, stand_in_hub

pytestmark = [pytest.mark.integration, pytest.mark.kills]

ROOT = Path(__file__).parents[2]
KILLS = 20
MOST_BYTES = 1.1
"""Of the tree's bytes may be sent in all."""
REPOSITORIES = ("cais/mmlu", "openai/gsm8k")


def fill(hub: StandIn, dice: random.Random) -> int:
    """Two repositories of files from nothing to 80 MB; returns the bytes in all."""
    sizes = [0, 1, 4095, 9_999, 10_001, 300_000, 5_000_000, 16_000_000, 40_000_000, 80_000_000]
    for name in REPOSITORIES:
        files = {f"part-{size}/test.jsonl": dice.randbytes(size) for size in sizes}
        hub.create(name, {"README.md": b"text\n", **files})
    return 2 * (sum(sizes) + 5)


def mirror(hub: StandIn, target: Path) -> subprocess.Popen[bytes]:
    options = [word for name in REPOSITORIES for word in ("--repository", name)]
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "a360", "data", "mirror", str(target), *options],
        env={**os.environ, "PYTHONPATH": str(ROOT), "HF_ENDPOINT": hub.url, "HF_HOME": str(target.parent)},
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip


def finish(process: subprocess.Popen[bytes]) -> int:
    errors = process.communicate()[1]
    assert process.returncode in (0, -9), errors[-3000:]
    return process.returncode


def tree(target: Path) -> dict[str, bytes]:
    return {
        path.relative_to(target).as_posix(): path.read_bytes() for path in target.rglob("*") if path.is_file()
    }


def test_a_mirror_killed_twenty_times_is_the_same_tree_for_a_tenth_more_bytes(tmp_path: Path) -> None:
    seed = int(os.environ.get("KILLS_SEED", "20261124"))
    dice = random.Random(seed)
    with stand_in_hub() as hub:
        tree_bytes = fill(hub, dice)
        assert finish(mirror(hub, tmp_path / "undisturbed")) == 0
        assert hub.sent_bytes == tree_bytes
        hub.sent_bytes = 0
        thresholds = sorted(dice.randrange(1, int(0.97 * tree_bytes)) for _ in range(KILLS))
        for number, threshold in enumerate(thresholds):
            process = mirror(hub, tmp_path / "killed")

            def kill(
                sent_bytes: int, process: subprocess.Popen[bytes] = process, threshold: int = threshold
            ) -> None:
                if sent_bytes >= threshold:
                    process.kill()

            hub.on_sent = kill
            assert finish(process) == -9, f"kill {number} at byte {threshold} of seed {seed} came too late"
            assert not (tmp_path / "killed" / MANIFEST_NAME).exists()
        hub.on_sent = lambda sent_bytes: None
        assert finish(mirror(hub, tmp_path / "killed")) == 0
    print(f"\nseed {seed}: {hub.sent_bytes / tree_bytes:.4f} of {tree_bytes:,} bytes for {KILLS} kills")
    assert tree(tmp_path / "killed") == tree(tmp_path / "undisturbed")
    assert hub.sent_bytes <= MOST_BYTES * tree_bytes
