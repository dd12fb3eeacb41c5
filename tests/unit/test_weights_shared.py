"""The weight cache between processes: who pulls, who waits, who is evicted, what a kill leaves."""

import multiprocessing.process
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest

from a360.errors import ConfigError, TransientError
from a360.records import Checkpoint
from a360.storage import Store
from a360.weights import WeightCache, pull_checkpoint
from tests.servers import small_disk_command
from tests.weight_files import CountingStore, cached_digests, contents, full_hashes, tree, upload

SHARD = "model-00001-of-00001.safetensors"
MIB = 1 << 20
FORK = multiprocessing.get_context("fork")


@pytest.fixture
def source(tmp_path: Path) -> CountingStore:
    return CountingStore(tmp_path / "checkpoints")


@pytest.fixture
def cache(tmp_path: Path) -> WeightCache:
    return WeightCache(dir=tmp_path / "cache", cap_bytes=100 * MIB)


# --- room ---------------------------------------------------------------------------------------------


def test_the_least_recently_used_checkpoint_makes_room(source: CountingStore, tmp_path: Path) -> None:
    cache = WeightCache(dir=tmp_path / "cache", cap_bytes=700_000)
    a, b, c = (upload(source, name, contents(name)) for name in "abc")
    for checkpoint in (a, b, a, c):
        pull_checkpoint(checkpoint, source, cache).close()
    assert cached_digests(cache) == {a.digest, c.digest}
    with pull_checkpoint(b, source, cache) as pulled:
        assert tree(pulled.dir) == contents("b")
    assert cached_digests(cache) == {c.digest, b.digest}


def test_the_end_of_a_use_counts_as_a_use(source: CountingStore, tmp_path: Path) -> None:
    cache = WeightCache(dir=tmp_path / "cache", cap_bytes=700_000)
    a, b, c = (upload(source, name, contents(name)) for name in "abc")
    with pull_checkpoint(a, source, cache):
        pull_checkpoint(b, source, cache).close()
    pull_checkpoint(c, source, cache).close()
    assert cached_digests(cache) == {a.digest, c.digest}


def test_what_another_process_uses_is_never_evicted(source: CountingStore, tmp_path: Path) -> None:
    cache = WeightCache(dir=tmp_path / "cache", cap_bytes=700_000)
    a, b, c = (upload(source, name, contents(name)) for name in "abc")
    pull_checkpoint(a, source, cache).close()
    with _other_process(_hold, a, source, cache) as holder:
        pull_checkpoint(b, source, cache).close()
        with pull_checkpoint(c, source, cache) as pulled:
            assert cached_digests(cache) == {a.digest, c.digest}, "b is younger, but a is in use"
            with pytest.raises(TransientError, match="in use") as caught:
                pull_checkpoint(b, source, cache)
            assert "fewer workers" in (caught.value.hint or "")
            assert tree(pulled.dir) == contents("c")
        assert tree(cache.dir / a.digest) == contents("a")
        holder.kill()
    pull_checkpoint(c, source, cache).close()
    pull_checkpoint(b, source, cache).close()
    assert cached_digests(cache) == {b.digest, c.digest}, "a lock ends with its process"


def test_a_use_that_was_killed_counts_as_a_use(source: CountingStore, tmp_path: Path) -> None:
    cache = WeightCache(dir=tmp_path / "cache", cap_bytes=700_000)
    a, b, c = (upload(source, name, contents(name)) for name in "abc")
    for checkpoint in (a, b):
        pull_checkpoint(checkpoint, source, cache).close()
    with _other_process(_hold, a, source, cache) as holder:
        holder.kill()
    pull_checkpoint(c, source, cache).close()
    assert cached_digests(cache) == {a.digest, c.digest}


def test_of_two_pulls_that_do_not_fit_together_one_gets_room(source: CountingStore, tmp_path: Path) -> None:
    a, b = (upload(source, name, contents(name)) for name in "ab")
    barrier, results = FORK.Barrier(2), FORK.SimpleQueue()

    def pull(checkpoint: Checkpoint) -> None:
        for number in range(15):
            cache = WeightCache(dir=tmp_path / f"cache-{number}", cap_bytes=400_000)
            barrier.wait(60)
            try:
                pulled = pull_checkpoint(checkpoint, source, cache)
            except TransientError:
                barrier.wait(60)
                results.put((number, False))
            else:
                barrier.wait(60)
                pulled.close()
                results.put((number, True))

    _run_at_once(*[FORK.Process(target=pull, args=(checkpoint,)) for checkpoint in (a, b)])
    answers = sorted(results.get() for _ in range(30))
    assert answers == [(number, won) for number in range(15) for won in (False, True)]


