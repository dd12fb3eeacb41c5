"""The lock: what a task resolves to, not where lm-eval is installed."""

from types import SimpleNamespace

import pytest
from lm_eval.config.task import TaskConfig

from a360.evaluators.tasks import task_hash

pytestmark = pytest.mark.integration


def double(document: dict[str, int]) -> int:
    return 2 * document["x"]


def triple(document: dict[str, int]) -> int:
    return 3 * document["x"]


def hash_of(**changes: object) -> str:
    settings = {
        "task": "t", "output_type": "multiple_choice", "doc_to_text": double,
        "metadata": {"version": 1, "config_source": "/here/t.yaml"}, **changes,
    }  # fmt: skip
    return task_hash([SimpleNamespace(config=TaskConfig(**settings))])


def test_the_hash_does_not_depend_on_where_the_task_was_read() -> None:
    assert hash_of() == hash_of(metadata={"version": 1, "config_source": "/elsewhere/t.yaml"})


@pytest.mark.parametrize(
    "changes",
    [
        {"metadata": {"version": 2, "config_source": "/here/t.yaml"}},
        {"doc_to_text": triple},
        {"doc_to_text": "{{x}}"},
        {"target_delimiter": ""},
        {"fewshot_delimiter": "\n"},
        {"description": "Answer."},
        {"generation_kwargs": {"until": ["\n"]}},
        {"metric_list": [{"metric": "acc"}]},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_everything_that_determines_numbers_changes_the_hash(changes: dict[str, object]) -> None:
    assert hash_of(**changes) != hash_of()
