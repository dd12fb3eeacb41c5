"""Rows that lack a field are refused before a template writes the word None."""

from types import SimpleNamespace

import datasets
import pytest

from a360.benchmarks import CATALOGUE
from a360.errors import DataError
from a360.evaluators.rows import verify_rows
from a360.evaluators.tasks import LoadedTasks

pytestmark = pytest.mark.integration

WHOLE: dict[str, object] = {
    "question": "q",
    "choices": {"text": ["a", "b"], "label": ["A", "B"]},
    "tags": ["x"],
}


def tasks(**splits: list[dict[str, object]]) -> LoadedTasks:
    config = SimpleNamespace(
        test_split="test", validation_split=None, training_split="train", fewshot_split=None
    )
    data = {split: datasets.Dataset.from_list(rows) for split, rows in splits.items()}
    return LoadedTasks(leaves={"arc": SimpleNamespace(config=config, dataset=data)}, groups={})


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"question": None}, "question"),
        ({"choices": {"text": ["a", None], "label": ["A", "B"]}}, "choices.text[1]"),
        ({"choices": {"text": None, "label": ["A", "B"]}}, "choices.text"),
        ({"tags": [None]}, "tags[0]"),
    ],
)
def test_a_missing_value_is_found_however_deep_it_lies(changes: dict[str, object], place: str) -> None:
    loaded = tasks(train=[WHOLE], test=[WHOLE, WHOLE | changes])
    with pytest.raises(DataError) as caught:
        verify_rows(CATALOGUE["boolq"], loaded)
    assert f"benchmark boolq, task arc, split test, row 1: {place} is null" in caught.value.message


def test_a_split_that_the_task_does_not_read_may_have_gaps() -> None:
    verify_rows(CATALOGUE["boolq"], tasks(test=[WHOLE], other=[WHOLE, WHOLE | {"question": None}]))


def test_whole_rows_are_fine() -> None:
    verify_rows(CATALOGUE["boolq"], tasks(train=[WHOLE], test=[WHOLE]))
