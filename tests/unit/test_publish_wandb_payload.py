"""What W&B is told: ids that follow the content, steps that W&B does not drop, flat keys."""

import json
import os
import re
from pathlib import Path

import pytest

from a360.identity import canonical_json
from a360.publish.wandb_payload import make_payloads
from a360.records import Result
from a360.results.collect import Collected
from tests.published import SMALL, SMALL_VIEWS, Sketch, make_collected, make_views

GOLDEN = Path(__file__).resolve().parents[1] / "golden/publish_wandb.json"
COLLECTED = make_collected()
VIEWS = make_views(COLLECTED)
DOWNSTREAM, PERPLEXITY = make_payloads(COLLECTED, VIEWS)


def changed(collected: Collected, **update: object) -> Collected:
    """The last result with other fields."""
    *others, last = collected.results
    results = (*others, Result.model_validate({**last.model_dump(), **update}))
    return Collected(plan=collected.plan, results=results, coverage=collected.coverage)


def test_each_kind_of_benchmark_is_one_run() -> None:
    assert (DOWNSTREAM.name, PERPLEXITY.name) == ("downstream_eval", "perplexity_eval")
    assert {key.split("/")[0] for row in PERPLEXITY.rows for key in row if "/" in key} == {
        "demo-wikitext",
        "demo-heldout-perplexity",
    }


def test_a_kind_without_results_has_no_run() -> None:
    only = make_collected(Sketch(benchmarks=("demo-boolq",)))
    assert [payload.name for payload in make_payloads(only, make_views(only))] == ["downstream_eval"]


def test_the_id_names_model_kind_and_content() -> None:
    assert re.fullmatch(r"demo-llama-3m-downstream_eval-[0-9a-f]{10}", DOWNSTREAM.run_id)
    assert DOWNSTREAM.run_id.endswith(str(DOWNSTREAM.config["a360_digest"]))


def test_equal_results_in_another_order_have_the_same_payload() -> None:
    other = Collected(
        plan=COLLECTED.plan, results=tuple(reversed(COLLECTED.results)), coverage=COLLECTED.coverage
    )
    assert canonical_json(make_payloads(other, VIEWS)) == canonical_json((DOWNSTREAM, PERPLEXITY))


def test_one_other_value_gives_another_id_of_its_kind_only() -> None:
    metrics = [m.model_dump() for m in COLLECTED.results[-1].metrics]
    metrics[0]["value"] += 1e-12
    downstream, perplexity = make_payloads(changed(COLLECTED, metrics=metrics), VIEWS)
    assert downstream.run_id == DOWNSTREAM.run_id
    assert perplexity.run_id != PERPLEXITY.run_id


def test_another_protocol_gives_another_id() -> None:
    protocol = {**COLLECTED.results[-1].protocol.model_dump(), "dtype": "bfloat16"}
    _, perplexity = make_payloads(changed(COLLECTED, protocol=protocol), VIEWS)
    assert perplexity.run_id != PERPLEXITY.run_id


@pytest.mark.parametrize("model", ["org/model", "a:b;c,d#e?f'g", "m" * 200])
def test_the_id_of_any_model_is_one_that_wandb_takes(model: str) -> None:
    payload = make_payloads(make_collected(Sketch(model=model, benchmarks=("demo-boolq",))), VIEWS)[0]
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,128}", payload.run_id)
    assert payload.group == model


def test_a_model_with_a_slash_can_be_the_project() -> None:
    collected = make_collected(SMALL)
    assert {payload.project for payload in make_payloads(collected, SMALL_VIEWS, "org/model")} == {
        "org-model"
    }


def test_rows_are_ordered_and_steps_are_the_training_steps() -> None:
    assert DOWNSTREAM.steps == [row["training_step"] for row in DOWNSTREAM.rows] == sorted(DOWNSTREAM.steps)
    assert DOWNSTREAM.config["a360_step"] == "training step"
    assert DOWNSTREAM.config["a360_rows"] == len(DOWNSTREAM.rows) == 11


def test_steps_that_start_again_in_a_second_phase_become_positions() -> None:
    sketch = Sketch(steps=(0, 1, 2, 3), gaps=False, benchmarks=("demo-boolq",))
    collected = make_collected(sketch)
    results = tuple(
        r if r.step < 2 else r.model_copy(update={"phase": 2, "step": r.step - 2}) for r in collected.results
    )
    [payload] = make_payloads(Collected(plan=collected.plan, results=results, coverage=()), VIEWS)
    assert [(row["phase"], row["training_step"]) for row in payload.rows] == [(1, 0), (1, 1), (2, 0), (2, 1)]
    assert (payload.steps, payload.config["a360_step"]) == ([0, 1, 2, 3], "position")


def test_the_x_axis_is_tokens_where_all_are_known() -> None:
    assert DOWNSTREAM.x == "tokens"
    unknown = make_payloads(changed(make_collected(SMALL), tokens=None), SMALL_VIEWS)
    assert {payload.x for payload in unknown} == {"training_step", "tokens"}


def test_the_summary_is_flat_and_follows_the_direction() -> None:
    keys = {key.removeprefix("demo-heldout-perplexity/bits_per_byte.") for key in PERPLEXITY.summary}
    assert {"last", "min", "best_ckpt"} <= keys
    assert DOWNSTREAM.summary["demo-mmlu-5shot/acc.max"] == max(
        row["demo-mmlu-5shot/acc"] for row in DOWNSTREAM.rows
    )
    assert DOWNSTREAM.summary["demo-mmlu-5shot/acc.last"] == DOWNSTREAM.rows[-1]["demo-mmlu-5shot/acc"]
    best = max(DOWNSTREAM.rows, key=lambda row: float(row["demo-mmlu-5shot/acc"]))
    assert DOWNSTREAM.summary["demo-mmlu-5shot/acc.best_ckpt"] == best["checkpoint"]


def test_every_metric_of_a_row_belongs_to_a_prefix_with_its_axis() -> None:
    for payload in (DOWNSTREAM, PERPLEXITY):
        keys = {key for row in payload.rows for key in row} - {
            "checkpoint",
            "phase",
            "training_step",
            "tokens",
        }
        assert all(any(key.startswith(f"{prefix}/") for prefix in payload.prefixes) for key in keys)


@pytest.mark.golden
def test_the_payload_is_the_golden_one() -> None:
    text = canonical_json(
        [payload._asdict() for payload in make_payloads(make_collected(SMALL), SMALL_VIEWS)]
    )
    if os.environ.get("A360_GOLDEN") == "write":
        GOLDEN.write_text(json.dumps(json.loads(text), indent=1, sort_keys=True) + "\n")
    assert text == canonical_json(json.loads(GOLDEN.read_text()))
