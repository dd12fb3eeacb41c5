"""MT-bench from end to end: a model converses, a judge on the loopback interface rates."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch
import yaml
from transformers import AutoModelForCausalLM, AutoTokenizer

from a360.demo.rows import write_mirror
from a360.demo.text import read_documents, split_documents
from a360.grade import Grader
from a360.pairs import PairOutcome
from a360.records import Plan
from a360.results.places import journal_prefix
from a360.results.read import list_commits, read_failures
from a360.storage import open_store
from a360.suite import load_suite
from a360.sweep import plan_sweep, store_plan
from tests.judge_server import KEY, Asked, good, judge_server, rating_of
from tests.plain_answers import ratings_of
from tests.servers import Answer
from tests.tiny_model import write_checkpoint

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
BENCHMARK = "demo-mt-bench"
CHATTING, MUTE = "step_1", "step_2"
PAIR = f"{CHATTING}/{BENCHMARK}"
TEMPLATE = (
    "{% for message in messages %}<{{ message.role }}> {{ message.content }}\n{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)
JUDGMENTS = 8


def python(*words: object, **changes: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "A360_JUDGE_API_KEY": KEY}
    command = [sys.executable, "-P", *map(str, words)]
    return subprocess.run(command, env={**environment, **changes}, capture_output=True, text=True)


def write_suite(directory: Path, world: Path, url: str, model: str = "gpt", **changes: object) -> Path:
    document: dict[str, Any] = {
        "name": "mt",
        "model": {
            "name": "tiny",
            "root": str(world / "checkpoints"),
            "naming": {"pattern": r"step_(?P<step>\d+)", "settle_seconds": 0},
            "dtype": "float32",
        },
        "store": {"uri": "store"},
        "data": {"mirror": str(world / "mirror")},
        "benchmarks": [BENCHMARK],
        "judge": {"model": model, "url": url, "attempts": 1, "workers": 1},
        "run": {"device": "cpu", "threads": 1, "batch_size": 4, "pairs_per_group": "all"},
    }
    for place, value in changes.items():
        section, _, name = place.partition("__")
        document[section][name] = value
    directory.mkdir(exist_ok=True)
    path = directory / "suite.yaml"
    path.write_text(yaml.safe_dump(document))
    return path


def stored_plan(suite_path: Path) -> Plan:
    suite = load_suite(str(suite_path))
    plan = plan_sweep(suite)
    store_plan(suite, plan)
    return plan


def evaluate(suite: Path, *pairs: str) -> subprocess.CompletedProcess[str]:
    plan = stored_plan(suite)
    named = ("--suite", suite, "--plan", plan.id, "--work-dir", suite.parent / "work")
    return python("-m", "jobs.evaluate", *named, "--pairs", *pairs)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A mirror, and two checkpoints of which the second's tokenizer has no chat template."""
    directory = tmp_path_factory.mktemp("mt")
    write_mirror(directory / "mirror", split_documents(read_documents())[1])
    for step, name in enumerate((CHATTING, MUTE), start=1):
        write_checkpoint(directory / "checkpoints" / name, seed=step)
    tokenizer = AutoTokenizer.from_pretrained(directory / "checkpoints" / CHATTING)
    tokenizer.chat_template = TEMPLATE
    tokenizer.save_pretrained(directory / "checkpoints" / CHATTING)
    return directory


@pytest.fixture(scope="module")
def answered(world: Path) -> Path:
    """A directory with a committed generation."""
    done = evaluate(write_suite(world / "answered", world, "http://127.0.0.1:9/v1"), PAIR)
    assert done.returncode == 0, done.stderr
    return world / "answered"


@pytest.fixture
def copy(answered: Path, world: Path, tmp_path: Path) -> Path:
    shutil.copytree(answered / "store", tmp_path / "store")
    return tmp_path


def grade(
    directory: Path, world: Path, say: Callable[[Asked], str | Answer] = good, model: str = "gpt"
) -> tuple[PairOutcome, list[Asked]]:
    """The outcome of grading the pair, in this process, and what the judge was asked."""
    with judge_server(say) as server:
        suite = write_suite(directory, world, server.url, model)
        plan = stored_plan(suite)
        [outcome] = Grader(load_suite(str(suite))).grade_group(plan, [PAIR])
    return outcome, server.asked


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A360_JUDGE_API_KEY", KEY)


