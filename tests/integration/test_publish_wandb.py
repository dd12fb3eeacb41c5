"""W&B offline runs by the real SDK: what is in the file, what a second time does, what a kill leaves."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from wandb.proto.wandb_internal_pb2 import Record  # type: ignore[attr-defined]

from a360.errors import ConfigError, DataError
from a360.publish import wandb_runs
from a360.publish.wandb_child import RunPayload
from a360.publish.wandb_payload import make_payloads
from a360.publish.wandb_read import fault_of_run
from a360.publish.wandb_runs import WandbRun, publish_wandb
from a360.results.collect import Collected
from tests.published import SMALL, SMALL_VIEWS, make_collected

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[2]
COLLECTED = make_collected(SMALL)
DOWNSTREAM, PERPLEXITY = make_payloads(COLLECTED, SMALL_VIEWS)
PUBLISH = (
    "import sys; from pathlib import Path; from tests.published import *; "
    "from a360.publish.wandb_runs import publish_wandb; "
    "print(*(run.run_id for run in publish_wandb(make_collected(SMALL), SMALL_VIEWS, Path(sys.argv[1]))))"
)
UNSHARE = ["unshare", "--user", "--map-root-user", "--net"]


def published(folder: Path, collected: Collected = COLLECTED) -> tuple[WandbRun, ...]:
    return publish_wandb(collected, SMALL_VIEWS, folder)


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with both runs, not to be changed."""
    folder = tmp_path_factory.mktemp("first")
    runs = published(folder)
    assert [run.written for run in runs] == [True, True]
    return folder


@pytest.fixture
def copied(first: Path, tmp_path: Path) -> Path:
    """The same, to be changed."""
    return shutil.copytree(first, tmp_path / "copied")


def run_dir(folder: Path, payload: RunPayload) -> Path:
    [found] = (folder / "wandb").glob(f"offline-run-*-{payload.run_id}")
    return found


def run_file(folder: Path, payload: RunPayload) -> Path:
    return run_dir(folder, payload) / f"run-{payload.run_id}.wandb"


def records_of(path: Path) -> Iterator[Record]:
    """The records of a run file, read without W&B's own reader: LevelDB's log format after seven bytes."""
    data = path.read_bytes()
    assert data[:4] == b":W&B"
    assert int.from_bytes(data[4:6], "little") == 0xBEE1
    at, whole = 7, b""
    while at + 7 <= len(data):
        if 32768 - at % 32768 < 7:  # too little for a header: the block ends
            at += 32768 - at % 32768
            continue
        checksum, length, kind = (
            int.from_bytes(data[at : at + 4], "little"),
            data[at + 4] | data[at + 5] << 8,
            data[at + 6],
        )
        part = data[at + 7 : at + 7 + length]
        assert zlib.crc32(part, zlib.crc32(bytes([kind]))) == checksum
        at += 7 + length
        whole += part
        if kind in (1, 4):  # whole, or the last part
            record = Record()
            record.ParseFromString(whole)
            whole = b""
            yield record


def history_of(path: Path) -> tuple[list[dict[str, str]], list[int]]:
    """JSON text of every value by key, and the step, of every row."""
    rows, steps = [], []
    for record in records_of(path):
        if record.WhichOneof("record_type") == "history":
            items = {item.key or ".".join(item.nested_key): item.value_json for item in record.history.item}
            rows.append({key: text for key, text in items.items() if not key.startswith("_")})
            steps.append(record.history.step.num)
    return rows, steps


@pytest.mark.parametrize("payload", [DOWNSTREAM, PERPLEXITY], ids=lambda p: p.name)
def test_the_file_holds_exactly_the_rows_that_were_sent(first: Path, payload: RunPayload) -> None:
    rows, steps = history_of(run_file(first, payload))
    assert [{key: json.loads(text) for key, text in row.items()} for row in rows] == payload.rows
    assert steps == payload.steps


