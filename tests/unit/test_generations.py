"""Generations in the store: committed once, found by name, verified before anybody grades them."""

from pathlib import Path

import pytest

from a360.errors import DataError, MissingError, TransientError
from a360.records import Generations
from a360.results.answers import AnswerRow, answer_table, parse_answers
from a360.results.commit import commit_generations, write_answers
from a360.results.places import CommitName, generations_place, parse_generations
from a360.results.read import list_commits, list_generations, read_generations, read_object
from a360.storage import Store, open_store
from tests.documents import make_checkpoint, make_result

KEY = "0123456789abcdef"
NAME = CommitName("demo-next-word", "step_1", KEY)
ROWS = (AnswerRow(0, 0, "f:1", "g", "a prompt", " an answer", {"word": "an"}),)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(str(tmp_path / "store"))


def generations(store: Store, **changes: object) -> Generations:
    result = make_result("demo-next-word", make_checkpoint(1), "k" * 16)
    shared = {name: getattr(result, name) for name in Generations.model_fields if hasattr(result, name)}
    answers = write_answers(store, KEY, answer_table(ROWS))
    del shared["schema_name"]
    return Generations.model_validate({**shared, "generation_key": KEY, "answers": answers, **changes})


def test_a_generation_is_found_by_its_name_and_read_back(store: Store) -> None:
    written = generations(store)
    assert commit_generations(store, written)
    assert list_generations(store, "m") == {NAME}
    assert read_generations(store, "m", NAME) == written
    assert parse_answers(read_object(store, written.answers), written.answers.key) == ROWS
    assert list(list_commits(store, "m")) == [], "a generation is no result"


def test_the_first_of_two_generations_stays(store: Store) -> None:
    assert commit_generations(store, generations(store, prompts=1))
    assert not commit_generations(store, generations(store, prompts=2))
    assert read_generations(store, "m", NAME).prompts == 1


def test_its_place_is_read_back_and_strangers_are_no_generation(store: Store) -> None:
    place = generations_place("m", NAME)
    assert place == f"v1/generations/m/demo-next-word/step_1@{KEY}.json"
    assert parse_generations("m", place) == NAME
    for stranger in ("v1/generations/m/x", f"{place}.part", "v1/generations/m/b/step_1.json"):
        assert parse_generations("m", stranger) is None


def test_a_generation_that_is_not_there_may_come(store: Store) -> None:
    with pytest.raises(TransientError, match=f"nothing to grade: step_1/demo-next-word: .* v1/.*{KEY}.json"):
        read_generations(store, "m", NAME)


def test_a_damaged_document_is_named(store: Store) -> None:
    store.write(generations_place("m", NAME), b"{}")
    with pytest.raises(DataError, match=r"document is damaged: .* expected a Generations"):
        read_generations(store, "m", NAME)


def test_answers_that_are_not_the_documents_are_refused_after_a_second_look(store: Store) -> None:
    answers = generations(store).answers
    whole = store.read(answers.key)
    store.write(answers.key, whole[:-1] + b"x")
    reads: list[str] = []
    read = store.read

    def counting_read(key: str, start: int | None = None, length: int | None = None) -> bytes:
        reads.append(key)
        return read(key, start, length)

    store.read = counting_read  # type: ignore[method-assign]
    with pytest.raises(DataError, match=r"object is damaged: v1/objects/.*answers-.*promises [\d,]+ bytes"):
        read_object(store, answers)
    assert reads == [answers.key] * 2
    store.delete(answers.key)
    with pytest.raises(MissingError):
        read_object(store, answers)
