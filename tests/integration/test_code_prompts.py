"""Prompts of programs, compared with what lm-eval's own task file makes of the same rows."""

from pathlib import Path
from typing import Any

import lm_eval
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from lm_eval.utils import apply_template

from a360.benchmarks import Prompts, find_benchmark
from a360.datasets.prompts import Prompt, read_prompts
from a360.demo.programs import mbpp_rows
from a360.errors import DataError

pytestmark = pytest.mark.integration

MBPP = Path(lm_eval.__file__).parent / "tasks" / "mbpp" / "mbpp.yaml"


class Loader(yaml.SafeLoader):
    """Reads a task file without loading the functions that it names: they fetch a metric and run programs."""


Loader.add_constructor("!function", lambda loader, node: str(node.value))


def read(directory: Path, **splits: list[dict[str, Any]]) -> list[Prompt]:
    (directory / "full").mkdir()
    for split, rows in splits.items():
        pq.write_table(pa.Table.from_pylist(rows), directory / "full" / f"{split}-0.parquet")
    prompts = find_benchmark("mbpp-harness").prompts
    assert prompts is not None
    return list(read_prompts(directory, sorted(f"full/{split}-0.parquet" for split in splits), prompts))


def test_problems_of_mbpp_are_shown_as_lm_eval_shows_them_behind_three_that_are_solved(
    tmp_path: Path,
) -> None:
    rows, config = mbpp_rows(), yaml.load(MBPP.read_text(), Loader)
    assert (config["num_fewshot"], config["target_delimiter"]) == (3, "")
    asked, answered = config["doc_to_text"], config["doc_to_target"]
    before = "".join(
        apply_template(asked, row) + apply_template(answered, {**row, "is_fewshot": True}) + "\n\n"
        for row in rows["prompt"]
    )
    other = {**rows["prompt"][0], "task_id": 5, "text": "Nobody asks this."}
    found = read(tmp_path, test=list(rows["test"]), prompt=[other, *reversed(rows["prompt"])])
    assert [prompt.text for prompt in found] == [before + apply_template(asked, row) for row in rows["test"]]
    assert "\r\n" in before
    benchmark = find_benchmark("mbpp-harness")
    assert benchmark.decoding is not None
    assert list(benchmark.decoding.until) == config["generation_kwargs"]["until"]


def test_a_missing_example_is_named(tmp_path: Path) -> None:
    rows = mbpp_rows()
    with pytest.raises(DataError, match=r"found none with the task_id 2, 4 in 1 files \*/prompt-\*"):
        read(tmp_path, test=list(rows["test"]), prompt=[rows["prompt"][1]])


def test_a_problem_with_two_tests_is_refused_by_its_place(tmp_path: Path) -> None:
    rows = mbpp_rows()
    tests: Any = rows["test"][0]["test_list"]
    short = {**rows["test"][0], "test_list": tests[:2]}
    with pytest.raises(
        DataError, match=r"test-0.parquet:1: test_list is too short: found 2, expected at least 3"
    ):
        read(tmp_path, test=[short], prompt=list(rows["prompt"]))


@pytest.mark.parametrize("settings", [{"examples": (2,)}, {"example_files": "*"}, {"template": "mbpp-tests"}])
def test_examples_belong_to_one_template(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="the template of solved examples, and no other"):
        Prompts(**settings)
