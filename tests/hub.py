"""A stand-in for the hub of data sets on a free loopback port: what clients really ask, nothing more.

Written from the sources of the pinned huggingface_hub and datasets; tests/integration/test_data_hub.py shows
that both work with it unmodified. It has commits, branches, small files in git (ETag: the blob's sha1), large
ones in LFS (behind a redirect, ETag: sha256), ranges, If-Range, gated repositories and tokens. It has no Xet
storage, no signed addresses and no rate limits of its own: ``interfere`` plays those.
"""

import hashlib
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import SO_SNDBUF, SOL_SOCKET
from typing import NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

LFS_BYTES = 10_000
"""Files of this size and more lie in LFS."""
_PIECE_BYTES = 4096
_SEND_BUFFER_BYTES = 32 << 10


def git_blob(content: bytes) -> str:
    """Git's id of a file."""
    return hashlib.sha1(f"blob {len(content)}\0".encode() + content).hexdigest()


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


class Asked(NamedTuple):
    """One request; header names in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]


class Interference(NamedTuple):
    """An answer in the place of the hub's own."""

    status: int
    headers: Mapping[str, str] = {}
    body: bytes = b""


@dataclass
class Repository:
    """A repository with its history."""

    gated: bool = False
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)

    def commit(self, files: Mapping[str, bytes], branch: str = "main") -> str:
        """The sha of a new commit with exactly these files."""
        listing = json.dumps([len(self.commits), {path: sha256(content) for path, content in files.items()}])
        sha = hashlib.sha1(listing.encode()).hexdigest()
        self.commits[sha], self.branches[branch] = dict(files), sha
        return sha


@dataclass
class StandIn:
    """A running stand-in. Tests change it while it runs."""

    url: str = ""
    repositories: dict[str, Repository] = field(default_factory=dict)
    token: str = "hf_right"
    asked: list[Asked] = field(default_factory=list)
    sent_bytes: int = 0
    """Of file contents, over all connections."""
    interfere: Callable[[Asked], Interference | None] = lambda asked: None
    on_sent: Callable[[int], None] = lambda sent_bytes: None
    """Called with ``sent_bytes`` after each piece; what it raises breaks the connection."""
    cut_after: int | None = None
    """Breaks a connection after so many bytes of one content."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def create(self, name: str, files: Mapping[str, bytes], *, gated: bool = False) -> str:
        """The first commit's sha of a new repository."""
        self.repositories[name] = Repository(gated=gated)
        return self.repositories[name].commit(files)

    def paths(self, part: str) -> list[str]:
        """The paths of requests that contain a text."""
        return [asked.path for asked in self.asked if part in asked.path]


