"""Rows that would be scored for nothing are refused by name before the model is asked anything."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import datasets
import pytest

from a360.benchmarks import CATALOGUE, find_benchmark
from a360.datasets.configurations import index_configurations
from a360.datasets.mirror import INDEX_NAME
from a360.errors import DataError
from a360.evaluators.tasks import VerifiedTask, load_tasks
from tests.altered_rows import Alter

pytestmark = pytest.mark.integration

Row = dict[str, Any]
WHOLE: Row = {
    "question": "q",
    "choices": {"text": ["a", "b"], "label": ["A", "B"]},
    "tags": ["x"],
    "note": "n",
}


def load(
    shots: int | None = None, changes: dict[str, object] | None = None, **splits: list[Row]
) -> VerifiedTask:
    """A task of its own that reads every field but ``note``."""
    data = datasets.DatasetDict({split: datasets.Dataset.from_list(rows) for split, rows in splits.items()})
    config: dict[str, object] = {
        "task": "arc",
        "benchmark": replace(CATALOGUE["boolq"], shots=shots),
        "custom_dataset": lambda **_: data,
        "output_type": "multiple_choice",
        "training_split": "train",
        "test_split": "test",
        "doc_to_text": "{{question}} {{tags|join}}",
        "doc_to_choice": "{{choices.text}}",
        "doc_to_target": "{{choices.label.index('B')}}",
        "metric_list": [{"metric": "acc", "aggregation": "mean", "higher_is_better": True}],
        "metadata": {},
        **(changes or {}),
    }
    return VerifiedTask(config)


@pytest.mark.parametrize("row", [0, 1])
@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"question": None}, "question"),
        ({"choices": {"text": ["a", None], "label": ["A", "B"]}}, "choices.text[1]"),
        ({"choices": {"text": None, "label": ["A", "B"]}}, "choices.text"),
        ({"tags": [None]}, "tags[0]"),
    ],
)
def test_a_missing_value_is_found_however_deep_it_lies(changes: Row, place: str, row: int) -> None:
    rows = [WHOLE, WHOLE, WHOLE]
    rows[row] = WHOLE | changes
    with pytest.raises(DataError) as caught:
        load(train=[WHOLE], test=rows)
    assert f"benchmark boolq, task arc, split test, row {row}: {place} is null" in caught.value.message


def test_a_field_that_the_task_does_not_read_may_be_null() -> None:
    load(train=[WHOLE], test=[WHOLE, WHOLE | {"note": None}])


def test_a_split_that_the_task_does_not_read_may_have_gaps() -> None:
    load(train=[WHOLE], test=[WHOLE], other=[WHOLE, WHOLE | {"question": None}])


def test_examples_may_have_gaps_only_where_none_are_drawn() -> None:
    gaps = [WHOLE, WHOLE | {"question": None}]
    load(shots=0, train=gaps, test=[WHOLE])
    with pytest.raises(DataError, match="split train, row 1: question is null"):
        load(shots=1, train=gaps, test=[WHOLE])


def test_examples_come_from_fewshot_split_then_samples_then_training_validation_and_test() -> None:
    splits: dict[str, list[Row]] = {
        split: [WHOLE | {"question": split}] for split in ("few", "train", "validation", "test")
    }
    config: dict[str, object] = {
        "fewshot_split": "few",
        "fewshot_config": {"samples": [WHOLE | {"question": "samples"}]},
        "training_split": "train",
        "validation_split": "validation",
        "test_split": "test",
    }
    for field in list(config):
        task = load(shots=1, changes=config, **splits)
        [example] = task.fewshot_docs()
        assert example["question"] == {"fewshot_split": "few", "fewshot_config": "samples"}.get(
            field, field.removesuffix("_split").replace("training", "train")
        )
        if field not in ("fewshot_config", "test_split"):
            gap = {example["question"]: [WHOLE | {"question": None}]}
            with pytest.raises(DataError, match=f"split {example['question']}, row 0: question is null"):
                load(shots=1, changes=config, **(splits | gap))
        config[field] = None


def test_too_few_rows_to_draw_examples_from_are_refused() -> None:
    load(shots=2, train=[WHOLE, WHOLE], test=[WHOLE])
    with pytest.raises(DataError, match=r"too few rows .* split train: found 2, expected 3 or more"):
        load(shots=3, train=[WHOLE, WHOLE], test=[WHOLE])


def test_one_row_more_than_shots_is_needed_where_lm_eval_leaves_the_evaluated_one_out(alter: Alter) -> None:
    """It takes the split of examples for the evaluated one where a task names neither."""
    alter("allenai/winogrande/winogrande_xl/train*", lambda rows: rows.__delitem__(slice(5, None)))
    with pytest.raises(DataError, match=r"split train: found 5, expected 6 or more"):
        load_tasks(find_benchmark("demo-winogrande-5shot"))


def test_whole_rows_are_fine() -> None:
    assert load(train=[WHOLE], test=[WHOLE]).multiple_input == 0


def put(**fields: object) -> Callable[[Row], None]:
    return lambda row: row.update(fields)


def put_in(structure: str, **fields: object) -> Callable[[Row], None]:
    return lambda row: row[structure].update(fields)


NO_CHOICE = "its answer is no choice: found"
BOOLQ, COPA = "aps/super_glue/boolq/validation*", "aps/super_glue/copa/validation*"
HELLASWAG, SIQA = "Rowan/hellaswag/default/validation*", "lighteval/siqa/default/validation*"
GSM8K, TRIVIA = "openai/gsm8k/main/test*", "mandarjoshi/trivia_qa/rc.nocontext/validation*"
DROP = "EleutherAI/drop/default/validation*"
TRUTHFUL = "truthfulqa/truthful_qa/multiple_choice/validation*"


@pytest.mark.parametrize("row", [0, 1])
@pytest.mark.parametrize(
    ("benchmark", "files", "change", "fault"),
    [
        ("boolq", BOOLQ, put(label=7), f"split validation, row ROW: {NO_CHOICE} 7, expected 0 to 1"),
        ("mmlu-0shot", "cais/mmlu/anatomy/test*", put(answer=-1), f"split test, row ROW: {NO_CHOICE} -1"),
        ("mmlu-5shot", "cais/mmlu/anatomy/dev*", put(answer=-1), f"split dev, row ROW: {NO_CHOICE} -1"),
        ("piqa", "baber/piqa/default/validation*", put(label=-1), f"{NO_CHOICE} -1"),
        ("swag", "allenai/swag/regular/validation*", put(label=-1), f"{NO_CHOICE} -1"),
        ("hellaswag-0shot", HELLASWAG, put(label="4"), f"{NO_CHOICE} 4"),
        ("social-iqa", SIQA, put(label="0"), f"{NO_CHOICE} '-1'"),
        ("siqa-llm360", SIQA, put(label="4"), f"{NO_CHOICE} 3"),
        ("copa", COPA, put(label=-1), f"{NO_CHOICE} -1"),
        ("winogrande-0shot", "allenai/winogrande/winogrande_xl/validation*", put(answer="3"), "'3'"),
        ("arc-easy", "allenai/ai2_arc/ARC-Easy/test*", put(answerKey="Z"), "'Z'"),
        ("race", "EleutherAI/race/high/test*", put(problems="[{"), "SyntaxError"),
        ("social-iqa", SIQA, put(answerB="  "), "continuation is empty: text 1 is '  ', expected"),
        ("copa", COPA, put(choice2=""), "continuation is empty: found nothing in choice2, expected"),
        (
            "crows-pairs", "jannalu/crows_pairs_multilingual/english/test*", put(sent_more=""),
            "task crows_pairs_english_age, split test, row ROW: continuation is empty: text 0 is ''",
        ),
        ("gsm8k-5shot", GSM8K, put(answer=""), "continuation is empty"),
        ("gsm8k-5shot", GSM8K, put(answer="It is 5."), "its own answer is not right by exact_match"),
        ("triviaqa-5shot", TRIVIA, put_in("answer", aliases=[]), "continuation is empty: found no text"),
        ("triviaqa-5shot", TRIVIA, put_in("answer", aliases=None), "answer.aliases is null"),
        ("truthfulqa-mc2", TRUTHFUL, put_in("mc2_targets", labels=None), "mc2_targets.labels is null"),
        ("hellaswag-0shot", HELLASWAG, put(ctx_a=None), "ctx_a is null"),
        ("toxigen", "skg/toxigen-data/annotated/test*", put(toxicity_ai=None), "toxicity_ai is null"),
        ("drop-3shot", DROP, put_in("answer", number=None), "answer.number is null"),
    ],
)  # fmt: skip
def test_a_row_that_cannot_be_scored_is_refused_by_task_split_row_and_value(
    benchmark: str, files: str, change: Callable[[Row], None], fault: str, row: int, alter: Alter
) -> None:
    alter(files, lambda rows: change(rows[row]))
    with pytest.raises(DataError) as caught:
        load_tasks.__wrapped__(find_benchmark(f"demo-{benchmark}"))
    assert caught.value.exit_code == 3
    assert f"benchmark demo-{benchmark}, task " in caught.value.message
    assert f"row {row}: " in caught.value.message
    assert fault.replace("ROW", str(row)) in caught.value.message


@pytest.mark.parametrize(
    ("benchmark", "files", "change"),
    [
        ("boolq", BOOLQ, put(idx=None)),
        ("hellaswag-0shot", HELLASWAG, put(source_id=None)),
        ("triviaqa-5shot", TRIVIA, put(question_source=None)),
    ],
)
def test_nulls_in_columns_that_no_template_reads_are_fine(
    benchmark: str, files: str, change: Callable[[Row], None], alter: Alter
) -> None:
    alter(files, lambda rows: change(rows[0]))
    assert len(load_tasks.__wrapped__(find_benchmark(f"demo-{benchmark}")).leaves) == 1


def test_a_null_in_examples_that_lm_eval_processes_is_refused_also_without_shots(alter: Alter) -> None:
    alter("Rowan/hellaswag/default/train*", lambda rows: rows[2].update(ctx_a=None))
    with pytest.raises(DataError, match="split train, row 2: ctx_a is null"):
        load_tasks.__wrapped__(find_benchmark("demo-hellaswag-0shot"))


def test_a_split_without_rows_is_refused(alter: Alter) -> None:
    alter("jannalu/crows_pairs_multilingual/english/test*", lambda rows: [
        row.update(bias_type="gender") for row in rows if row["bias_type"] == "age"
    ])  # fmt: skip
    with pytest.raises(DataError, match=r"no rows: .* task crows_pairs_english_age, split test"):
        load_tasks.__wrapped__(find_benchmark("demo-crows-pairs"))


@pytest.mark.parametrize("split", ["dev", "train", "validation", "validation of the card"])
def test_a_missing_split_is_refused_by_name(split: str, demo_mirror: Path, alter: Alter) -> None:
    places = {
        "dev": ("mmlu-5shot", "cais/mmlu/anatomy"),
        "train": ("arc-challenge-25shot", "allenai/ai2_arc/ARC-Challenge"),
        "validation": ("boolq", "aps/super_glue/boolq"),
        "validation of the card": ("boolq", "aps/super_glue/boolq"),
    }
    benchmark, place = places[split]
    name, _, of_the_card = split.partition(" ")
    alter.copy(place)
    if of_the_card:
        card = Path("aps/super_glue/README.md")
        line = "  - split: validation\n    path: boolq/validation-*\n"
        assert line in card.read_text()
        card.write_text(card.read_text().replace(line, ""))
        index = index_configurations(card.read_bytes())
        assert index
        card.with_name(INDEX_NAME).write_bytes(index)
    else:
        [path] = Path(place).glob(f"{name}*")
        path.unlink()
    with pytest.raises(
        DataError, match=f"split {name} of {place} is missing: benchmark demo-{benchmark}, task"
    ):
        load_tasks.__wrapped__(find_benchmark(f"demo-{benchmark}"))


def test_a_broken_parquet_file_is_refused_by_name(alter: Alter) -> None:
    alter.copy("aps/super_glue/boolq")
    [path] = Path("aps/super_glue/boolq").glob("train*")
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(
        DataError,
        match=rf"rows cannot be read: benchmark demo-boolq, task boolq, data .*{path}, after row 0: ",
    ) as caught:
        load_tasks.__wrapped__(find_benchmark("demo-boolq"))
    assert "a360 data verify" in str(caught.value.hint)


def test_a_broken_jsonl_line_is_refused_by_file_and_line(alter: Alter) -> None:
    alter.as_jsonl("baber/piqa/default")
    assert load_tasks.__wrapped__(find_benchmark("demo-piqa"))
    path = Path("baber/piqa/default/validation-00000-of-00001.jsonl")
    lines = path.read_text().splitlines()
    lines[2] = lines[2][:-5]
    path.write_text("\n".join(lines))
    alter.forget_cache()
    with pytest.raises(DataError, match=rf"benchmark demo-piqa, .*{path}, line 3: "):
        load_tasks.__wrapped__(find_benchmark("demo-piqa"))
