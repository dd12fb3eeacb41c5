"""``python -m workflows render`` writes the same bytes every time; ``--check`` tells when they are old."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from hera.workflows import models
from pydantic import BaseModel

from a360.errors import ConfigError
from tests.rendered import DEFAULT, FULL, ROOT, VARIANTS, documents
from workflows.__main__ import main, read_settings
from workflows.render import HEADER, render_files

GOLDEN = ROOT / "tests/golden/workflows"


@pytest.mark.golden
@pytest.mark.parametrize("variant", ["full", "lean"])
def test_the_documents_are_the_golden_ones(variant: str) -> None:
    folder = GOLDEN / variant
    if os.environ.get("A360_GOLDEN") == "write":
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.glob("*.yaml"):
            old.unlink()
        for path, text in render_files(VARIANTS[variant]).items():
            (folder / Path(path).name).write_text(text)
    golden = {path.stem: yaml.safe_load(path.read_text()) for path in folder.glob("*.yaml")}
    assert documents(variant) == golden


@pytest.mark.golden
def test_the_files_of_the_chart_and_for_argo_submit_are_those_of_the_default_settings() -> None:
    files = render_files(DEFAULT)
    there = {name: yaml.safe_load((ROOT / name).read_text()) for name in files}
    assert there == {name: yaml.safe_load(text) for name, text in files.items()}
    assert main(["render", "--check"]) == 0, "run `make render`"


def test_the_version_is_that_of_the_project() -> None:
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"] == DEFAULT.version


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_file_reads_back_as_its_document(variant: str) -> None:
    files = {Path(name).stem: yaml.safe_load(text) for name, text in render_files(VARIANTS[variant]).items()}
    assert files == documents(variant)


def test_two_processes_render_the_same_bytes(tmp_path: Path) -> None:
    texts = []
    for seed in ("1", "2"):
        root = tmp_path / seed
        command = [sys.executable, "-m", "workflows", "render", "--root", str(root)]
        subprocess.run(
            command, cwd=ROOT, env={"PYTHONHASHSEED": seed, "PATH": ""}, check=True, capture_output=True
        )
        texts.append({p.relative_to(root): p.read_bytes() for p in sorted(root.rglob("*.yaml"))})
    assert texts[0] == texts[1]
    assert {str(name): text.decode() for name, text in texts[0].items()} == render_files(DEFAULT)


def test_check_shows_what_differs_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["render", "--root", str(tmp_path)]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(render_files(DEFAULT))
    assert main(["render", "--check", "--root", str(tmp_path)]) == 0
    assert capsys.readouterr().out == ""
    sweep = tmp_path / "helm/a360/files/sweep.yaml"
    text = sweep.read_text()
    sweep.write_text(text.replace("parallelism: 16", "parallelism: 17"))
    (tmp_path / "workflows/submit/mirror-demo.yaml").unlink()
    assert main(["render", "--check", "--root", str(tmp_path)]) == 1
    shown = capsys.readouterr().out
    assert "-    parallelism: 17\n+    parallelism: 16\n" in shown
    assert "+++ workflows/submit/mirror-demo.yaml (rendered)" in shown
    assert "parallelism: 17" in sweep.read_text()
    assert main(["render", "--root", str(tmp_path)]) == 0
    assert capsys.readouterr().out.split() == [
        "helm/a360/files/sweep.yaml",
        "workflows/submit/mirror-demo.yaml",
    ]
    assert sweep.read_text() == text


def test_a_file_that_is_rendered_no_more_goes_and_others_stay(tmp_path: Path) -> None:
    main(["render", "--root", str(tmp_path)])
    stale, foreign = tmp_path / "helm/a360/files/cron-old.yaml", tmp_path / "helm/a360/files/rules.yaml"
    stale.write_text(f"{HEADER}kind: CronWorkflow\n")
    foreign.write_text("kind: PrometheusRule\n")
    assert main(["render", "--check", "--root", str(tmp_path)]) == 1
    assert main(["render", "--root", str(tmp_path)]) == 0
    assert not stale.exists()
    assert foreign.exists()


def test_settings_come_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "settings.yaml"
    path.write_text(yaml.safe_dump(FULL.model_dump(mode="json")))
    assert read_settings(path) == FULL
    assert main(["render", "--settings", str(path), "--root", str(tmp_path / "out")]) == 0
    assert (
        yaml.safe_load((tmp_path / "out/helm/a360/files/sweep.yaml").read_text())
        == documents("full")["sweep"]
    )


@pytest.mark.parametrize("text", ["paralellism: 3", "a: [", "parallelism: none", "- 1"])
def test_wrong_settings_end_with_2_and_their_name(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "settings.yaml"
    path.write_text(text)
    assert main(["render", "--settings", str(path), "--root", str(tmp_path)]) == 2
    assert f"ConfigError: the settings in {path} are not valid" in capsys.readouterr().err
    with pytest.raises(ConfigError, match="nowhere"):
        read_settings(tmp_path / "nowhere.yaml")


def test_importing_the_workflows_reads_no_file_and_builds_nothing() -> None:
    """Every module is imported after the packages it needs; opening a file of ours would be seen."""
    script = """
import sys, pkgutil, hera.workflows, yaml, pydantic, a360.records
from hera.workflows import Workflow
Workflow.__post_init__ = lambda *a, **k: sys.exit("a workflow was built")
def hook(event, arguments):
    if event == "open" and not str(arguments[0]).endswith((".py", ".pyc")):
        sys.exit(f"opened {arguments[0]}")
    if event.startswith(("socket.", "subprocess.")):
        sys.exit(event)
import workflows
names = [m.name for m in pkgutil.iter_modules(workflows.__path__, "workflows.")]
sys.addaudithook(hook)
for name in names:
    __import__(name)
print(len(names))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 12


@pytest.mark.parametrize("variant", VARIANTS)
def test_heras_models_read_every_document_back_whole(variant: str) -> None:
    """Unknown fields vanish without a word in Hera's models, so only equality is a check."""
    classes: dict[str, type[BaseModel]] = {
        "WorkflowTemplate": models.WorkflowTemplate,
        "Workflow": models.Workflow,
        "CronWorkflow": models.CronWorkflow,
    }
    for name, document in documents(variant).items():
        model = classes[document["kind"]].model_validate(document)
        assert model.model_dump(exclude_none=True, by_alias=True) == document, name


def test_nothing_uses_what_hera_calls_deprecated() -> None:
    command = [sys.executable, "-W", "error::DeprecationWarning", "-m", "workflows", "render", "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
