"""Real S3 servers on free loopback ports, and small HTTP servers that misbehave on purpose.

moto and versitygw run as processes of their own and are ended by their pid, also when a test fails. The
stub answers what a test tells it to, or passes a request on to a real server with one thing changed.
"""

import http.client
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from a360.storage import StoreSettings

_START_SECONDS = 60.0
_BUILD = Path(__file__).parent / "cluster" / "build.sh"


@dataclass(frozen=True, kw_only=True)
class S3Server:
    """A running server. ``environment`` holds everything that a client process needs to know."""

    name: str
    endpoint_url: str
    pid: int
    access_key: str = "a360-access"
    secret_key: str = "a360-secret"

    @property
    def settings(self) -> StoreSettings:
        return StoreSettings(endpoint_url=self.endpoint_url, region="us-east-1")

    @property
    def environment(self) -> dict[str, str]:
        return {
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_DEFAULT_REGION": "us-east-1",
            # A developer's own profile must not leak into a test.
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def create_bucket(self) -> str:
        """The name of a new, empty bucket."""
        import boto3.session

        bucket = f"a360-{uuid.uuid4().hex[:12]}"
        session = boto3.session.Session(self.access_key, self.secret_key, region_name="us-east-1")
        session.client("s3", endpoint_url=self.endpoint_url).create_bucket(Bucket=bucket)
        return bucket


@contextmanager
def moto_server() -> Iterator[S3Server]:
    """moto's server: good semantics, everything in memory."""
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p"]
    with _running("moto", lambda port: [*command, str(port)]) as server:
        yield server


@contextmanager
def versitygw_server(binary: Path, root_dir: Path) -> Iterator[S3Server]:
    """versitygw over files below ``root_dir``, which must be on a file system with extended attributes."""
    root_dir.mkdir(parents=True, exist_ok=True)

    def command(port: int) -> Sequence[str]:
        keys = ["--access", S3Server.access_key, "--secret", S3Server.secret_key]
        options = ["--quiet", "--keep-alive", "--port", f"127.0.0.1:{port}"]
        return [str(binary), *keys, *options, "posix", str(root_dir)]

    with _running("versitygw", command) as server:
        yield server


def find_versitygw() -> Path | None:
    """The binary that A360_VERSITYGW names or tests/cluster/build.sh has built, if there is one."""
    if named := os.environ.get("A360_VERSITYGW"):
        return Path(named)
    found = subprocess.run([_BUILD, "--where", "versitygw"], capture_output=True, text=True)
    return Path(found.stdout.strip()) if found.returncode == 0 else None


@contextmanager
def _running(name: str, command: Callable[[int], Sequence[str]]) -> Iterator[S3Server]:
    with tempfile.TemporaryFile() as log:
        port = _free_port()
        process = subprocess.Popen(command(port), stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        try:
            _wait_until_open(name, process, port)
            yield S3Server(name=name, endpoint_url=f"http://127.0.0.1:{port}", pid=process.pid)
        except _NotStartedError as error:
            log.seek(0)
            raise RuntimeError(f"{error}\n{log.read()[-2000:].decode(errors='replace')}") from None
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


class _NotStartedError(Exception):
    pass


def _wait_until_open(name: str, process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise _NotStartedError(f"{name} did not open port {port}; exit code {process.poll()}")


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


# --- servers that misbehave ---------------------------------------------------------------------------


class Request(NamedTuple):
    """What a client asked; header names in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


class Answer(NamedTuple):
    """What a stub says."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = {}
    then: Callable[[], None] = lambda: None
    """Called when the body was sent."""


@dataclass
class Stub:
    """A running stub and every request that it got, in order."""

    url: str
    requests: list[Request] = field(default_factory=list)

    @property
    def settings(self) -> StoreSettings:
        return StoreSettings(endpoint_url=self.url, region="us-east-1")


@contextmanager
def stub_server(respond: Callable[[Request], Answer], host: str = "127.0.0.1") -> Iterator[Stub]:
    """An HTTP server that answers every request with ``respond(request)``."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            request = Request(self.command, self.path, headers, body)
            stub.requests.append(request)
            answer = respond(request)
            self.send_response(answer.status)
            for name, value in {"Content-Length": str(len(answer.body)), **answer.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(answer.body)
            answer.then()

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = answer  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            """Clients that give up break the connection; that is what some tests want."""

    server = Server((host, 0), Handler)
    stub = Stub(f"http://{host}:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield stub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def s3_error(status: int, code: str) -> Answer:
    """An error document as S3 sends it."""
    body = f'<?xml version="1.0"?><Error><Code>{code}</Code><Message>{code}</Message></Error>'.encode()
    return Answer(status, body, {"Content-Type": "application/xml"})


def forward(request: Request, endpoint_url: str, drop: Sequence[str] = ()) -> Answer:
    """The answer of a real server to a request without the headers in ``drop``."""
    connection = http.client.HTTPConnection(urlsplit(endpoint_url).netloc, timeout=60)
    dropped = {"host", "connection", "expect", *drop}
    try:
        headers = {name: value for name, value in request.headers.items() if name not in dropped}
        connection.request(request.method, request.path, request.body, headers)
        answer = connection.getresponse()
        kept = {
            name: value
            for name, value in answer.getheaders()
            if name.lower() not in ("transfer-encoding", "connection", "date", "server")
            and (name.lower() != "content-length" or request.method == "HEAD")
        }
        return Answer(answer.status, answer.read(), kept)
    finally:
        connection.close()


# --- a disk that fills up -----------------------------------------------------------------------------


def small_disk_command(disk_dir: Path, size_bytes: int, command: Sequence[str]) -> list[str] | None:
    """A command that runs another one with a small real file system at ``disk_dir``, or None.

    The mount lives in a namespace of its own and vanishes with the process. None where the kernel allows
    neither root nor an unprivileged user to have one.
    """
    unshare = shutil.which("unshare")
    script = f'mount -t tmpfs -o size={size_bytes} tmpfs "$0" && exec "$@"'
    for flags in (["--mount"], ["--mount", "--map-root-user"]):
        prefix = [unshare or "", *flags, "sh", "-c", script, str(disk_dir)]
        if unshare and subprocess.run([*prefix, "true"], capture_output=True).returncode == 0:
            return [*prefix, *command]
    return None
