"""Progress of pods: whole numbers that Argo takes, written in one step, and never a reason to fail."""

import re
from pathlib import Path

import pytest

import jobs.progress
from a360.pairs import Event
from jobs.progress import throttled, watch_pairs, write_progress

PAIRS = ["c/boolq", "c/wikitext"]


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "progress"
    monkeypatch.setenv("ARGO_PROGRESS_FILE", str(path))
    return path


def test_progress_is_done_of_total(file: Path) -> None:
    write_progress(3, 7)
    assert file.read_text() == "3/7"
    write_progress(9, 7)
    assert file.read_text() == "7/7", "Argo refuses more than all"
    assert list(file.parent.iterdir()) == [file]


def test_there_is_no_total_of_nothing(file: Path) -> None:
    write_progress(0, 0)
    assert not file.exists()


def test_progress_that_cannot_be_written_fails_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ARGO_PROGRESS_FILE", str(tmp_path / "absent" / "progress"))
    write_progress(1, 2)
    monkeypatch.delenv("ARGO_PROGRESS_FILE")
    write_progress(1, 2)
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_not_written_for_every_request(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[tuple[int, int]] = []
    monkeypatch.setattr(jobs.progress, "write_progress", lambda *of: written.append(of))
    write = throttled()
    for done in range(1001):
        write(done, 1000)
    assert written == [(0, 1000), (1000, 1000)]


def test_pairs_count_by_their_requests_and_reach_all(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(jobs.progress, "WRITE_SECONDS", 0.0)
    take, seen = watch_pairs(PAIRS), []
    for event in (
        Event("staging", PAIRS[0]),
        Event("evaluating", PAIRS[0], 1, 4),
        Event("evaluating", PAIRS[0], 4, 4),
        Event("committing", PAIRS[0]),
        Event("generated", PAIRS[0]),
        Event("failed", PAIRS[1], message="DataError: torn"),
    ):
        take(event)
        seen.append(file.read_text())
    assert seen == ["0/200", "24/200", "99/200", "99/200", "100/200", "200/200"]
    assert all(re.fullmatch(r"\d+/\d+", text) for text in seen)
    said = capsys.readouterr().err.splitlines()
    assert said == [
        "staging: c/boolq", "evaluating: c/boolq 4/4", "committing: c/boolq", "generated: c/boolq",
        "failed: c/wikitext",
    ]  # fmt: skip
