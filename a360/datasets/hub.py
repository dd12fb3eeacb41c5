"""The hub over HTTP: which commit a revision is, its files with their hashes, ranged bytes.

The only module that imports huggingface_hub: for addresses, headers, the token and HF_ENDPOINT. That
package's own downloader writes to a file of a random name and forgets it when it is killed;
a360/datasets/download.py asks here for the rest of a file instead. Every answer is sorted into what a person
must do (ConfigError), what is not there (MissingError) and what may pass (TransientError).
"""

import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, TypeVar

from a360.datasets.mirror import MODELS
from a360.errors import A360Error, ConfigError, MissingError, TransientError

try:
    import httpx2
    from huggingface_hub import DatasetInfo, HfApi, ModelInfo, constants, hf_hub_url
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled
    from huggingface_hub.utils import (  # type: ignore[attr-defined]
        build_hf_headers,
        get_session,
        hf_raise_for_status,
        parse_ratelimit_headers,
    )
except ImportError as error:
    raise ConfigError(
        f"the hub cannot be reached without the package {error.name}", hint="install a360[data]"
    ) from error

_Result = TypeVar("_Result")
RECEIVE_BUFFER_BYTES = 128 << 10
"""What the system may hold of a file before this process reads it; a kill loses it, and it is sent again.

Left to itself the system takes megabytes for each connection, the more the busier this process is. One
connection moves about this many bytes per round trip, 6 MB/s at 20 ms: ``--workers`` is how many there are.
"""
_LISTED_FILES = 50_000
_REFUSED = {401, 403}
_PASSING = {408, 425, 429}
"""Besides 5xx: answers that another try may change."""


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long a request may take and how often it is tried without a byte of progress."""

    attempts: int = 6
    first_wait_seconds: float = 1.0
    longest_wait_seconds: float = 300.0
    """A server that asks for a longer pause gets its wish by exit code 75 instead."""
    read_seconds: float = 60.0
    sleep: Callable[[float], None] = time.sleep


@dataclass(frozen=True, kw_only=True)
class HubFile:
    """One file of a repository at a commit."""

    path: str
    bytes: int
    blob: str
    """Git's id: the sha1 of its content, or of the pointer where the content lies in LFS."""
    sha256: str | None
    """Of the content where that lies in LFS, None where git holds it."""


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """A repository at one commit."""

    commit: str
    files: tuple[HubFile, ...]
    """Sorted by path."""


@dataclass(frozen=True, kw_only=True)
class Body:
    """A part of a file that is about to be read; ``start`` may be 0 although more was asked for."""

    start: int
    total_bytes: int | None
    etag: str | None
    chunks: Iterator[bytes]


class BusyError(TransientError):
    """The server asks to come back later; ``wait_seconds`` is None where it does not say when."""

    def __init__(self, message: str, *, hint: str | None = None, wait_seconds: float | None = None) -> None:
        super().__init__(message, hint=hint)
        self.wait_seconds = wait_seconds


class RangeError(Exception):
    """The rest of a file that was asked for does not exist: its size is not what it was."""


def kind_and_name(repository: str) -> tuple[Literal["dataset", "model"], str]:
    """What a repository of a mirror is on the hub: data, or a model where it lies below ``models/``."""
    name = repository.removeprefix(MODELS)
    return ("dataset", name) if name == repository else ("model", name)


class Hub:
    """The endpoint that HF_ENDPOINT names, with the token of HF_TOKEN or the login. Threads may share it."""

    def __init__(self, patience: Patience | None = None, endpoint: str | None = None) -> None:
        self.patience = patience or Patience()
        self.endpoint = endpoint or constants.ENDPOINT
        self._api = HfApi(endpoint=self.endpoint)

    def look_up(self, repository: str, revision: str | None = None) -> Snapshot:
        """The commit of a branch, tag or sha (of the default branch without one) and its files.

        Raises:
            ConfigError: access is refused, also where only the files are closed and their names are not.
            MissingError: there is no such repository or revision.
            TransientError: no answer after all attempts.
        """
        where = repository if revision is None else f"{repository} at {revision}"

        def ask() -> Snapshot:
            with self._errors(where, repository):
                kind, name = kind_and_name(repository)
                ask_info = self._api.model_info if kind == "model" else self._api.dataset_info
                info = ask_info(
                    name, revision=revision, files_metadata=True, timeout=self.patience.read_seconds
                )
                if info.gated:
                    self._check_access(repository)
            return _snapshot(info, where)

        return self._retry(ask)

    @contextmanager
    def open(
        self, repository: str, commit: str, path: str, *, start: int = 0, etag: str | None = None
    ) -> Iterator[Body]:
        """The bytes of a file from ``start``, or all of them where the server's file has another ETag.

        Raises:
            RangeError: the file ends before ``start``.
            ConfigError, MissingError, TransientError: as ``look_up``; also while the body is read.
        """
        kind, name = kind_and_name(repository)
        url = hf_hub_url(name, path, repo_type=kind, revision=commit, endpoint=self.endpoint)
        # Compressed on the way, a range would be one of the compressed bytes.
        headers = {**build_hf_headers(), "Accept-Encoding": "identity"}
        if start:
            headers["Range"] = f"bytes={start}-"
            if etag and not etag.startswith("W/"):  # a weak one proves nothing and must not be sent
                headers["If-Range"] = etag
        with (
            self._errors(f"{repository}/{path} at {commit}", repository),
            get_session().stream("GET", url, headers=headers, timeout=self.patience.read_seconds) as answer,
        ):
            if answer.status_code == 416:
                raise RangeError
            if answer.is_error:
                raise httpx2.HTTPStatusError("", request=answer.request, response=answer)
            _bound_buffer(answer)
            yield _body(answer)

    def _retry(self, attempt: Callable[[], _Result]) -> _Result:
        """What ``attempt`` returns, tried again after a TransientError. Raises its last one."""
        for number in range(1, self.patience.attempts + 1):
            try:
                return attempt()
            except TransientError as error:
                if number == self.patience.attempts:
                    raise
                self.pause(error, number)
        raise AssertionError("the last attempt returns or raises")

    def pause(self, error: TransientError, number: int) -> None:
        """Waits before attempt ``number + 1``: as long as the server asked, or twice as long as before.

        Raises:
            TransientError: the server asks for more than ``longest_wait_seconds``.
        """
        wait = error.wait_seconds if isinstance(error, BusyError) else None
        if wait is None:
            wait = self.patience.first_wait_seconds * 2 ** (number - 1)
        elif wait > self.patience.longest_wait_seconds:
            raise error
        self.patience.sleep(wait)

    def _check_access(self, repository: str) -> None:
        kind, name = kind_and_name(repository)
        url = f"{self.endpoint}/api/{kind}s/{name}/auth-check"
        timeout = self.patience.read_seconds
        hf_raise_for_status(get_session().get(url, headers=build_hf_headers(), timeout=timeout))

    @contextmanager
    def _errors(self, where: str, repository: str) -> Iterator[None]:
        """Turns every exception of the two packages into one of a360's."""
        try:
            yield
        except OfflineModeIsEnabled as error:
            raise ConfigError(
                f"HF_HUB_OFFLINE is set, and {where} has to come from {self.endpoint}", hint="unset it"
            ) from error
        except HFValidationError as error:
            raise ConfigError(f"{repository!r} is no name of a hub repository: {error}") from error
        except (httpx2.UnsupportedProtocol, httpx2.InvalidURL) as error:
            raise ConfigError(f"HF_ENDPOINT is {self.endpoint!r}, expected https://host: {error}") from error
        except (HfHubHTTPError, httpx2.HTTPStatusError) as error:
            raise _answered(error.response, where, repository, self.endpoint) from error
        except httpx2.HTTPError as error:
            raise TransientError(
                f"no answer from {self.endpoint} for {where}: {error or type(error).__name__}",
                hint="is the network there, and HF_ENDPOINT right?",
            ) from error


