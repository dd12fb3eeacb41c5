"""Planning at the size of Amber: 8,280 pairs, 8,000 of them committed, on an S3 server, without an index.

Prints seconds, peak memory and counts of one ``a360 plan`` in a process of its own, and the seconds of a bare
LIST of the same commits by boto3 as the yardstick. The server (moto) runs in this process and is filled
directly.
"""

import json
import logging
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import boto3
from moto.s3.models import s3_backends
from moto.server import ThreadedMotoServer

from a360.benchmarks import CATALOGUE
from a360.datasets.mirror import MirrorFile, MirrorManifest, MirrorRepository
from a360.identity import canonical_json, generation_key, hash_value, result_key
from a360.plan import build_protocols
from a360.records import CheckpointFile, Inventory
from a360.results.places import CommitName, commit_place
from a360.storage import Entry
from a360.suite import load_suite

CHECKPOINTS, COMMITS, OBJECTS_PER_PAIR = 552, 8000, 10
BENCHMARKS = tuple(CATALOGUE)[:15]
"""Fixed, so that the number of pairs stays 8,280 when the catalogue grows."""
LIMIT_SECONDS, LIMIT_GIB = 20, 1
FILES = {"config.json": 700, "tokenizer.json": 1_800_000, "model.safetensors": 13_476_839_424}


def main() -> None:
    """Fills the server, plans once, prints one line of JSON."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    os.environ.update(AWS_ACCESS_KEY_ID="bench", AWS_SECRET_ACCESS_KEY="bench", AWS_REGION="us-east-1")
    with tempfile.TemporaryDirectory() as directory:
        suite_path = _write_suite(Path(directory), endpoint)
        _fill(suite_path, endpoint)
        started = time.perf_counter()
        plan = subprocess.run(
            [sys.executable, "-P", "-m", "a360", "plan", str(suite_path), "--json"],
            capture_output=True, text=True, check=True,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
        )  # fmt: skip
        seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    listing = _seconds_of_bare_list(endpoint)
    print(
        json.dumps(
            {
                "pairs": CHECKPOINTS * len(BENCHMARKS),
                "counts": json.loads(plan.stdout)["counts"],
                "seconds": round(seconds, 1),
                "bare_list_seconds": round(listing, 1),
                "ratio": round(seconds / listing, 2),
                "peak_gib": round(peak, 2),
            }
        )
    )
    server.stop()
    if seconds > LIMIT_SECONDS or peak > LIMIT_GIB:
        sys.exit(f"expected at most {LIMIT_SECONDS} s and {LIMIT_GIB} GiB")


def _write_suite(directory: Path, endpoint: str) -> Path:
    repositories: dict[str, MirrorRepository] = {}
    for row in CATALOGUE.values():
        for data in row.data:
            name, folder = "/".join(data.split("/")[:2]), "/".join(data.split("/")[2:])
            files = {f"{folder}/x.parquet".lstrip("/"): MirrorFile(bytes=1, sha256=hash_value(data))}
            known = repositories[name].files if name in repositories else {}
            repositories[name] = MirrorRepository(revision="r", files={**known, **files})
    (directory / "mirror").mkdir()
    manifest = MirrorManifest(stand_in=False, repositories=repositories)
    (directory / "mirror" / "manifest.json").write_text(canonical_json(manifest))
    s3 = {"endpoint_url": endpoint, "region": "us-east-1"}
    suite = {
        "name": "scale",
        "model": {
            "name": "m", "root": "s3://bench/ckpt", "s3": s3,
            "naming": {"pattern": "ckpt_(?P<step>[0-9]+)", "settle_seconds": 0},
        },
        "store": {"uri": "s3://bench/results", "s3": s3},
        "data": {"mirror": "mirror"},
        "benchmarks": list(BENCHMARKS),
    }  # fmt: skip
    path = directory / "suite.yaml"
    path.write_text(json.dumps(suite))
    return path


def _fill(suite_path: Path, endpoint: str) -> None:
    """Checkpoint listings with their inventory, commits, and the objects that belong to them."""
    from a360.checkpoints.folders import group_folders
    from a360.checkpoints.inventory import inventory_place
    from a360.storage import open_store

    suite = load_suite(str(suite_path))
    boto3.client("s3", endpoint_url=endpoint).create_bucket(Bucket="bench")
    backend = s3_backends["123456789012"]["aws"]
    for number in range(CHECKPOINTS):
        for name in FILES:
            backend.put_object("bench", f"ckpt/ckpt_{number:03d}/{name}", b"x")
    source = open_store(suite.model.root, suite.model.s3)
    protocols = build_protocols(suite, _manifest(suite.data.mirror)).protocols
    committed = 0
    folders, _ = group_folders(source, source.list(), lambda name: name.startswith("ckpt_"))
    for folder in folders:
        digest = hash_value(folder.name) * 4
        files = tuple(CheckpointFile(name=n, bytes=b, content_hash="0" * 64) for n, b in FILES.items())
        inventory = Inventory(fingerprint=folder.fingerprint, digest=digest, files=files, proof=("bench",))
        place = inventory_place("m", folder.fingerprint)
        backend.put_object("bench", f"results/{place}", canonical_json(inventory).encode())
        for benchmark, protocol in protocols.items():
            if committed == COMMITS:
                break
            key = result_key(generation_key(digest, protocol), None)
            place = commit_place("m", CommitName(benchmark, folder.name, key))
            backend.put_object("bench", f"results/{place}", b"{}")
            for part in range(OBJECTS_PER_PAIR):
                backend.put_object("bench", f"results/v1/objects/{key}/items-{part:02d}.parquet", b"x")
            committed += 1


def _manifest(mirror: str) -> MirrorManifest:
    return MirrorManifest.model_validate_json((Path(mirror) / "manifest.json").read_bytes())


def _seconds_of_bare_list(endpoint: str) -> float:
    started = time.perf_counter()
    pages = boto3.client("s3", endpoint_url=endpoint).get_paginator("list_objects_v2")
    listed = [
        Entry(item["Key"], item["Size"], item["ETag"], item["LastModified"].timestamp())
        for page in pages.paginate(Bucket="bench", Prefix="results/v1/commits/m/")
        for item in page.get("Contents", ())
    ]
    assert len(listed) == COMMITS
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
