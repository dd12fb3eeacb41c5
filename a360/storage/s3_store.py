"""An S3 bucket as a store; the only module that talks to one.

Nothing but single PutObject with ``If-None-Match: *`` carries a commit: it is the one condition that AWS,
Ceph, CoreWeave, versitygw and moto all honour. Large objects come down in parallel ranged requests.
"""

import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import boto3.session
from boto3.s3.transfer import TransferConfig, create_transfer_manager
from botocore import exceptions as sdk
from botocore.config import Config

from a360.errors import ConfigError, MissingError, TransientError
from a360.storage.content_hash import MIB
from a360.storage.file_store import finish_part
from a360.storage.keys import checked_key
from a360.storage.s3_errors import s3_errors, s3_failure, status_code
from a360.storage.store import Entry, StoreSettings

if TYPE_CHECKING:
    from botocore.response import StreamingBody
    from mypy_boto3_s3.client import S3Client

_CONFLICT_TRIES = 5
_BODY_TRIES = 3
# 64 MiB parts save a third of the CPU time of the default 8 MiB. "classic" always: the other client ignores
# endpoint_url and chooses itself on large GPU machines.
_TRANSFER = TransferConfig(
    multipart_threshold=64 * MIB,
    multipart_chunksize=64 * MIB,
    max_concurrency=16,
    io_chunksize=MIB,
    preferred_transfer_client="classic",
)


@dataclass(frozen=True, kw_only=True)
class RequestLimits:
    """How long one request may take and how often the SDK asks in all."""

    attempts: int = 6
    connect_seconds: float = 10
    read_seconds: float = 60