def test_a_pull_has_its_room_before_its_first_byte(source: CountingStore, tmp_path: Path) -> None:
    cache = WeightCache(dir=tmp_path / "cache", cap_bytes=400_000)
    a, b = (upload(source, name, contents(name)) for name in "ab")
    reached, go_on = FORK.Event(), FORK.Event()
    folder = str(cache.dir / f"{a.digest}.partial" / "a")

    def wait_at_the_folder(event: str, arguments: tuple[object, ...]) -> None:
        if event == "os.mkdir" and arguments[0] == folder:
            reached.set()
            go_on.wait(60)

    def pull() -> None:
        sys.addaudithook(wait_at_the_folder)
        pull_checkpoint(a, source, cache).close()

    process = FORK.Process(target=pull)
    process.start()
    assert reached.wait(60)
    try:
        with pytest.raises(TransientError, match="300,015 of 400,000 bytes in use"):
            pull_checkpoint(b, source, cache)
    finally:
        go_on.set()
        process.join()
    assert cached_digests(cache) == {a.digest}


def test_a_killed_pull_counts_and_makes_room_like_any_other(source: CountingStore, tmp_path: Path) -> None:
    cache = WeightCache(dir=tmp_path / "cache", cap_bytes=700_000)
    a, b, c = (upload(source, name, contents(name)) for name in "abc")
    assert _killed_at(1, ["shutil.copyfile"], a, source, cache)
    assert cached_digests(cache) == {f"{a.digest}.partial"}
    pull_checkpoint(b, source, cache).close()
    assert cached_digests(cache) == {f"{a.digest}.partial", b.digest}
    pull_checkpoint(c, source, cache).close()
    assert cached_digests(cache) == {b.digest, c.digest}


def test_a_checkpoint_larger_than_the_cache_is_a_configuration_error(
    source: CountingStore, tmp_path: Path
) -> None:
    checkpoint = upload(source, "a", contents("a"))
    cache = WeightCache(dir=tmp_path / "cache", cap_bytes=300_000)
    with pytest.raises(ConfigError, match=r"has 300,015 bytes, the weight cache .* holds 300,000"):
        pull_checkpoint(checkpoint, source, cache)
    assert source.pulled == []


@pytest.mark.parametrize("cache_dir", ["checkpoints/a/config.json/cache", "proc/cache"])
def test_a_cache_that_cannot_be_made_is_a_configuration_error(
    cache_dir: str, source: CountingStore, tmp_path: Path
) -> None:
    (tmp_path / "proc").symlink_to("/proc")
    checkpoint = upload(source, "a", contents("a"))
    with pytest.raises(ConfigError, match=f"weight cache {tmp_path}/{cache_dir}"):
        pull_checkpoint(checkpoint, source, WeightCache(dir=tmp_path / cache_dir, cap_bytes=MIB))


_ON_A_SMALL_DISK = """
import sys
from pathlib import Path
from a360.errors import TransientError
from a360.storage.file_store import FileStore
from a360.weights import WeightCache, pull_checkpoint
from tests.weight_files import contents, tree, upload
source, cache = FileStore(Path(sys.argv[1])), WeightCache(dir=Path(sys.argv[2]), cap_bytes=1 << 30)
a, b = (upload(source, name, contents(name, 5 << 20)) for name in "ab")
held = pull_checkpoint(a, source, cache)
try:
    pull_checkpoint(b, source, cache)
except TransientError as error:
    print(error.exit_code, error.message.split(":")[0], tree(held.dir) == contents("a", 5 << 20))
held.close()
with pull_checkpoint(b, source, cache) as pulled:
    print(tree(pulled.dir) == contents("b", 5 << 20), pulled.bytes_pulled, (cache.dir / a.digest).exists())
"""


def test_a_full_disk_evicts_what_nobody_uses_and_only_then_gives_up(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    arguments = [str(tmp_path / "checkpoints"), str(tmp_path / "disk")]
    command = small_disk_command(
        tmp_path / "disk", 8 * MIB, [sys.executable, "-c", _ON_A_SMALL_DISK, *arguments]
    )
    if command is None:
        pytest.skip("neither root nor user namespaces here: no small file system can be mounted")
    done = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": os.getcwd()}
    )
    config_bytes, size_bytes, _ = map(len, contents("b", 5 << 20).values())  # the config was whole at once
    size_bytes += 2 + config_bytes
    assert done.stdout.splitlines() == [
        "75 No space left on device (ENOSPC) True",
        f"True {size_bytes - config_bytes} False",
    ], done.stderr


# --- several processes and kills ----------------------------------------------------------------------


def test_of_two_processes_one_pulls_and_both_use_it(source: CountingStore, cache: WeightCache) -> None:
    files = contents("a", 3 * MIB)
    checkpoint = upload(source, "ckpt_001", files)
    barrier, results = FORK.Barrier(4), FORK.SimpleQueue()

    def pull() -> None:
        barrier.wait(60)
        with pull_checkpoint(checkpoint, source, cache) as pulled:
            results.put((pulled.bytes_pulled, tree(pulled.dir) == files, pulled.sha256))

    _run_at_once(*[FORK.Process(target=pull) for _ in range(4)])
    answers = sorted(results.get() for _ in range(4))
    expected = full_hashes(files)
    assert answers == [(0, True, expected)] * 3 + [(sum(map(len, files.values())), True, expected)]
    assert sorted(source.pulled) == [f"ckpt_001/{name}" for name in sorted(files)]


