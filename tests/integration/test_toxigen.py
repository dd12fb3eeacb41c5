"""ToxiGen generation: a classifier of the mirror judges every answer, its classes taken by their names."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from a360.benchmarks import find_benchmark, locked_grader_hash
from a360.demo.classifier import CLASSIFIERS, FRIENDLY_WORDS, HOSTILE_WORDS, write_classifiers
from a360.errors import DataError
from a360.grading.classifiers import LoadedClassifier
from a360.grading.graders import find_grader
from a360.grading.task import Graded, GradeTask
from a360.records import Grading
from a360.results.answers import AnswerRow

pytestmark = pytest.mark.integration

BENCHMARKS = ("demo-toxigen-hatebert", "demo-toxigen-roberta")
TEXTS = ("you are good", "You are BAD, and stupid!", "", "sky", "good bad", "bad good wrong", "never " * 300)
TOXIC = (False, True, False, False, False, True, True)


@pytest.fixture(scope="module")
def mirror_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("toxigen")
    write_classifiers(directory)
    return directory


def load(mirror_dir: Path, benchmark: str) -> LoadedClassifier:
    classifier = find_benchmark(benchmark).classifier
    assert classifier
    return LoadedClassifier(mirror_dir, classifier)


@pytest.mark.parametrize("benchmark", BENCHMARKS)
def test_a_class_is_found_by_its_name_wherever_it_stands(mirror_dir: Path, benchmark: str) -> None:
    judged = load(mirror_dir, benchmark).judge(TEXTS, lambda done, total: None)
    assert judged.wanted == TOXIC
    assert CLASSIFIERS["models/tomh/toxigen_hatebert"] != CLASSIFIERS["models/tomh/toxigen_roberta"]


def test_texts_that_are_too_long_are_cut_and_counted(mirror_dir: Path) -> None:
    judged = load(mirror_dir, BENCHMARKS[0]).judge([*TEXTS, "sky " * 300 + "bad"], lambda done, total: None)
    assert (judged.cut, judged.wanted[-1]) == (2, False)


def test_the_order_and_company_of_texts_changes_no_judgment(mirror_dir: Path) -> None:
    words = (*FRIENDLY_WORDS[:5], *HOSTILE_WORDS[:5])
    texts = [f"{first} {second}" for first in words for second in (*words, "sky", "")]
    classifier, seen = load(mirror_dir, BENCHMARKS[0]), []
    together = classifier.judge(texts, lambda done, total: seen.append((done, total))).wanted
    backwards = classifier.judge(texts[::-1], lambda done, total: None).wanted
    assert together == backwards[::-1]
    alone = [classifier.judge([text], lambda done, total: None).wanted[0] for text in texts]
    assert list(together) == alone
    assert {*alone} == {True, False}
    assert seen[-1] == (len(texts), len(texts))


@pytest.mark.parametrize("names", [("NON_HATE", "HATE"), ("LABEL_0", "LABEL_1", "LABEL_2"), ("LABEL_1",)])
def test_a_classifier_with_other_classes_is_refused(tmp_path: Path, names: tuple[str, ...]) -> None:
    write_classifiers(tmp_path)
    root = tmp_path / "models/tomh/toxigen_hatebert"
    settings = json.loads((root / "config.json").read_text())
    settings["id2label"] = {str(index): name for index, name in enumerate(names)}
    settings["label2id"] = {name: index for index, name in enumerate(names)}
    (root / "config.json").write_text(json.dumps(settings))
    weights = load_file(root / "model.safetensors")
    for name in ("classifier.weight", "classifier.bias"):
        weights[name] = np.resize(weights[name], (len(names), *weights[name].shape[1:]))
    save_file(weights, root / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(
        DataError, match=rf"other classes: .*found {', '.join(names)}, expected LABEL_0, LABEL_1"
    ):
        load(tmp_path, BENCHMARKS[0])


def test_a_classifier_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="classifier cannot be loaded: models/tomh/toxigen_hatebert"):
        load(tmp_path, BENCHMARKS[0])


def graded(mirror_dir: Path, *answers: tuple[str, str, str], samples: int = 1) -> Graded:
    """Graded (label, group, response), each of them so often."""
    grading = Grading(grader="toxigen", source_hash=locked_grader_hash("toxigen"))
    rows = tuple(
        AnswerRow(number, sample, f"f:{number}", group, "- a\n-", text, {"label": label, "group": group})
        for number, (label, group, text) in enumerate(answers)
        for sample in range(samples)
    )
    benchmark = find_benchmark(BENCHMARKS[0])
    task = GradeTask(benchmark=benchmark, grading=grading, answers=rows, mirror_dir=mirror_dir)
    return find_grader(grading)(task)


ANSWERS = (
    ("hate", "a", " sky\n- you are wrong and bad"),
    ("hate", "a", " bad\n- good good"),
    ("hate", "b", " fine"),
    ("neutral", "b", ""),
)


def values(found: Graded, metric: str) -> dict[str, float | None]:
    return {record.task: record.value for record in found.metrics if record.metric == metric}


def test_the_whole_answer_is_judged_beside_its_first_line(mirror_dir: Path) -> None:
    found = graded(mirror_dir, *ANSWERS)
    assert values(found, "toxic") == {"hate/a": 0.5, "hate/b": 0, "neutral/b": 0, "toxigen_generation": 0.25}
    assert values(found, "toxic_first_line")["hate/a"] == 0.5
    assert [dict(row["metrics"]) for row in found.items.to_pylist()][:2] == [
        {"toxic": 1.0, "toxic_first_line": 0.0, "empty": 0.0},
        {"toxic": 0.0, "toxic_first_line": 1.0, "empty": 0.0},
    ]
    assert values(found, "empty")["toxigen_generation"] == 0.25
    [headline] = [record for record in found.metrics if record.headline]
    assert (headline.metric, headline.direction, headline.aggregation) == ("toxic", "lower", "micro")


def test_several_answers_to_a_prompt_are_a_share_not_a_sum(mirror_dir: Path) -> None:
    found = graded(mirror_dir, ("hate", "a", "bad"), ("hate", "a", "bad"), ("hate", "a", "sky"), samples=3)
    assert values(found, "toxic")["toxigen_generation"] == pytest.approx(2 / 3)
    assert {record.n for record in found.metrics if record.task == "toxigen_generation"} == {9}


def test_grading_needs_no_network(mirror_dir: Path) -> None:
    script = f"""
from pathlib import Path
from a360.benchmarks import find_benchmark
from a360.grading.classifiers import LoadedClassifier
classifier = find_benchmark({BENCHMARKS[0]!r}).classifier
print(LoadedClassifier(Path({str(mirror_dir)!r}), classifier).judge(["bad", "good"], print).wanted)
"""
    environment = {"HF_ENDPOINT": "http://127.0.0.1:9", "PATH": "/usr/bin:/bin", "HOME": str(mirror_dir)}
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        env=environment,
        cwd=Path(__file__).parents[2],
    )
    assert done.stdout.splitlines()[-1:] == ["(True, False)"], done.stderr
