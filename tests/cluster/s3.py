"""The cluster's S3 server: versitygw over files of the state directory, reachable from pods by address."""

import socket
from pathlib import Path

from tests.cluster.layout import NODE_IP, Layout
from tests.cluster.processes import Process, recorded, start, wait_until
from tests.servers import S3Server

PORT = 7070


def start_s3(layout: Layout, programs: dict[str, Path]) -> Process:
    """Starts the server; also after ``stop``, over the same files."""
    root_dir = layout.var / "s3"
    root_dir.mkdir(exist_ok=True)
    keys = ["--access", S3Server.access_key, "--secret", S3Server.secret_key]
    options = ["--quiet", "--keep-alive", "--port", f"{NODE_IP}:{PORT}"]
    process = start(layout, "versitygw", [programs["versitygw"], *keys, *options, "posix", root_dir])
    wait_until(
        "versitygw is open",
        _is_open,
        seconds=60,
        process=process,
        log_path=layout.log / "versitygw.log",
    )
    return process


def s3_server(layout: Layout) -> S3Server:
    """How the host and the pods reach it."""
    process = recorded(layout, "versitygw")
    return S3Server(
        name="versitygw", endpoint_url=f"http://{NODE_IP}:{PORT}", pid=process.pid if process else 0
    )


def _is_open() -> bool:
    try:
        socket.create_connection((NODE_IP, PORT), timeout=1).close()
    except OSError:
        return False
    return True