def test_a_process_that_waits_takes_over_when_the_pulling_one_is_killed(
    source: CountingStore, cache: WeightCache
) -> None:
    files = contents("a")
    checkpoint = upload(source, "ckpt_001", files)
    pulling = FORK.Event()

    class Stuck(CountingStore):
        def pull_tree(self, keys: Sequence[str], target_dir: Path) -> int:
            super().pull_tree(keys[:1], target_dir)
            pulling.set()
            signal.pause()
            return 0

    stuck = FORK.Process(target=pull_checkpoint, args=(checkpoint, Stuck(source.root), cache))
    stuck.start()
    assert pulling.wait(60)
    results = FORK.SimpleQueue()
    waiting = FORK.Process(
        target=lambda: results.put(pull_checkpoint(checkpoint, source, cache).bytes_pulled)
    )
    waiting.start()
    os.kill(stuck.pid or 0, signal.SIGKILL)
    stuck.join()
    waiting.join()
    assert waiting.exitcode == 0
    assert results.get() == sum(map(len, files.values())) - len(files["config.json"]), "one file was whole"
    assert tree(cache.dir / checkpoint.digest) == files


STEPS = (
    "open",
    "os.rename",
    "os.mkdir",
    "os.remove",
    "os.rmdir",
    "os.utime",
    "shutil.copyfile",
    "fcntl.flock",
)


def test_after_a_kill_at_any_step_the_next_pull_gives_the_same_tree(
    source: CountingStore, tmp_path: Path
) -> None:
    """kill -9 before every system call that changes the cache, in a cache that has to evict and to pull."""
    files = contents("b", 50_000)
    a, b = upload(source, "a", contents("a", 50_000)), upload(source, "deep/b", files)
    steps = 0
    while True:
        cache = WeightCache(dir=tmp_path / f"cache-{steps}", cap_bytes=60_000)
        pull_checkpoint(a, source, cache).close()
        was_killed = _killed_at(steps, STEPS, b, source, cache)
        if (cache.dir / a.digest).exists():
            assert tree(cache.dir / a.digest) == contents("a", 50_000), f"step {steps}"
        if (cache.dir / b.digest).exists():
            assert tree(cache.dir / b.digest) == files, f"step {steps}"
        with pull_checkpoint(b, source, cache) as pulled:
            assert tree(pulled.dir) == files, f"step {steps}"
        assert cached_digests(cache) == {b.digest}, f"step {steps}"
        with pull_checkpoint(a, source, cache) as pulled:
            assert tree(pulled.dir) == contents("a", 50_000), f"step {steps}"
        if not was_killed:
            break
        steps += 1
    assert steps > 40, "the hook saw the steps of an eviction and a pull"


def test_many_kills_of_one_pull_never_lose_a_whole_file(source: CountingStore, cache: WeightCache) -> None:
    files = {f"shard-{number}": data for number in range(6) for data in [contents(str(number))[SHARD]]}
    checkpoint = upload(source, "a", files)
    kills = 0
    # Each attempt gets one copied file further: a kill before the second copy that it begins.
    while _killed_at(1, ["shutil.copyfile"], checkpoint, source, cache):
        kills += 1
        whole = sum(path.stat().st_size == 300_000 for path in cache.dir.rglob("shard-?"))
        assert whole == kills
    assert kills == 5
    assert tree(cache.dir / checkpoint.digest) == files


def _killed_at(
    step: int,
    events: Sequence[str],
    checkpoint: Checkpoint,
    source: Store,
    cache: WeightCache,
) -> bool:
    """Whether a pull in another process was killed before step number ``step`` of the given kinds."""

    def pull() -> None:
        count = -1

        def kill(event: str, arguments: object) -> None:
            nonlocal count
            if event in events:
                count += 1
                if count == step:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(kill)
        pull_checkpoint(checkpoint, source, cache)

    process = FORK.Process(target=pull)
    process.start()
    process.join()
    assert process.exitcode in (0, -signal.SIGKILL)
    return process.exitcode != 0


def _run_at_once(*processes: multiprocessing.process.BaseProcess) -> None:
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * len(processes)


class _other_process:  # noqa: N801
    """A block in which another process has run ``target`` up to its call of the event it is given."""

    def __init__(self, target: Callable[..., None], *arguments: object) -> None:
        self._ready = FORK.Event()
        self._process = FORK.Process(target=target, args=(*arguments, self._ready))

    def __enter__(self) -> multiprocessing.process.BaseProcess:
        self._process.start()
        assert self._ready.wait(60)
        return self._process

    def __exit__(self, *error: object) -> None:
        self._process.kill()
        self._process.join()


def _hold(
    checkpoint: Checkpoint,
    source: Store,
    cache: WeightCache,
    ready: Event,
) -> None:
    with pull_checkpoint(checkpoint, source, cache):
        ready.set()
        signal.pause()
