"""The same bytes are the same checkpoint on a directory, on moto and on versitygw."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

from a360.checkpoints.discover import discover_checkpoints
from a360.records import Discovery, Naming
from a360.storage import Store, open_store
from tests.fakes import CountingStore, checkpoint_files
from tests.servers import S3Server

pytestmark = pytest.mark.integration
NAMING = Naming(pattern=r"ckpt_(?P<step>\d+)", settle_seconds=60)
SHARD = "model-00002-of-00002.safetensors"


class Bucket(NamedTuple):
    """A checkpoint root and a result store, both empty."""

    source: Store
    results: Store


@pytest.fixture(params=["moto", "versitygw"])
def bucket(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    server: S3Server = request.getfixturevalue(request.param)
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    uri = f"s3://{server.create_bucket()}"
    return Bucket(*(open_store(f"{uri}/{prefix}", server.settings) for prefix in ("training/run", "results")))


def upload(source: Store, name: str, files: Mapping[str, bytes]) -> None:
    for file, data in files.items():
        source.write(f"{name}/{file}", data)


def discover(source: Store, store: Store) -> Discovery:
    return discover_checkpoints(source, store, "amber", NAMING, now=time.time() + 3600)


def test_the_same_bytes_have_the_same_digest_everywhere(bucket: Bucket, tmp_path: Path) -> None:
    directory = Bucket(open_store(f"{tmp_path}/root"), open_store(f"{tmp_path}/results"))
    found = []
    for place in (bucket, directory):
        for step in (2, 10):
            upload(place.source, f"ckpt_{step}", checkpoint_files(step))
        found.append(discover(*place).checkpoints)
    remote, local = found
    assert [c.id for c in remote] == ["ckpt_2", "ckpt_10"]
    assert [c.digest for c in remote] == [c.digest for c in local]
    assert [c.files for c in remote] == [c.files for c in local]
    assert {c.fingerprint for c in remote}.isdisjoint(c.fingerprint for c in local)


def test_a_known_bucket_is_discovered_without_a_read_below_the_root(bucket: Bucket) -> None:
    source = CountingStore(bucket.source)
    for step in range(3):
        upload(source, f"ckpt_{step}", checkpoint_files(step))
    first = discover(source, bucket.results)
    source.requests.clear()
    assert discover(source, bucket.results) == first
    assert [request.verb for request in source.requests] == ["list"]


def test_a_byte_of_weights_changes_the_digest_and_a_readme_does_not(bucket: Bucket) -> None:
    files = checkpoint_files(seed=1)
    upload(bucket.source, "ckpt_1", files)
    before = discover(*bucket).checkpoints
    upload(bucket.source, "ckpt_1", {"README.md": b"# edited"})
    assert discover(*bucket).checkpoints == before
    upload(bucket.source, "ckpt_1", {SHARD: files[SHARD][:-1] + bytes([files[SHARD][-1] ^ 1])})
    after = discover(*bucket).checkpoints
    assert after[0].digest != before[0].digest
    assert after[0].fingerprint != before[0].fingerprint


def test_a_half_uploaded_checkpoint_becomes_whole(bucket: Bucket) -> None:
    files = checkpoint_files(seed=1)
    upload(bucket.source, "ckpt_1", {**files, SHARD: files[SHARD][:-5]})
    (quarantine,) = discover(*bucket).quarantined
    assert "is truncated" in quarantine.reason
    upload(bucket.source, "ckpt_1", {SHARD: files[SHARD]})
    assert [c.id for c in discover(*bucket).checkpoints] == ["ckpt_1"]
