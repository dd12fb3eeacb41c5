"""What the model is asked: the requests that lm-eval builds of the catalogue's tasks from the demo's rows."""

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from a360.datasets.mirror import read_manifest
from a360.datasets.staging import offline_environment
from a360.demo.rows import write_mirror
from a360.demo.text import read_documents, split_documents

pytestmark = pytest.mark.integration

BUILD = """
import json
from a360.benchmarks import CATALOGUE
from a360.evaluators.harness import _set_seeds_and_shots
from a360.evaluators.tasks import load_tasks
from types import SimpleNamespace

SEEDS = {"random": 0, "numpy": 1234, "torch": 1234, "fewshot": 1234}
found = {}
for row in CATALOGUE.values():
    if not row.stand_in or row.evaluator != "harness":
        continue
    tasks = load_tasks(row)
    _set_seeds_and_shots(tasks, SimpleNamespace(seeds=SEEDS, shots=row.shots))
    if row.id == "demo-arc-challenge-25shot":
        [task] = tasks.leaves.values()
        shown = lambda doc: str(task.fewshot_context(doc, 25))
        *_, last = documents = list(task.eval_docs)
        in_order = [shown(doc) for doc in documents]
        task.set_fewshot_seed(SEEDS["fewshot"])
        found["order"] = {"last": in_order[-1], "last first": shown(last), "last second": shown(last)}
        _set_seeds_and_shots(tasks, SimpleNamespace(seeds=SEEDS, shots=row.shots))
    leaves = {}
    for name, task in tasks.leaves.items():
        task.build_all_requests(limit=None, rank=0, world_size=1)
        leaves[name] = {
            "version": task.VERSION,
            "requests": [[instance.doc_id, *instance.args] for instance in task.instances],
            "filters": [filters.name for filters in task._filters],
        }
    found[row.id] = leaves

task = load_tasks(CATALOGUE["demo-arc-easy"]).leaves["arc_easy"]
choices = {"text": ["\\u00e9\\u00e9", "abc"], "label": ["A", "B"]}
doc = {"question": "q", "choices": choices, "answerKey": "B"}
found["per character"] = task.process_results(doc, [(-3.0, False), (-4.4, False)])

task = load_tasks(CATALOGUE["demo-wikitext"]).leaves["wikitext"]
page = {"page": " = Title = \\n a well @-@ known place , \u00e9"}
found["page"] = {"asked": task.doc_to_target(page), **task.process_results(page, [-30.0])}
print(json.dumps(found))
"""

Leaves = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def mirror_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("prompts") / "mirror"
    write_mirror(directory, split_documents(read_documents())[1])
    return directory


@pytest.fixture(scope="module")
def built(mirror_dir: Path) -> dict[str, Any]:
    """Benchmark -> task -> version, requests ``[doc_id, context, continuation or arguments]``, filters."""
    offline = offline_environment(mirror_dir, read_manifest(mirror_dir), mirror_dir.parent / "cache")
    done = subprocess.run(
        [sys.executable, "-P", "-c", BUILD],
        cwd=mirror_dir,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), **offline},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    parsed: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return parsed


def requests(built: dict[str, Any], benchmark: str) -> list[list[Any]]:
    """Of a benchmark of one task, in order."""
    [leaf] = built[benchmark].values()
    found: list[list[Any]] = leaf["requests"]
    return found


def rows(mirror_dir: Path, pattern: str) -> list[dict[str, Any]]:
    [path] = mirror_dir.glob(pattern)
    found: list[dict[str, Any]] = pq.read_table(path).to_pylist()
    return found


def test_mmlu_is_57_tasks_and_no_glob_of_all_that_begin_like_it(built: dict[str, Any]) -> None:
    assert len(built["demo-mmlu-5shot"]) == 57
    assert not any("pro" in name.split("_")[1:2] for name in built["demo-mmlu-5shot"])


def test_mmlu_examples_are_the_first_five_of_the_subject_for_every_document(
    built: dict[str, Any], mirror_dir: Path
) -> None:
    dev = rows(mirror_dir, "cais/mmlu/anatomy/dev*")
    for _, context, _ in built["demo-mmlu-5shot"]["mmlu_anatomy"]["requests"]:
        places = [context.index(row["question"]) for row in dev]
        assert places == sorted(places)
        assert context.count("\nAnswer:") == 6


def test_examples_are_as_many_as_the_id_says(built: dict[str, Any]) -> None:
    for benchmark, shots in (("arc-challenge-25shot", 25), ("arc-challenge-0shot", 0), ("gsm8k-5shot", 5)):
        for _, context, _ in requests(built, f"demo-{benchmark}"):
            assert context.count("Question:") == shots + 1


def test_the_sampler_goes_on_so_that_the_same_document_gets_other_examples_in_another_order(
    built: dict[str, Any],
) -> None:
    """Seeded with 1234 and never again: what a document is asked depends on how many came before it."""
    order = built["order"]
    assert len(set(order.values())) == 3
    assert order["last"] == requests(built, "demo-arc-challenge-25shot")[-1][1]