def test_metrics_are_drawn_against_tokens(first: Path) -> None:
    records = [r for r in records_of(run_file(first, DOWNSTREAM)) if r.WhichOneof("record_type") == "metric"]
    axes = {r.metric.glob_name: r.metric.step_metric for r in records if r.metric.glob_name}
    assert axes == {"demo-boolq/*": "tokens", "demo-gsm8k-5shot/*": "tokens"}


def test_only_the_flat_summary_remains(first: Path) -> None:
    keys: set[str] = set()
    for record in records_of(run_file(first, DOWNSTREAM)):
        if record.WhichOneof("record_type") == "summary":
            keys |= {item.key or ".".join(item.nested_key) for item in record.summary.update}
    assert {key for key in keys if not key.startswith("_")} == set(DOWNSTREAM.summary)


def test_publishing_twice_changes_nothing(copied: Path) -> None:
    def stamps() -> dict[str, int]:
        return {str(path): path.stat().st_mtime_ns for path in sorted(copied.rglob("*")) if path.is_file()}

    before = {path: stamp for path, stamp in stamps().items() if not path.endswith(".lock")}
    runs = published(copied)
    after = {path: stamp for path, stamp in stamps().items() if not path.endswith(".lock")}
    assert [(run.written, run.superseded) for run in runs] == [(False, ()), (False, ())]
    assert after == before


def test_other_results_give_another_run_and_the_old_one_stays(copied: Path) -> None:
    *others, last = COLLECTED.results
    assert "perplexity" not in last.benchmark
    metric = last.metrics[0].model_copy(update={"value": 0.5})
    results = (*others, last.model_copy(update={"metrics": (metric, *last.metrics[1:])}))
    downstream, perplexity = published(
        copied, Collected(plan=COLLECTED.plan, results=results, coverage=COLLECTED.coverage)
    )
    assert downstream.written
    assert downstream.superseded == (run_dir(copied, DOWNSTREAM),)
    assert not perplexity.written