def answers_of(directory: Path) -> list[dict[str, Any]]:
    [path] = (directory / "store/v1/generations").rglob(f"{BENCHMARK}/{CHATTING}@*.json")
    key = json.loads(path.read_text())["answers"]["key"]
    rows: list[dict[str, Any]] = pq.read_table(directory / "store" / key).to_pylist()
    return rows


def results_of(directory: Path) -> list[dict[str, Any]]:
    paths = sorted((directory / "store/v1/commits").rglob(f"{BENCHMARK}/{CHATTING}@*.json"))
    return [json.loads(path.read_text()) for path in paths]


def made(directory: Path, *kinds: str) -> dict[str, tuple[int, int]]:
    """Every stored file of some kinds with its inode and time: another one means that it was made again."""
    root = directory / "store/v1"
    paths = (path for kind in kinds for path in (root / kind).rglob("*") if path.is_file())
    return {str(path.relative_to(root)): (path.stat().st_ino, path.stat().st_mtime_ns) for path in paths}


# --- conversations -----------------------------------------------------------------------------------


def test_the_second_prompt_holds_the_models_own_first_answer_in_the_chat_template(answered: Path) -> None:
    rows = answers_of(answered)
    assert [json.loads(row["reference"])["turn"] for row in rows] == [1, 2] * 4
    for first, second in zip(rows[::2], rows[1::2], strict=True):
        asked = [json.loads(row["reference"])["question"] for row in (first, second)]
        assert first["prompt"] == f"<user> {asked[0]}\n<assistant>"
        assert second["prompt"] == (
            f"<user> {asked[0]}\n<assistant> {first['response'].strip()}\n<user> {asked[1]}\n<assistant>"
        )
    assert [row["group"] for row in rows[::2]] == ["writing", "math", "reasoning", "stem"]
    assert any(row["response"].strip() for row in rows)


def test_categories_with_temperature_0_are_answered_greedily_and_the_others_are_drawn(
    answered: Path, world: Path
) -> None:
    tokenizer = AutoTokenizer.from_pretrained(world / "checkpoints" / CHATTING)
    model: Any = AutoModelForCausalLM.from_pretrained(world / "checkpoints" / CHATTING, dtype=torch.float32)
    greedy: dict[str, list[bool]] = {}
    for row in answers_of(answered):
        shown = tokenizer(row["prompt"], return_tensors="pt").input_ids
        said = model.generate(shown, max_new_tokens=32, do_sample=False)[0, shown.shape[1] :]
        same = tokenizer.decode(said, skip_special_tokens=True) == row["response"]
        greedy.setdefault(row["group"], []).append(same)
    assert greedy["math"] == greedy["reasoning"] == [True, True]
    assert greedy["writing"] == [False, False]


def test_answers_do_not_depend_on_the_batch_and_a_kill_repeats_no_turn(
    answered: Path, world: Path, tmp_path: Path
) -> None:
    suite = write_suite(tmp_path, world, "http://127.0.0.1:9/v1", run__batch_size=1, run__journal_requests=1)
    log = tmp_path / "events.log"
    killed = python(ROOT / "tests" / "victim.py", suite, log, "evaluating", "7", "0")
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    kept = made(tmp_path, "journal")
    assert 5 <= len(kept) < JUDGMENTS, "killed in the second turn"
    done = evaluate(suite, PAIR)
    assert done.returncode == 0, done.stderr
    assert answers_of(tmp_path) == answers_of(answered)
    after = made(tmp_path, "journal")
    assert kept.items() <= after.items()
    assert len(after) == JUDGMENTS


