"""The hub's answers, good and bad, as a360 understands them; and that the stand-in speaks as the hub does."""

import gc
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from a360.datasets.download import Source, download_file
from a360.datasets.hub import RECEIVE_BUFFER_BYTES, Hub, HubFile, Patience
from a360.datasets.mirror import MirrorFile
from a360.errors import A360Error, ConfigError, DataError, MissingError, TransientError
from tests.hub import Asked, Interference, StandIn, git_blob, sha256, stand_in_hub

pytestmark = pytest.mark.integration

NAME = "openai/gsm8k"
ROWS = b"".join(b'{"text": "row %d"}\n' % number for number in range(4000))
SMALL = b"---\n---\nA card.\n"


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[StandIn]:
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setenv("HF_TOKEN_PATH", str(tmp_path / "no-token"))
    with stand_in_hub() as hub:
        hub.create(NAME, {"README.md": SMALL, "main/test.jsonl": ROWS})
        yield hub


def patient(stand_in: StandIn, attempts: int = 3) -> tuple[Hub, list[float]]:
    """A hub that is asked without waiting, and the pauses that it would have made."""
    pauses: list[float] = []
    return Hub(Patience(attempts=attempts, sleep=pauses.append), stand_in.url), pauses


def source(stand_in: StandIn, path: str = "main/test.jsonl") -> Source:
    snapshot = patient(stand_in)[0].look_up(NAME)
    return Source(NAME, snapshot.commit, next(file for file in snapshot.files if file.path == path))


def download(stand_in: StandIn, parts: Path, wanted: Source | None = None) -> tuple[Path, MirrorFile]:
    return download_file(patient(stand_in)[0], wanted or source(stand_in), parts, lambda arrived: None)


def in_process(code: str, stand_in: StandIn, home: Path) -> str:
    """What a fresh Python prints that knows the stand-in as the hub."""
    environment = {**os.environ, "HF_ENDPOINT": stand_in.url, "HF_HOME": str(home)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=home, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_the_system_holds_little_of_a_file_that_is_not_read_yet(stand_in: StandIn) -> None:
    """Whatever the load: a killed process loses at most this, once per connection."""
    wanted = source(stand_in)
    address = ("127.0.0.1", int(stand_in.url.rpartition(":")[2]))
    with patient(stand_in)[0].open(NAME, wanted.commit, wanted.file.path) as body:
        sockets = [
            each for each in gc.get_objects() if isinstance(each, socket.socket) and each.fileno() >= 0
        ]
        clients = [each for each in sockets if peer_of(each) == address]
        sizes = [each.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) for each in clients]
        assert b"".join(body.chunks) == ROWS
    assert 2 * RECEIVE_BUFFER_BYTES in sizes, "Linux reports twice what was asked for"


def peer_of(connection: socket.socket) -> object:
    try:
        return connection.getpeername()
    except OSError:
        return None


# --- the stand-in ------------------------------------------------------------------------------------


def test_unmodified_datasets_loads_from_the_stand_in(stand_in: StandIn, tmp_path: Path) -> None:
    code = f"import datasets; print(datasets.load_dataset({NAME!r})['test'][3999])"
    assert in_process(code, stand_in, tmp_path) == "{'text': 'row 3999'}\n"


def test_unmodified_huggingface_hub_downloads_from_the_stand_in(stand_in: StandIn, tmp_path: Path) -> None:
    code = (
        "import huggingface_hub as hub\n"
        f"folder = hub.snapshot_download({NAME!r}, repo_type='dataset', local_dir='copy',"
        " allow_patterns='main/*')\nprint(folder)"
    )
    folder = Path(in_process(code, stand_in, tmp_path).strip())
    assert (folder / "main" / "test.jsonl").read_bytes() == ROWS
    assert not (folder / "README.md").exists()


# --- looking up --------------------------------------------------------------------------------------


def test_a_branch_is_looked_up_with_the_hashes_that_the_hub_knows(stand_in: StandIn) -> None:
    head = stand_in.repositories[NAME].branches["main"]
    snapshot = patient(stand_in)[0].look_up(NAME, "main")
    assert snapshot.commit == head
    assert snapshot.files == (
        HubFile(path="README.md", bytes=len(SMALL), blob=git_blob(SMALL), sha256=None),
        HubFile(path="main/test.jsonl", bytes=len(ROWS), blob=git_blob(ROWS), sha256=sha256(ROWS)),
    )