@contextmanager
def stand_in_hub() -> Iterator[StandIn]:
    """A hub without repositories."""
    hub = StandIn()

    class Handler(_Handler):
        stand_in = hub

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            """Clients that are killed break the connection; that is what some tests want."""

    server = Server(("127.0.0.1", 0), Handler)
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    stand_in: StandIn
    protocol_version = "HTTP/1.1"

    def setup(self) -> None:
        # What was sent and not received is counted too; a small buffer keeps that little.
        self.request.setsockopt(SOL_SOCKET, SO_SNDBUF, _SEND_BUFFER_BYTES)
        super().setup()

    def answer(self) -> None:
        self._body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        asked = Asked(self.command, self.path, headers)
        with self.stand_in.lock:
            self.stand_in.asked.append(asked)
        if other := self.stand_in.interfere(asked):
            self._say(other.status, dict(other.headers), other.body)
            return
        split = urlsplit(self.path)
        place = unquote(split.path)
        if place.startswith("/api/datasets/"):
            self._api(split.path.removeprefix("/api/datasets/"), parse_qs(split.query))
        elif place.startswith("/api/models/"):
            self._api(split.path.removeprefix("/api/models/"), parse_qs(split.query), kind="models/")
        elif place.startswith("/datasets/") and "/resolve/" in place:
            self._resolve(split.path.removeprefix("/datasets/"))
        elif "/resolve/" in place:
            self._resolve(split.path.removeprefix("/"), kind="models/")
        elif place.startswith("/lfs/"):
            self._lfs(place.removeprefix("/lfs/"))
        else:
            self._refuse(404, "EntryNotFound")

    do_GET = do_HEAD = do_POST = answer  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:
        pass

    def _api(self, place: str, query: Mapping[str, list[str]], kind: str = "") -> None:
        owner, name, *rest = place.split("/")
        repository = self.stand_in.repositories.get(f"{kind}{owner}/{name}")
        if repository is None:
            self._refuse(404 if self._token() else 401, "RepoNotFound")
            return
        if rest == ["auth-check"]:
            if self._may_read(repository):
                self._json({})
            return
        revision = unquote(rest[1]) if rest else "main"
        sha = repository.branches.get(revision, revision)
        if sha not in repository.commits:
            self._refuse(404, "RevisionNotFound")
        elif not rest or rest[0] == "revision":
            self._info(f"{owner}/{name}", repository, sha, blobs="blobs" in query)
        elif rest[0] == "tree":
            self._tree(repository.commits[sha], unquote("/".join(rest[2:])), query)
        elif rest[0] == "paths-info":
            wanted = parse_qs(self._body.decode()).get("paths", [])
            files = repository.commits[sha]
            self._json([_entry(path, files) for path in wanted if _known(path, files)])
        else:
            self._refuse(404, "EntryNotFound")

    def _info(self, name: str, repository: Repository, sha: str, *, blobs: bool) -> None:
        siblings = []
        for path, content in sorted(repository.commits[sha].items()):
            sibling: dict[str, object] = {"rfilename": path}
            if blobs:
                sibling |= {"size": len(content), "blobId": git_blob(content)}
                if len(content) >= LFS_BYTES:
                    sibling["lfs"] = {"size": len(content), "sha256": sha256(content), "pointerSize": 130}
            siblings.append(sibling)
        gated = "auto" if repository.gated else False
        self._json({"id": name, "sha": sha, "private": False, "gated": gated, "siblings": siblings,
                    "disabled": False, "downloads": 0, "likes": 0, "tags": []})  # fmt: skip

    def _tree(self, files: Mapping[str, bytes], folder: str, query: Mapping[str, list[str]]) -> None:
        recursive = query.get("recursive", ["false"])[0].lower() in ("true", "1")
        prefix = f"{folder}/" if folder else ""
        below = [path for path in files if path.startswith(prefix)]
        if folder and not below:
            self._refuse(404, "EntryNotFound")
            return
        folders = {
            prefix + "/".join(parts[:depth])
            for parts in (path.removeprefix(prefix).split("/") for path in below)
            for depth in (range(1, len(parts)) if recursive else range(1, min(len(parts), 2)))
        }
        shown = sorted(
            {path for path in below if recursive or "/" not in path.removeprefix(prefix)} | folders
        )
        self._json([_entry(path, files) for path in shown])

    def _resolve(self, place: str, kind: str = "") -> None:
        """/<owner>/<name>/resolve/<revision>/<path>, the revision as one quoted segment."""
        owner, name, _, revision, *rest = place.split("/")
        path, revision = unquote("/".join(rest)), unquote(revision)
        repository = self.stand_in.repositories.get(f"{kind}{owner}/{name}")
        if repository is None:
            self._refuse(404 if self._token() else 401, "RepoNotFound")
            return
        sha = repository.branches.get(revision, revision)
        if sha not in repository.commits:
            self._refuse(404, "RevisionNotFound")
        elif path not in repository.commits[sha]:
            self._refuse(404, "EntryNotFound")
        elif self._may_read(repository):
            content = repository.commits[sha][path]
            if len(content) < LFS_BYTES:
                self._content(content, git_blob(content), {"X-Repo-Commit": sha})
                return
            digest = sha256(content)
            linked = {"X-Linked-Size": str(len(content)), "X-Linked-Etag": f'"{digest}"'}
            # Another host, as the hub's: clients treat a redirect within one host differently.
            elsewhere = self.stand_in.url.replace("127.0.0.1", "localhost")
            address = f"{elsewhere}/lfs/{kind}{owner}/{name}/{sha}/{path}"
            self._say(302, {"X-Repo-Commit": sha, "Location": address, **linked})

    def _lfs(self, place: str) -> None:
        kind, place = ("models/", place[7:]) if place.startswith("models/") else ("", place)
        owner, name, sha, path = place.split("/", 3)
        content = self.stand_in.repositories[f"{kind}{owner}/{name}"].commits[sha][path]
        self._content(content, sha256(content), {})

    def _may_read(self, repository: Repository) -> bool:
        if repository.gated and self._token() != self.stand_in.token:
            self._refuse(403 if self._token() else 401, "GatedRepo")
            return False
        return True

    def _token(self) -> str:
        return self.headers.get("Authorization", "").removeprefix("Bearer ")

    def _content(self, content: bytes, etag: str, headers: dict[str, str]) -> None:
        start, status = _range_start(self.headers, etag, len(content)), 200
        headers |= {"ETag": f'"{etag}"', "Accept-Ranges": "bytes"}
        if start is not None:
            if start >= len(content):
                self._say(416, {"Content-Range": f"bytes */{len(content)}"})
                return
            status = 206
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content) - (start or 0))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self._send(content, start or 0)

    def _send(self, content: bytes, start: int) -> None:
        for at in range(start, len(content), _PIECE_BYTES):
            piece = content[at : at + _PIECE_BYTES]
            if self.stand_in.cut_after is not None and at - start >= self.stand_in.cut_after:
                self.close_connection = True
                with suppress(OSError):
                    self.connection.shutdown(2)
                return
            self.wfile.write(piece)
            with self.stand_in.lock:
                self.stand_in.sent_bytes += len(piece)
                self.stand_in.on_sent(self.stand_in.sent_bytes)

    def _json(self, value: object) -> None:
        self._say(200, {"Content-Type": "application/json"}, json.dumps(value).encode())

    def _refuse(self, status: int, code: str) -> None:
        self._say(status, {"X-Error-Code": code, "X-Error-Message": f"{code}, says the stand-in"})

    def _say(self, status: int, headers: Mapping[str, str], body: bytes = b"") -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _known(path: str, files: Mapping[str, bytes]) -> bool:
    return path in files or any(name.startswith(f"{path}/") for name in files)


def _entry(path: str, files: Mapping[str, bytes]) -> dict[str, object]:
    if path not in files:
        return {"type": "directory", "path": path, "oid": hashlib.sha1(path.encode()).hexdigest(), "size": 0}
    content = files[path]
    entry: dict[str, object] = {"type": "file", "path": path, "oid": git_blob(content), "size": len(content)}
    if len(content) >= LFS_BYTES:
        entry["lfs"] = {"oid": sha256(content), "size": len(content), "pointerSize": 130}
    return entry


def _range_start(headers: Message, etag: str, size_bytes: int) -> int | None:
    """Where an open range starts that holds; None when the whole content is the answer."""
    first, _, last = headers.get("Range", "").removeprefix("bytes=").partition("-")
    condition = headers.get("If-Range")
    if not first.isdigit() or (last and int(last) < size_bytes - 1) or condition not in (None, f'"{etag}"'):
        return None
    return int(first)
