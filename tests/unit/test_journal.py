"""The journal: what was answered is never asked again."""

from pathlib import Path

import pytest

from a360.results.journal import Answer, Journal, request_hash
from a360.results.places import journal_prefix
from a360.storage import open_store


def journal(tmp_path: Path, attempt: str, **settings: float) -> Journal:
    return Journal(open_store(str(tmp_path)), "0123456789abcdef", attempt, **settings)  # type: ignore[arg-type]


ANSWERS = {
    "likelihood": Answer((-1.2345678901234567, True), 5, False),
    "rolling": Answer(-12345.678901234567, 2048, False),
    "text": Answer("a\n\u2603 \ud7ff", 9, True),
}


def test_flushed_answers_come_back_exactly(tmp_path: Path) -> None:
    first = journal(tmp_path, "one")
    for kind, answer in ANSWERS.items():
        first.add(request_hash(kind, ["context", " x"]), answer)
    first.flush()
    second = journal(tmp_path, "two")
    assert second.load() == 3
    for kind, answer in ANSWERS.items():
        assert second.known(request_hash(kind, ["context", " x"]), 0) == answer


def test_unflushed_answers_are_lost_and_flushed_ones_are_not(tmp_path: Path) -> None:
    first = journal(tmp_path, "one", flush_requests=2)
    for number in range(5):
        first.add(request_hash("k", [number]), ANSWERS["likelihood"])
    assert journal(tmp_path, "two").load() == 4


def test_a_flush_is_due_after_its_time(tmp_path: Path) -> None:
    journal(tmp_path, "one", flush_seconds=0.0).add(b"r" * 16, ANSWERS["rolling"])
    assert journal(tmp_path, "two").load() == 1


def test_repeated_requests_keep_one_answer_for_each_occurrence(tmp_path: Path) -> None:
    request = request_hash("generate_until", ["tell me", {"temperature": 0.8}])
    first = journal(tmp_path, "one")
    for text in ("one", "two"):
        first.add(request, Answer(text, 1, False))
    first.flush()
    second = journal(tmp_path, "two")
    second.load()
    second.add(request, Answer("three", 1, False))
    second.flush()
    third = journal(tmp_path, "three")
    third.load()
    answers = [third.known(request, occurrence) for occurrence in range(4)]
    assert [answer.response if answer else None for answer in answers] == ["one", "two", "three", None]


def test_a_flush_interrupted_by_another_loses_nothing(tmp_path: Path) -> None:
    first = journal(tmp_path, "one")
    for number in range(3):
        first.add(request_hash("k", [number]), ANSWERS["likelihood"])
    write = first._store.write
    nested: list[str] = []

    def write_while_interrupted(key: str, data: bytes) -> None:
        if not nested:
            nested.append(key)
            first.flush()  # what the SIGTERM handler does in the middle of a flush
        write(key, data)

    first._store.write = write_while_interrupted  # type: ignore[method-assign]
    first.flush()
    assert journal(tmp_path, "two").load() == 3


def test_a_flush_that_never_ends_was_finished_by_the_one_that_interrupted_it(tmp_path: Path) -> None:
    first = journal(tmp_path, "one")
    for number in range(3):
        first.add(request_hash("k", [number]), ANSWERS["likelihood"])
    write = first._store.write
    nested: list[str] = []

    def write_until_terminated(key: str, data: bytes) -> None:
        if nested:
            write(key, data)
            return
        nested.append(key)
        first.flush()
        raise SystemExit(143)  # SIGTERM's default handler, restored and raised again

    first._store.write = write_until_terminated  # type: ignore[method-assign]
    with pytest.raises(SystemExit):
        first.flush()
    assert journal(tmp_path, "two").load() == 3


def test_requests_differ_by_kind_and_every_argument() -> None:
    hashes = {
        request_hash("loglikelihood", ["a", "b"]),
        request_hash("loglikelihood", ["ab", ""]),
        request_hash("loglikelihood_rolling", ["a", "b"]),
        request_hash("generate_until", ["a", {"until": ["\n"], "do_sample": False}]),
        request_hash("generate_until", ["a", {"until": ["\n"], "do_sample": True}]),
    }
    assert len(hashes) == 5
    reordered = request_hash("generate_until", ["a", {"do_sample": False, "until": ["\n"]}])
    assert reordered in hashes


def test_the_requests_of_a_damaged_journal_file_are_asked_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for attempt, request in (("one", b"r" * 16), ("two", b"s" * 16)):
        written = journal(tmp_path, attempt)
        written.add(request, ANSWERS["text"])
        written.flush()
    place = tmp_path / journal_prefix("0123456789abcdef") / "one" / "000000.parquet"
    place.write_bytes(place.read_bytes()[:-7])
    third = journal(tmp_path, "three")
    assert third.load() == 1
    assert third.known(b"r" * 16, 0) is None
    assert third.known(b"s" * 16, 0) == ANSWERS["text"]
    assert "one/000000.parquet" in caplog.text