def _snapshot(info: "DatasetInfo | ModelInfo", where: str) -> Snapshot:
    files = []
    for entry in info.siblings or ():
        if entry.size is None or entry.blob_id is None:
            raise MissingError(f"the hub says neither size nor hash of {entry.rfilename} in {where}")
        sha256 = entry.lfs.sha256 if entry.lfs else None
        files.append(HubFile(path=entry.rfilename, bytes=entry.size, blob=entry.blob_id, sha256=sha256))
    if info.sha is None or len(files) >= _LISTED_FILES:
        raise MissingError(
            f"the hub lists {len(files):,} files of {where} at commit {info.sha}, expected a commit and "
            f"fewer than {_LISTED_FILES:,} files: beyond that its list is not complete"
        )
    return Snapshot(commit=info.sha, files=tuple(sorted(files, key=lambda file: file.path)))


def _bound_buffer(answer: "httpx2.Response") -> None:
    """Set on the open connection: the session is huggingface_hub's, with the proxies of the environment."""
    connection = answer.extensions["network_stream"].get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)


def _body(answer: "httpx2.Response") -> Body:
    length = answer.headers.get("Content-Length", "")
    start, total = 0, int(length) if length.isdigit() else None
    if answer.status_code == 206:
        unit, _, place = answer.headers.get("Content-Range", "").partition(" ")
        span, _, size = place.partition("/")
        first = span.partition("-")[0]
        if unit != "bytes" or not (first.isdigit() and size.isdigit()):
            raise RangeError
        start, total = int(first), int(size)
    return Body(start=start, total_bytes=total, etag=answer.headers.get("ETag"), chunks=answer.iter_raw())


def _answered(answer: "httpx2.Response", where: str, repository: str, endpoint: str) -> A360Error:
    """The error for an answer that is none."""
    status, code = answer.status_code, answer.headers.get("X-Error-Code", "")
    found = f"the hub answers {status} for {where}"
    if reason := answer.headers.get("X-Error-Message", ""):
        found += f": {reason}"
    kind, name = kind_and_name(repository)
    page = f"{endpoint}/{name}" if kind == "model" else f"{endpoint}/datasets/{name}"
    if status in _REFUSED:
        # Without a token the hub says 401 also for what does not exist.
        gated = "the data is gated" if code == "GatedRepo" else "gated or private data, or no such repository"
        return ConfigError(
            f"{found} ({gated})", hint=f"accept its conditions at {page} and set HF_TOKEN to a token of yours"
        )
    if status in (404, 410):
        what = "revision" if code == "RevisionNotFound" else "name"
        return MissingError(found, hint=f"a typo in the {what}? {page} shows what there is")
    if status in _PASSING or status >= 500:
        wait = _wait_seconds(answer.headers)
        later = f" for {wait:,.0f} s" if wait is not None else ""
        return BusyError(found, hint=f"wait{later}, then again: what is whole is kept", wait_seconds=wait)
    return ConfigError(found, hint=f"does {endpoint} speak the hub's language?")


def _wait_seconds(headers: Mapping[str, str]) -> float | None:
    """Seconds that the server asks for; a date in Retry-After is as good as nothing: clocks differ."""
    value = headers.get("Retry-After", "").strip()
    if value.isdigit():
        return float(value)
    window = parse_ratelimit_headers(headers)
    return float(window.reset_in_seconds) if window and window.remaining == 0 else None