def test_a_checkpoint_without_a_template_is_not_applicable_until_the_suite_names_one(
    world: Path, tmp_path: Path
) -> None:
    suite = write_suite(tmp_path, world, "http://127.0.0.1:9/v1")
    cells = {cell.checkpoint: cell for cell in stored_plan(suite).cells}
    assert (cells[CHATTING].state, cells[MUTE].state) == ("missing", "not applicable")
    assert str(cells[MUTE].reason).startswith("no chat template")
    named = write_suite(tmp_path, world, "http://127.0.0.1:9/v1", model__chat_template=TEMPLATE)
    assert {cell.state for cell in stored_plan(named).cells} == {"missing"}
    done = evaluate(named, f"{MUTE}/{BENCHMARK}")
    assert done.returncode == 0, done.stderr
    failing = write_suite(
        tmp_path, world, "http://127.0.0.1:9/v1", model__chat_template="{{ raise_exception('no') }}"
    )
    done = evaluate(failing, f"{MUTE}/{BENCHMARK}")
    assert done.returncode == 3
    assert "chat template fails: benchmark demo-mt-bench: no" in done.stderr


# --- the judge ---------------------------------------------------------------------------------------


def test_a_plain_script_finds_the_same_ratings_and_asks_the_same(copy: Path, world: Path) -> None:
    outcome, asked = grade(copy, world)
    assert outcome.state == "committed"
    prompts, ratings = ratings_of(
        copy / "store", world / "mirror", BENCHMARK, CHATTING, lambda prompt: rating_of(prompt, "gpt")
    )
    assert sorted(one.prompt for one in asked) == sorted(prompts.values())
    assert {(one.system, one.key, one.model) for one in asked} == {
        ("You are a fair judge of answers.", KEY, "gpt")
    }
    [result] = results_of(copy)
    found = {m["subset"] or m["task"]: m for m in result["metrics"] if m["metric"] == "rating"}
    expected = {"mt_bench" if group == "all" else group: of for group, of in ratings.items()}
    assert {name: m["value"] for name, m in found.items()} == pytest.approx(
        {name: sum(of) / len(of) for name, of in expected.items()}
    )
    assert {name: m["n"] for name, m in found.items()} == {name: len(of) for name, of in expected.items()}
    assert found["mt_bench"]["headline"]
    assert result["grading"]["judge_model"] == "gpt"
    assert (result["provenance"]["requests_scored"], result["raw"]["judge_answered_as"]) == (8, ["gpt-0613"])
    items = pq.read_table(copy / "store" / result["items"][0]["key"]).to_pylist()
    values = [dict(row["metrics"])["rating"] for row in items]
    assert sum(values) / len(values) == pytest.approx(found["mt_bench"]["value"])
    stored = b"".join(path.read_bytes() for path in (copy / "store").rglob("*") if path.is_file())
    assert KEY.encode() not in stored


def test_nonsense_is_asked_again_and_then_counted(copy: Path, world: Path) -> None:
    outcome, asked = grade(copy, world, lambda one: "who knows" if "harbour" in one.prompt else good(one))
    assert outcome.state == "committed"
    assert len(asked) == 6 + 2 * 3
    [result] = results_of(copy)
    found = {(m["metric"], m["subset"] or m["task"]): m for m in result["metrics"]}
    assert (found["rating", "mt_bench"]["n"], found["unparseable", "mt_bench"]["value"]) == (6, 2 / 8)
    writing = found["rating", "writing"]
    assert (writing["value"], writing["n"], writing["reason"]) == (None, 0, "no judgment could be parsed")
    _, ratings = ratings_of(
        copy / "store", world / "mirror", BENCHMARK, CHATTING,
        lambda prompt: None if "harbour" in prompt else rating_of(prompt, "gpt"),
    )  # fmt: skip
    assert found["rating", "mt_bench"]["value"] == pytest.approx(sum(ratings["all"]) / 6)


