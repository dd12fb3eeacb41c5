"""The weight cache over real S3 servers: bytes counted on the wire, pulls killed within a body."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from a360.errors import DataError
from a360.records import Checkpoint
from a360.storage import open_store
from a360.storage.file_store import FileStore
from a360.weights import WeightCache, pull_checkpoint
from tests.servers import Answer, Request, S3Server, forward, stub_server
from tests.weight_files import cached_digests, contents, full_hashes, tree, upload, weights

pytestmark = pytest.mark.integration
GIB = 1 << 30
# Larger than one transfer part of 64 MiB.
LARGE = {f"model-0000{number}-of-00003.safetensors": weights(str(number), 30 << 20) for number in (1, 2)} | {
    "model-00003-of-00003.safetensors": weights("3", 70 << 20),
    "config.json": b"{}",
}

_PULL = """
import sys
from pathlib import Path
from a360.records import Checkpoint
from a360.storage import StoreSettings, open_store
from a360.weights import WeightCache, pull_checkpoint
checkpoint = Checkpoint.model_validate_json(sys.argv[1])
source = open_store(sys.argv[2], StoreSettings(endpoint_url=sys.argv[3]))
cache = WeightCache(dir=Path(sys.argv[4]), cap_bytes=1 << 30)
with pull_checkpoint(checkpoint, source, cache) as pulled:
    print(pulled.bytes_pulled)
"""


def start_pull(
    checkpoint: Checkpoint, uri: str, endpoint_url: str, cache: WeightCache
) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", _PULL, checkpoint.model_dump_json(), uri, endpoint_url, str(cache.dir)]
    environment = {**os.environ, "PYTHONPATH": os.getcwd()}
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


@pytest.fixture
def cache(tmp_path: Path) -> WeightCache:
    return WeightCache(dir=tmp_path / "cache", cap_bytes=GIB)


@pytest.fixture
def bucket(moto: S3Server, monkeypatch: pytest.MonkeyPatch) -> str:
    for name, value in moto.environment.items():
        monkeypatch.setenv(name, value)
    return f"s3://{moto.create_bucket()}/amber"


@pytest.mark.parametrize("server_name", ["moto", "versitygw"])
def test_a_checkpoint_comes_from_s3_as_it_was_and_is_the_same_as_from_a_directory(
    server_name: str,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    cache: WeightCache,
    tmp_path: Path,
) -> None:
    server: S3Server = request.getfixturevalue(server_name)
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    files = contents("a")
    store = open_store(f"s3://{server.create_bucket()}/amber")
    in_s3 = upload(store, "ckpt 041 é", files)
    with pull_checkpoint(in_s3, store, cache) as pulled:
        assert tree(pulled.dir) == files
        assert pulled.sha256 == full_hashes(files)
        assert pulled.bytes_pulled == sum(map(len, files.values()))
    directory = FileStore(tmp_path / "checkpoints")
    with pull_checkpoint(upload(directory, "ckpt_041", files), directory, cache) as pulled:
        assert pulled.bytes_pulled == 0, "the same bytes have the same digest on any store"


def test_pulls_killed_within_bodies_are_repaired_and_keep_whole_files(
    moto: S3Server, bucket: str, cache: WeightCache
) -> None:
    """kill -9 after half of the body of each shard in turn, then of the last one's second part."""
    checkpoint = upload(open_store(bucket), "ckpt_041", LARGE)
    partial = cache.dir / f"{checkpoint.digest}.partial" / "ckpt_041"
    kill_in = [(name, "bytes=0-") for name in sorted(LARGE)[1:]] + [(sorted(LARGE)[-1], "bytes=67108864-")]
    kill_at = kill_in[0]
    started = threading.Event()

    def kill_within_body(request: Request) -> Answer:
        answer = forward(request, moto.endpoint_url)
        if kill_at is None or not (
            request.path.endswith(kill_at[0]) and kill_at[1] in request.headers["range"]
        ):
            return answer
        before = sorted(LARGE)[sorted(LARGE).index(kill_at[0]) - 1]
        while not (partial / before).exists():
            time.sleep(0.01)

        def kill() -> None:
            started.wait(60)
            process.kill()

        whole = str(len(answer.body))
        half = answer.body[: len(answer.body) // 2]
        return answer._replace(body=half, headers={**answer.headers, "Content-Length": whole}, then=kill)

    with stub_server(kill_within_body) as stub:
        for place in kill_in:
            kill_at = place
            started.clear()
            process = start_pull(checkpoint, bucket, stub.url, cache)
            started.set()
            assert process.communicate()[0] == ""
            assert cached_digests(cache) == {partial.parent.name}
        kill_at = ("nothing", "")
        process = start_pull(checkpoint, bucket, stub.url, cache)
        pulled_bytes = int(process.communicate()[0])
    assert pulled_bytes == 70 << 20, "the other shards were whole after their kills"
    assert tree(cache.dir / checkpoint.digest) == LARGE
    assert cached_digests(cache) == {checkpoint.digest}


def test_of_two_processes_one_pulls_over_the_network(moto: S3Server, bucket: str, cache: WeightCache) -> None:
    files = contents("a", 5 << 20)
    checkpoint = upload(open_store(bucket), "ckpt_041", files)
    sent: list[int] = []

    def count(request: Request) -> Answer:
        answer = forward(request, moto.endpoint_url)
        sent.append(len(answer.body))
        return answer

    with stub_server(count) as stub:
        processes = [start_pull(checkpoint, bucket, stub.url, cache) for _ in range(2)]
        answers = sorted(int(process.communicate()[0]) for process in processes)
    total_bytes = sum(map(len, files.values()))
    assert answers == [0, total_bytes]
    assert sum(sent) == total_bytes
    assert tree(cache.dir / checkpoint.digest) == files


@pytest.mark.parametrize("damaged_answers", [1, 99])
def test_bytes_damaged_on_the_wire_are_pulled_once_more(
    damaged_answers: int, moto: S3Server, bucket: str, cache: WeightCache
) -> None:
    files = contents("a")
    checkpoint = upload(open_store(bucket), "ckpt_041", files)
    damaged = 0

    def damage(request: Request) -> Answer:
        nonlocal damaged
        answer = forward(request, moto.endpoint_url)
        if request.path.endswith(".safetensors") and damaged < damaged_answers:
            damaged += 1
            return answer._replace(body=answer.body[:-1] + bytes([answer.body[-1] ^ 1]))
        return answer

    with stub_server(damage) as stub:
        source = open_store(bucket, stub.settings)
        if damaged_answers == 1:
            with pull_checkpoint(checkpoint, source, cache) as pulled:
                assert tree(pulled.dir) == files
        else:
            with pytest.raises(DataError, match="bytes differ after two pulls"):
                pull_checkpoint(checkpoint, source, cache)
            assert damaged == 2
            assert cached_digests(cache) == set()