@pytest.mark.parametrize(
    ("name", "revision", "kind", "words"),
    [
        ("openai/gsm8", None, ConfigError, ["answers 401 for openai/gsm8", "gated or private", "HF_TOKEN"]),
        (NAME, "0" * 40, MissingError, [f"answers 404 for {NAME} at 000", "a typo in the revision"]),
        ("not a name", None, ConfigError, ["'not a name' is no name of a hub repository"]),
    ],
)
def test_what_the_hub_does_not_have_is_named(
    stand_in: StandIn, name: str, revision: str | None, kind: type[A360Error], words: list[str]
) -> None:
    hub, pauses = patient(stand_in)
    with pytest.raises(kind) as caught:
        hub.look_up(name, revision)
    assert [word for word in words if word not in str(caught.value)] == []
    assert pauses == []


def test_an_absent_repository_is_missing_for_who_has_a_token(
    stand_in: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_any")
    with pytest.raises(MissingError, match="answers 404 for openai/gsm8") as caught:
        patient(stand_in)[0].look_up("openai/gsm8")
    assert caught.value.hint
    assert caught.value.hint.startswith("a typo in the name?")


@pytest.mark.parametrize(("token", "status"), [(None, 401), ("hf_wrong", 403)])
def test_gated_data_is_named_with_the_token_that_it_needs(
    stand_in: StandIn, monkeypatch: pytest.MonkeyPatch, token: str | None, status: int
) -> None:
    stand_in.create("skg/toxigen-data", {"README.md": SMALL}, gated=True)
    if token:
        monkeypatch.setenv("HF_TOKEN", token)
    with pytest.raises(
        ConfigError, match=f"answers {status} for skg/toxigen-data.*the data is gated"
    ) as caught:
        patient(stand_in)[0].look_up("skg/toxigen-data")
    assert caught.value.hint == (
        f"accept its conditions at {stand_in.url}/datasets/skg/toxigen-data "
        "and set HF_TOKEN to a token of yours"
    )
    monkeypatch.setenv("HF_TOKEN", stand_in.token)
    assert len(patient(stand_in)[0].look_up("skg/toxigen-data").files) == 1


def test_the_token_goes_to_the_hub_and_not_to_where_it_redirects(
    stand_in: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", stand_in.token)
    stand_in.repositories[NAME].gated = True
    download(stand_in, tmp_path)
    tokens = {asked.path[:5]: asked.headers.get("authorization") for asked in stand_in.asked}
    assert tokens == {"/api/": "Bearer hf_right", "/data": "Bearer hf_right", "/lfs/": None}


def test_offline_mode_is_a_contradiction_and_not_a_network_error(
    stand_in: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ConfigError, match="HF_HUB_OFFLINE is set"):
        patient(stand_in)[0].look_up(NAME)


@pytest.mark.parametrize("endpoint", ["ftp://hub", "hub"])
def test_an_endpoint_that_is_none_is_refused(endpoint: str) -> None:
    with pytest.raises(ConfigError, match=f"HF_ENDPOINT is '{endpoint}', expected https://host"):
        Hub(Patience(attempts=1), endpoint).look_up(NAME)


# --- answers that pass -------------------------------------------------------------------------------


def first(answers: list[Interference], part: str = "/api/") -> object:
    """Gives these answers to the first requests whose path has a text."""

    def interfere(asked: Asked) -> Interference | None:
        return answers.pop(0) if answers and part in asked.path else None

    return interfere


@pytest.mark.parametrize(
    ("answers", "pauses"),
    [
        ([Interference(429, {"Retry-After": "7"})], [7.0]),
        ([Interference(503), Interference(500)], [1.0, 2.0]),
        ([Interference(503, {"Retry-After": "Wed, 21 Oct 2065 07:28:00 GMT"})], [1.0]),
        ([Interference(429, {"ratelimit": '"api";r=0;t=55'})], [55.0]),
    ],
)
def test_throttling_and_server_errors_are_tried_again_as_late_as_the_hub_asks(
    stand_in: StandIn, answers: list[Interference], pauses: list[float]
) -> None:
    stand_in.interfere = first(answers)  # type: ignore[assignment]
    hub, made = patient(stand_in)
    assert len(hub.look_up(NAME).files) == 2
    assert made == pauses


def test_a_hub_that_stays_busy_is_transient_and_says_how_long(stand_in: StandIn) -> None:
    stand_in.interfere = lambda asked: Interference(429, {"Retry-After": "3"})
    hub, pauses = patient(stand_in)
    with pytest.raises(TransientError, match=f"answers 429 for {NAME}") as caught:
        hub.look_up(NAME)
    assert caught.value.hint == "wait for 3 s, then again: what is whole is kept"
    assert pauses == [3.0, 3.0]


def test_a_pause_of_an_hour_is_left_to_the_caller(stand_in: StandIn) -> None:
    stand_in.interfere = lambda asked: Interference(429, {"Retry-After": "3600"})
    hub, pauses = patient(stand_in)
    with pytest.raises(TransientError) as caught:
        hub.look_up(NAME)
    assert "3,600 s" in str(caught.value)
    assert pauses == []


def test_no_server_at_all_is_transient_and_names_the_endpoint() -> None:
    with stand_in_hub() as gone:
        url = gone.url
    with pytest.raises(TransientError, match=f"no answer from {url} for {NAME}"):
        Hub(Patience(attempts=1), url).look_up(NAME)


# --- files -------------------------------------------------------------------------------------------


def test_a_connection_that_breaks_is_continued_where_it_broke(stand_in: StandIn, tmp_path: Path) -> None:
    stand_in.cut_after = 20_000
    part, found = download(stand_in, tmp_path)
    assert part.read_bytes() == ROWS
    assert found == MirrorFile(bytes=len(ROWS), sha256=sha256(ROWS))
    starts = [asked.headers.get("range") for asked in stand_in.asked if asked.path.startswith("/lfs/")]
    assert starts[0] is None
    assert all(start and start.startswith("bytes=") for start in starts[1:])
    assert len(starts) > 2
    assert stand_in.sent_bytes < len(ROWS) + len(starts) * 64_000


def test_a_server_that_never_gets_further_ends_after_its_attempts(stand_in: StandIn, tmp_path: Path) -> None:
    stand_in.cut_after = 0
    hub, pauses = patient(stand_in)
    with pytest.raises(TransientError, match="no answer from"):
        download_file(hub, source(stand_in), tmp_path, lambda arrived: None)
    assert pauses == [1.0, 2.0]


def test_a_file_that_the_hub_throttles_is_asked_for_again_as_late_as_it_wishes(
    stand_in: StandIn, tmp_path: Path
) -> None:
    stand_in.interfere = first([Interference(429, {"Retry-After": "5"}), Interference(502)], "/resolve/")  # type: ignore[assignment]
    hub, pauses = patient(stand_in)
    part, _ = download_file(hub, source(stand_in), tmp_path, lambda arrived: None)
    assert part.read_bytes() == ROWS
    assert pauses == [5.0, 2.0]


def test_the_rest_is_asked_for_only_if_the_file_is_the_same(stand_in: StandIn, tmp_path: Path) -> None:
    wanted = source(stand_in)
    stand_in.cut_after = 40_000
    with pytest.raises(TransientError):
        download_file(patient(stand_in, attempts=1)[0], wanted, tmp_path, lambda arrived: None)
    stand_in.cut_after = None
    download(stand_in, tmp_path, wanted)
    assert stand_in.asked[-1].headers["if-range"] == f'"{sha256(ROWS)}"'
    assert stand_in.asked[-1].headers["accept-encoding"] == "identity"


def test_a_file_that_changed_while_it_was_interrupted_is_never_spliced(
    stand_in: StandIn, tmp_path: Path
) -> None:
    """The first half was another file's; the server's ETag says so, and the whole file comes."""
    wanted = source(stand_in)
    stand_in.cut_after = 40_000
    with pytest.raises(TransientError):
        download_file(patient(stand_in, attempts=1)[0], wanted, tmp_path, lambda arrived: None)
    [part] = tmp_path.glob("*.part")
    part.write_bytes(b"x" * part.stat().st_size)
    part.with_suffix(".etag").write_text(json.dumps('"another"'))
    stand_in.cut_after, arrived = None, [part.stat().st_size]
    whole, _ = download_file(patient(stand_in)[0], wanted, tmp_path, arrived.append)
    assert whole.read_bytes() == ROWS
    assert sum(arrived) == len(ROWS)


def test_the_answer_with_another_etag_is_not_appended(stand_in: StandIn, tmp_path: Path) -> None:
    """A server that ignores If-Range, and has another version than before."""
    wanted = source(stand_in)
    part, _ = download(stand_in, tmp_path, wanted)
    part.write_bytes(ROWS[:50_000])
    part.with_suffix(".etag").write_text(json.dumps('"before"'))
    rest = {"ETag": '"after"', "Content-Range": f"bytes 50000-{len(ROWS) - 1}/{len(ROWS)}"}
    answers = [Interference(206, rest, ROWS[50_000:])]
    stand_in.interfere = first(answers, "/resolve/")  # type: ignore[assignment]
    hub, pauses = patient(stand_in)
    arrived = [50_000]
    whole, _ = download_file(hub, wanted, tmp_path, arrived.append)
    assert whole.read_bytes() == ROWS
    assert (arrived[1], len(pauses)) == (-50_000, 1)


def test_a_part_that_is_damaged_on_disk_is_fetched_again_from_the_first_byte(
    stand_in: StandIn, tmp_path: Path
) -> None:
    wanted = source(stand_in)
    part, _ = download(stand_in, tmp_path, wanted)
    part.write_bytes(b"x" * 1000 + ROWS[1000:60_000])
    assert download(stand_in, tmp_path, wanted)[0].read_bytes() == ROWS
    part.write_bytes(ROWS + b"more")
    assert download(stand_in, tmp_path, wanted)[0].read_bytes() == ROWS


def test_a_server_without_ranges_costs_bytes_and_nothing_else(stand_in: StandIn, tmp_path: Path) -> None:
    wanted = source(stand_in)
    part, _ = download(stand_in, tmp_path, wanted)
    part.write_bytes(ROWS[:50_000])

    def ignore_range(asked: Asked) -> Interference | None:
        return Interference(200, {"ETag": '"e"'}, ROWS) if "/resolve/" in asked.path else None

    stand_in.interfere, arrived = ignore_range, [50_000]
    whole, _ = download_file(patient(stand_in)[0], wanted, tmp_path, arrived.append)
    assert whole.read_bytes() == ROWS
    assert sum(arrived) == len(ROWS)


@pytest.mark.parametrize("path", ["main/test.jsonl", "README.md"])
def test_other_bytes_of_the_same_length_are_refused_by_hash(
    stand_in: StandIn, tmp_path: Path, path: str
) -> None:
    wanted = source(stand_in, path)
    files = next(iter(stand_in.repositories[NAME].commits.values()))
    files[path] = files[path].replace(b"r", b"R", 1)
    with pytest.raises(
        DataError, match=rf"{path} at {wanted.commit} has [\d,]+ bytes with sha256 \w+, the hub's"
    ):
        download(stand_in, tmp_path, wanted)
    assert len(stand_in.paths(f"/resolve/{wanted.commit}/{path}")) == 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("changed", "words"),
    [(ROWS[:-100], "is 82,790 bytes long now"), (ROWS + b"more", "is 82,894 bytes long now")],
)
def test_a_file_of_another_length_is_refused(
    stand_in: StandIn, tmp_path: Path, changed: bytes, words: str
) -> None:
    wanted = source(stand_in)
    next(iter(stand_in.repositories[NAME].commits.values()))["main/test.jsonl"] = changed
    with pytest.raises(DataError, match=words):
        download(stand_in, tmp_path, wanted)


def test_a_file_in_the_place_of_the_work_folder_is_named(stand_in: StandIn, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("a file where the folder must be")
    with pytest.raises(ConfigError, match=r"EEXIST|ENOTDIR"):
        download(stand_in, blocked)