def test_examples_stand_a_blank_line_apart_and_answers_a_space(built: dict[str, Any]) -> None:
    for _, context, continuation in requests(built, "demo-arc-challenge-25shot"):
        *examples, asked = context.split("\n\n")
        assert len(examples) == 25
        assert all(re.fullmatch(r"Question: .*\nAnswer: \S[^\n]*", example) for example in examples)
        assert re.fullmatch(r"Question: .*\nAnswer:", asked)
        assert re.match(r" \S", continuation)


def test_race_is_version_3_whose_earlier_questions_come_with_their_answers(
    built: dict[str, Any], mirror_dir: Path
) -> None:
    assert built["demo-race"]["race"]["version"] == 3.0
    articles = rows(mirror_dir, "EleutherAI/race/high/test*")
    asked = requests(built, "demo-race")
    assert len({number for number, *_ in asked}) == len(articles), "one item per article: its last question"
    cloze = 0
    for number, context, continuation in asked:
        *earlier, last = ast.literal_eval(articles[number]["problems"])
        lines = [f"Article: {articles[number]['article']}\n\n"]
        for problem in earlier:
            answer = problem["options"]["ABCD".index(problem["answer"])]
            asks = not problem["question"].endswith("  _  .")
            cloze += not asks
            lines.append(
                f"Question: {problem['question']}\nAnswer: {answer}\n"
                if asks
                else f"{problem['question'].removesuffix(' _  .')}{answer}\n"
            )
        assert context == "".join(lines) + last["question"]
        assert continuation.removeprefix(" ") in last["options"]
    assert cloze, "no earlier question leaves a blank to fill"


def test_copa_has_the_two_spaces_of_lm_eval_before_a_choice(built: dict[str, Any]) -> None:
    for _, context, continuation in requests(built, "demo-copa"):
        assert context.endswith((" because", " therefore"))
        assert continuation.startswith("  ")
        assert not continuation.startswith("   ")
        assert continuation.strip()[0].islower()


def test_triviaqa_keeps_the_second_question_mark_of_lm_eval(built: dict[str, Any]) -> None:
    assert all("??\nAnswer:" in context for _, context, _ in requests(built, "demo-triviaqa-5shot"))


def test_winogrande_scores_one_ending_after_each_option(built: dict[str, Any], mirror_dir: Path) -> None:
    documents = rows(mirror_dir, "allenai/winogrande/winogrande_xl/validation*")
    asked = requests(built, "demo-winogrande-0shot")
    for number, row in enumerate(documents):
        begin, end = row["sentence"].split("_")
        pair = [(context, continuation) for n, context, continuation in asked if n == number]
        assert pair == [(begin + row[option], f" {end.strip()}") for option in ("option1", "option2")]


def test_crows_pairs_are_asked_with_nothing_before_them(built: dict[str, Any]) -> None:
    asked = [request for leaf in built["demo-crows-pairs"].values() for request in leaf["requests"]]
    assert len(built["demo-crows-pairs"]) == 10
    assert {context for _, context, _ in asked} == {""}
    assert not any(continuation.startswith(" ") for *_, continuation in asked)


def test_gsm8k_stops_at_the_next_question_and_is_read_in_two_ways(built: dict[str, Any]) -> None:
    assert built["demo-gsm8k-5shot"]["gsm8k"]["filters"] == ["strict-match", "flexible-extract"]
    for *_, arguments in requests(built, "demo-gsm8k-5shot"):
        assert arguments["until"] == ["Question:", "</s>", "<|im_end|>"]
        assert arguments["do_sample"] is False


def test_drop_stops_at_a_full_stop_as_the_original_does(built: dict[str, Any]) -> None:
    assert {tuple(arguments["until"]) for *_, arguments in requests(built, "demo-drop-3shot")} == {(".",)}


def test_acc_norm_divides_by_characters_and_not_by_bytes_nor_with_the_delimiter(
    built: dict[str, Any],
) -> None:
    """-4.4 over 3 characters beats -3 over 2.

    It would lose against -3 over the 4 bytes of two accents, and over 4 against 3 with the space before them.
    """
    assert built["per character"]["acc"] == 0.0
    assert built["per character"]["acc_norm"] == 1.0


def test_wikitext_counts_the_words_and_bytes_of_the_page_as_it_is_stored(built: dict[str, Any]) -> None:
    """The model reads the page without the marks of its tokenization."""
    stored = " = Title = \n a well @-@ known place , \u00e9"
    assert "@-@" not in built["page"]["asked"]
    assert "a well-known place, \u00e9" in built["page"]["asked"]
    assert built["page"]["word_perplexity"] == [-30.0, len(re.split(r"\s+", stored))]
    assert built["page"]["bits_per_byte"] == [-30.0, len(stored.encode())]