@pytest.mark.parametrize(("status", "code"), [(500, 75), (429, 75), (401, 2), (403, 2), (400, 3)])
def test_a_judge_that_refuses_commits_nothing_and_what_it_said_is_kept(
    status: int, code: int, copy: Path, world: Path
) -> None:
    def say(one: Asked) -> str | Answer:
        return Answer(status, KEY.encode()) if "ice" in one.prompt else good(one)

    outcome, asked = grade(copy, world, say)
    assert (outcome.state, outcome.exit_code) == ("failed", code)
    assert KEY not in str(outcome.error)
    assert results_of(copy) == []
    store = open_store(str(copy / "store"))
    assert KEY not in "".join(failure.error for failure in read_failures(store, "tiny").values())
    kept = [one.prompt for one in asked if "ice" not in one.prompt]
    if code == 3:
        return  # the pair is barred in this environment, as any invalid one is
    outcome, again = grade(copy, world)
    assert outcome.state == "committed"
    assert not set(kept) & {one.prompt for one in again}
    assert len(kept) + len(again) == JUDGMENTS


def test_another_judge_grades_the_stored_answers_and_asks_no_model(copy: Path, world: Path) -> None:
    assert grade(copy, world)[0].state == "committed"
    before = made(copy, "generations", "journal", "commits", "objects")
    outcome, asked = grade(copy, world, model="other")
    assert outcome.state == "committed"
    assert len(asked) == JUDGMENTS
    after = made(copy, "generations", "journal", "commits", "objects")
    assert before.items() <= after.items()
    new = {name.partition("/")[0] for name in after.keys() - before.keys()}
    assert new == {"commits", "journal", "objects"}
    assert not [name for name in after.keys() - before.keys() if "answers-" in name]
    assert {result["grading"]["judge_model"] for result in results_of(copy)} == {"gpt", "other"}
    assert grade(copy, world, model="other") == (PairOutcome(PAIR, "done already"), [])


def test_a_judge_that_is_not_the_plans_is_refused_before_it_is_asked(copy: Path, world: Path) -> None:
    with judge_server() as server:
        plan = stored_plan(write_suite(copy, world, server.url))
        other = load_suite(str(write_suite(copy, world, server.url, "other")))
        [outcome] = Grader(other).grade_group(plan, [PAIR])
    assert (outcome.state, outcome.exit_code, server.asked) == ("failed", 2, [])
    assert f"judge is not the plan's: {PAIR}: found other, expected gpt" in str(outcome.error)


def test_a_killed_grade_job_repeats_no_generation_and_no_judgment(copy: Path, world: Path) -> None:
    generated = made(copy, "generations")
    with judge_server() as server:
        suite = write_suite(copy, world, server.url)
        killed = python(ROOT / "tests" / "victim.py", suite, copy / "events.log", "grading", "5", "0")
        assert killed.returncode == -signal.SIGKILL, killed.stderr
    plan = plan_sweep(load_suite(str(suite)))
    [cell] = [cell for cell in plan.cells if cell.checkpoint == CHATTING]
    assert cell.stages == ("grade",)
    kept = len(list((copy / "store" / journal_prefix(str(cell.key))).rglob("*.parquet")))
    assert 3 <= kept <= len(server.asked) < JUDGMENTS
    outcome, again = grade(copy, world)
    assert outcome.state == "committed"
    assert len(again) == JUDGMENTS - kept
    assert not {one.prompt for one in again} & set(server.prompts[:kept])
    assert made(copy, "generations") == generated
    [result] = results_of(copy)
    assert result["provenance"]["requests_from_journal"] == kept
    _, ratings = ratings_of(
        copy / "store", world / "mirror", BENCHMARK, CHATTING, lambda prompt: rating_of(prompt, "gpt")
    )
    [headline] = [m for m in result["metrics"] if m["headline"]]
    assert headline["value"] == pytest.approx(sum(ratings["all"]) / JUDGMENTS)
    assert len(list_commits(open_store(str(copy / "store")), "tiny")) == 1


def test_the_grade_job_ends_with_the_judges_exit_code_and_loads_no_model_library(
    copy: Path, world: Path
) -> None:
    with judge_server(lambda _: Answer(503)) as server:
        suite = write_suite(copy, world, server.url)
        plan = stored_plan(suite)
        done = python("-m", "jobs.grade", "--suite", suite, "--plan", plan.id, "--pairs", PAIR)
    assert done.returncode == 75
    assert "judge does not answer" in done.stderr
    assert KEY not in done.stderr + done.stdout