class S3Store:
    """Six verbs over the objects below ``s3://bucket/prefix``. Safe to share between threads."""

    def __init__(self, uri: str, settings: StoreSettings, limits: RequestLimits | None = None) -> None:
        bucket, _, prefix = uri.removeprefix("s3://").partition("/")
        prefix = prefix.strip("/")
        if not bucket:
            raise ConfigError(f"no bucket in {uri!r}", hint="expected s3://bucket/prefix")
        self.uri = f"s3://{bucket}/{checked_key(prefix, uri)}" if prefix else f"s3://{bucket}"
        self._bucket = bucket
        self._root = f"{prefix}/" if prefix else ""
        self._client = _client(self.uri, settings, limits or RequestLimits())

    def list(self, prefix: str = "") -> Iterator[Entry]:
        """Every object whose key starts with ``prefix``, sorted by key; folder markers (``a/``) left out."""
        found = []
        with s3_errors(f"{self.uri}/{prefix}"):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=self._root + prefix
            )
            for page in pages:
                for item in page.get("Contents", ()):
                    key, modified = item["Key"][len(self._root) :], item["LastModified"].timestamp()
                    if key and not key.endswith("/"):
                        found.append(Entry(key, item["Size"], item.get("ETag", "").strip('"'), modified))
        # Not every server keeps the order across folders, e.g. "a-b" before "a/b".
        yield from sorted(found)

    def read(self, key: str, start: int | None = None, length: int | None = None) -> bytes:
        """The object, or ``length`` bytes from ``start``; a negative ``start`` counts from the end."""
        for attempt in range(_BODY_TRIES):
            with s3_errors(self._uri(key)):
                try:
                    body, skip = self._open(key, start, length)
                    try:
                        return _read_body(body, skip, length)
                    except (sdk.HTTPClientError, sdk.IncompleteReadError):
                        # The SDK retries requests, but not a connection that breaks within a body.
                        if attempt == _BODY_TRIES - 1:
                            raise
                except sdk.ClientError as error:
                    if status_code(error) == 416:  # starts behind the end
                        return b""
                    raise
        raise AssertionError("the last attempt returns or raises")

    def write(self, key: str, data: bytes) -> None:
        """Puts the object; S3 replaces in one step."""
        with s3_errors(self._uri(key)):
            self._client.put_object(Bucket=self._bucket, Key=self._key(key), Body=data)

    def put_if_absent(self, key: str, data: bytes) -> bool:
        """True when this call created the object, False when it existed.

        When the SDK had to repeat the request and then meets an object, the first try may have created it.
        Then the stored bytes decide: equal means True. Two callers that both had to repeat the *same* bytes
        could both get True, which is why commit markers carry their attempt.
        """
        for attempt in range(_CONFLICT_TRIES):
            with s3_errors(self._uri(key)):
                try:
                    self._client.put_object(
                        Bucket=self._bucket, Key=self._key(key), Body=data, IfNoneMatch="*"
                    )
                    return True
                except sdk.ClientError as error:
                    if status_code(error) == 412:
                        repeated = error.response["ResponseMetadata"].get("RetryAttempts", 0) > 0
                        return repeated and self.read(key) == data
                    if status_code(error) != 409:
                        raise
            # 409: another put of this key is under way and nobody has won yet.
            time.sleep(random.uniform(0, 0.05 * 2**attempt))
        try:
            self.read(key, 0, 1)
        except MissingError as error:
            raise TransientError(
                f"{_CONFLICT_TRIES} conditional puts of {self._uri(key)} met conflicts, still no object",
                hint="another writer is stuck; try again",
            ) from error
        return False

    def pull_tree(self, keys: Sequence[str], target_dir: Path) -> int:
        """Downloads objects to ``target_dir / key``, 16 requests at once; returns the bytes transferred."""
        pulled_bytes = 0
        with s3_errors(self.uri), create_transfer_manager(self._client, _TRANSFER) as manager:
            transfers = []
            for key in keys:
                target = target_dir / checked_key(key, self.uri)
                target.parent.mkdir(parents=True, exist_ok=True)
                part = target.with_name(target.name + ".part")
                transfers.append(
                    (key, target, part, manager.download(self._bucket, self._key(key), str(part)))
                )
            for key, target, part, transfer in transfers:
                with s3_errors(self._uri(key)):
                    transfer.result()
                    size = part.stat().st_size
                    if size != transfer.meta.size:
                        raise TransientError(
                            f"{self._uri(key)} came with {size} bytes, expected {transfer.meta.size}",
                            hint="does the store honour ranged requests? Try again",
                        )
                    finish_part(part, target)
                pulled_bytes += size
        return pulled_bytes

    def delete(self, key: str) -> None:
        """Removes the object; a missing one is fine."""
        with s3_errors(self._uri(key)):
            self._client.delete_object(Bucket=self._bucket, Key=self._key(key))

    def _key(self, key: str) -> str:
        return self._root + checked_key(key, self.uri)

    def _uri(self, key: str) -> str:
        return f"{self.uri}/{key}"

    def _open(self, key: str, start: int | None, length: int | None) -> tuple["StreamingBody", int]:
        """The body of a get and how many of its bytes come before the wanted ones."""
        if start is None and length is None:
            return self._client.get_object(Bucket=self._bucket, Key=self._key(key))["Body"], 0
        start = start or 0
        if start < 0:
            wanted = f"bytes={start}"
        else:
            wanted = f"bytes={start}-" + ("" if length is None else str(start + max(length, 1) - 1))
        answer = self._client.get_object(Bucket=self._bucket, Key=self._key(key), Range=wanted)
        if answer.get("ContentRange"):
            return answer["Body"], 0
        # A server that ignores Range answers 200 with the whole object; some send the range with status 200.
        return answer["Body"], start if start >= 0 else max(answer["ContentLength"] + start, 0)


def _read_body(body: "StreamingBody", skip_bytes: int, length: int | None) -> bytes:
    with body:
        while skip_bytes > 0 and (skipped := len(body.read(min(skip_bytes, MIB)))):
            skip_bytes -= skipped
        return body.read(length)


def _client(uri: str, settings: StoreSettings, limits: RequestLimits) -> "S3Client":
    config = Config(
        retries={"mode": "standard", "total_max_attempts": limits.attempts},
        connect_timeout=limits.connect_seconds,
        read_timeout=limits.read_seconds,
        max_pool_connections=32,
        tcp_keepalive=True,
        s3={"addressing_style": "path" if settings.path_style else "virtual"},
        request_checksum_calculation=settings.checksum,
        response_checksum_validation=settings.checksum,
    )
    try:
        # Without endpoint_url the SDK takes AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL from the environment.
        return boto3.session.Session().client(
            "s3", endpoint_url=settings.endpoint_url, region_name=settings.region, config=config
        )
    except (sdk.BotoCoreError, ValueError) as error:
        raise s3_failure(error, uri) from error