@pytest.mark.parametrize("damage", ["half", "unfinished", "missing"])
def test_a_run_that_was_cut_short_is_removed_and_written_again(copied: Path, damage: str) -> None:
    path = run_file(copied, DOWNSTREAM)
    data = path.read_bytes()
    rest = {"half": data[: len(data) // 2], "unfinished": data[:-8], "missing": None}[damage]
    path.unlink()
    if rest is not None:
        path.write_bytes(rest)
    old = path.parent.rename(
        path.parent.with_name(path.parent.name.replace("offline-run-2", "offline-run-1"))
    )
    downstream, perplexity = published(copied)
    assert (downstream.written, perplexity.written) == (True, False)
    assert not old.exists()
    assert fault_of_run(run_dir(copied, DOWNSTREAM), DOWNSTREAM) is None


def test_a_run_with_other_rows_under_the_same_id_is_replaced(first: Path, tmp_path: Path) -> None:
    changed = DOWNSTREAM._replace(rows=[{**DOWNSTREAM.rows[0], "tokens": 1}, *DOWNSTREAM.rows[1:]])
    folder = tmp_path / "wandb"
    with wandb_runs._only_publisher(folder) as lock:
        wandb_runs._build(changed, folder, lock)
    assert fault_of_run(run_dir(tmp_path, DOWNSTREAM), DOWNSTREAM) == (
        "row 0 of step-000000 has other values than were sent"
    )
    assert published(tmp_path)[0].written
    assert history_of(run_file(tmp_path, DOWNSTREAM)) == history_of(run_file(first, DOWNSTREAM))


def test_a_row_that_wandb_drops_is_an_error_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backwards = DOWNSTREAM._replace(steps=list(reversed(DOWNSTREAM.steps)))
    monkeypatch.setattr(wandb_runs, "make_payloads", lambda *_: (backwards,))
    with pytest.raises(DataError, match=r"read back with 1 rows, expected 3"):
        published(tmp_path)
    assert [path.name for path in (tmp_path / "wandb").iterdir()] == [".lock"]


def test_a_users_own_settings_do_not_reach_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "MODE": "online", "RUN_ID": "theirs", "PROJECT": "theirs", "ENTITY": "theirs", "RESUME": "must",
        "API_KEY": "0" * 40, "DIR": str(tmp_path / "theirs"), "TAGS": "theirs", "BASE_URL": "http://127.0.0.1:9",
    }.items():  # fmt: skip
        monkeypatch.setenv(f"WANDB_{name}", value)
    runs = published(tmp_path / "out")
    assert [run.run_id for run in runs] == [DOWNSTREAM.run_id, PERPLEXITY.run_id]
    assert not (tmp_path / "theirs").exists()
    [record] = [
        r for r in records_of(run_file(tmp_path / "out", DOWNSTREAM)) if r.WhichOneof("record_type") == "run"
    ]
    assert (record.run.project, record.run.entity, list(record.run.tags)) == ("a360", "", ["a360", "current"])


def test_no_path_of_this_machine_is_in_what_is_left(first: Path) -> None:
    left = [path for path in (first / "wandb").rglob("*") if path.is_file() or path.is_symlink()]
    assert {path.suffix for path in left} == {".wandb", ""}
    assert not [path for path in left if path.is_symlink() or str(first).encode() in path.read_bytes()]


def test_no_network_is_needed(tmp_path: Path) -> None:
    if shutil.which("unshare") is None or subprocess.run([*UNSHARE, "true"], check=False).returncode:
        pytest.skip("network namespaces are not permitted here: unshare --user --net fails")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [*UNSHARE, sys.executable, "-c", PUBLISH, str(tmp_path)],
        capture_output=True, text=True, check=False, env=environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [DOWNSTREAM.run_id, PERPLEXITY.run_id]


@pytest.mark.parametrize("moment", ["building", "first run"])
def test_a_killed_publisher_leaves_whole_runs_or_none(tmp_path: Path, moment: str) -> None:
    pattern = {"building": ".building-*/wandb/offline-run-*", "first run": "offline-run-*"}[moment]
    publisher = subprocess.Popen(
        [sys.executable, "-c", PUBLISH, str(tmp_path)], env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    while not list((tmp_path / "wandb").glob(pattern)):
        assert publisher.poll() is None
        time.sleep(0.005)
    publisher.send_signal(signal.SIGKILL)
    assert publisher.wait() == -signal.SIGKILL
    for payload in (DOWNSTREAM, PERPLEXITY):
        for path in (tmp_path / "wandb").glob(f"offline-run-*-{payload.run_id}"):
            assert fault_of_run(path, payload) is None
    runs = published(tmp_path)
    assert sum(run.written for run in runs) == (2 if moment == "building" else 1)
    assert sorted(path.name for path in (tmp_path / "wandb").iterdir() if path.name != ".lock") == sorted(
        run.path.name for run in runs
    )


def test_a_missing_wandb_is_a_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(ConfigError, match="wandb is not installed") as caught:
        published(tmp_path)
    assert "a360[publish]" in str(caught.value.hint)


def test_a_writer_that_fails_says_why_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wandb_runs, "make_payloads", lambda *_: (DOWNSTREAM._replace(run_id="a/b"),))
    with pytest.raises(DataError, match=r"could not write run a/b below .*Run ID cannot contain"):
        published(tmp_path)
    assert [path.name for path in (tmp_path / "wandb").iterdir()] == [".lock"]


def test_a_full_disk_says_so_and_asks_to_try_again(tmp_path: Path) -> None:
    namespace = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]
    mount = f"mount -t tmpfs -o size=16k none '{tmp_path}'"
    if shutil.which("unshare") is None or subprocess.run([*namespace, mount], check=False).returncode:
        pytest.skip("mount namespaces are not permitted here: unshare --user --mount fails")
    done = subprocess.run(
        [*namespace, f'{mount} && exec "$0" -c "$1" "$2"', sys.executable, PUBLISH, str(tmp_path)],
        capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert "DiskFullError" in done.stderr
