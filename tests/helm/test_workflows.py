"""The chart's workflows are Hera's: unchanged with its own values, changed as Hera would with others."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from tests.chart import CHART, ChartError, Object, Rendered, render
from tests.chart_values import WITHOUT_VALUE, values_of
from tests.rendered import find_argo
from workflows.render import CHART_DIR, render_documents
from workflows.settings import (
    Accelerator,
    Artifacts,
    Cache,
    Images,
    Lifetimes,
    Placement,
    PodKind,
    Pods,
    Retries,
    Retry,
    Schedule,
    Schedules,
    SecretEnv,
    Secrets,
    Settings,
    Toleration,
)

pytestmark = pytest.mark.helm

OFFLINE = {"networkPolicies": {"enabled": False}}
"""There is no API server to ask, and the suites of these tests have no store."""


def place(name: str) -> Placement:
    """No field has its default, and no two pods have the same."""
    return Placement(
        deadline_seconds=300000 + len(name),
        node_selector={"pool": name},
        tolerations=(
            Toleration(key=name, operator="Equal", value="yes", effect="NoSchedule"),
            Toleration(operator="Exists"),
        ),
        priority_class=f"priority-{name}",
        runtime_class=f"runtime-{name}",
    )


def pod(name: str) -> PodKind:
    """No field has its default either."""
    number = 100 + len(name)
    return PodKind(cpu=f"{number}m", memory=f"{number}Mi", scratch=f"{number}Gi", **place(name).model_dump())


DIGEST = "sha256:" + "ab" * 32
CHANGED = Settings(
    images=Images(
        evaluator=f"ghcr.io/me/evaluator@{DIGEST}",
        light="10.0.0.1:5000/light:1.2",
        sandbox=f"ghcr.io/me/sandbox@{DIGEST}",
        pull_policy="Always",
        pull_secrets=("registry", "another"),
    ),
    secrets=Secrets(
        s3=tuple(
            SecretEnv(env=f"AWS_{name}", secret="own-s3", key=name.lower())
            for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN")
        ),
        wandb=SecretEnv(env="WANDB_API_KEY", secret="own-wandb", key="w"),
        judge=SecretEnv(env="A360_JUDGE_API_KEY", secret="own-judge", key="j"),
        hub=SecretEnv(env="HF_TOKEN", secret="own-hub", key="h"),
    ),
    pods=Pods(
        **{name: pod(name) for name in Pods.model_fields if isinstance(getattr(Pods(), name), PodKind)},
        orchestrate=place("orchestrate"),
        executor_cpu="20m",
        executor_memory="300Mi",
        grace_seconds=90,
    ),
    accelerator=Accelerator(resource="amd.com/gpu", count=2, shared_memory="3Gi", queue="gpus"),
    cache=Cache(kind="claim", claim="weights", size="7Gi"),
    retries=Retries(
        pods=Retry(limit=5, first_seconds=11, factor=3, cap_seconds=120),
        children=Retry(limit=6, first_seconds=12, factor=4, cap_seconds=130),
        oom=3,
        oom_growth_percent=125,
    ),
    lifetimes=Lifetimes(
        sweep_seconds=999999,
        checkpoint_seconds=200000,
        after_success_seconds=60,
        after_failure_seconds=31536000,
        pod_gc="OnWorkflowSuccess",
        pod_gc_delay="5m",
    ),
    schedules=Schedules(
        suites=(
            Schedule(suite="amber", sweep=("0 1 * * *", "0 13 * * *"), publish=("5 * * * *",), suspend=True),
            Schedule(suite="crystal", sweep=(), publish=("6 * * * *",)),
            Schedule(suite="pythia", sweep=("7 2 * * *",), publish=()),
        ),
        time_zone="Europe/Berlin",
        starting_deadline_seconds=60,
        history=9,
    ),
    artifacts=Artifacts(config_map="own-artifacts", key="own"),
    parallelism=3,
    user_id=4242,
    progress="0/7",
    metrics=False,
    labels={"team": "evaluation", "cost-center": "012"},
)
"""Everything that can be chosen, chosen otherwise."""

CASES = {
    "everything else": CHANGED,
    "defaults": Settings(),
    "metrics with other values": CHANGED.model_copy(update={"metrics": True}),
    "no secrets": Settings(secrets=Secrets(s3=(), wandb=None, judge=None, hub=None)),
    "the controller's artifacts": Settings(artifacts=None),
    "a cache that ends with the pod": Settings(cache=Cache(kind="emptyDir", size="50Gi")),
    "a cache of any size": Settings(cache=Cache(kind="emptyDir")),
    "no device": Settings(accelerator=Accelerator(count=0)),
    "no second try after a kill for memory": Settings(retries=Retries(oom=0)),
}


def rendered_by_hera(settings: Settings) -> dict[tuple[str, str], Object]:
    documents = render_documents(settings)
    ours = [one for path, one in documents.items() if path.startswith(CHART_DIR)]
    return {(one["kind"], one["metadata"]["name"]): one for one in ours}


def rendered_by_helm(settings: Settings) -> Rendered:
    values = values_of(settings) | OFFLINE
    values["artifacts"]["create"] = False
    return render("--api-versions", "kueue.x-k8s.io/v1beta1", values=values)


def of_argo(rendered: Rendered) -> dict[tuple[str, str], Object]:
    return {key: one for key, one in rendered.objects.items() if one["apiVersion"].startswith("argoproj.io/")}


@pytest.mark.parametrize("name", CASES)
def test_the_chart_says_what_hera_says_with_the_same_settings(name: str) -> None:
    expected = rendered_by_hera(CASES[name])
    found = of_argo(rendered_by_helm(CASES[name]))
    assert found.keys() == expected.keys()
    for key, one in expected.items():
        assert found[key]["spec"] == one["spec"], key
        assert one["metadata"]["labels"].items() <= found[key]["metadata"]["labels"].items(), key


def test_default_values_reproduce_the_files_exactly() -> None:
    files = {path.stem: yaml.safe_load(path.read_text()) for path in (CHART / "files").glob("*.yaml")}
    assert files.keys() >= {"checkpoint", "sweep", "publish", "mirror", "cron-demo", "cron-publish-demo"}
    found = of_argo(render())
    expected = [one for one in files.values() if one["kind"] == "WorkflowTemplate"]
    assert len(expected) == len(found)
    for one in expected:
        assert found[one["kind"], one["metadata"]["name"]]["spec"] == one["spec"]


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every setting by its path; what is one of several alternatives or a list counts as one."""
    fields = type(value).model_fields if isinstance(value, BaseModel) else {}
    for name in fields:
        yield from leaves(getattr(value, name), f"{path}.{name}" if path else name)
    if not fields:
        yield path, value


def test_every_setting_has_a_value_in_the_chart_or_a_reason() -> None:
    default, changed = dict(leaves(Settings())), dict(leaves(CHANGED))
    same = {path for path, value in default.items() if changed.get(path) == value}
    unexplained = {path for path in same if not any(f"{path}.".startswith(f"{no}.") for no in WITHOUT_VALUE)}
    assert unexplained == set(), "CHANGED leaves it as it is, so nothing shows that a value does it"


CHECKPOINT = "a360-checkpoint-"


def checkpoint_name(rendered: Rendered) -> str:
    (name,) = (one for one in rendered.of("WorkflowTemplate") if one.startswith(CHECKPOINT))
    return name


def default_of_sweep(rendered: Rendered) -> str:
    parameters = rendered.one("WorkflowTemplate", "a360-sweep")["spec"]["arguments"]["parameters"]
    (name,) = (one["value"] for one in parameters if one["name"] == "checkpoint-template")
    return str(name)


@pytest.mark.parametrize(
    "values",
    [
        {"images": {"evaluator": {"digest": DIGEST}}},
        {"images": {"sandbox": {"digest": DIGEST}}},
        {"pods": {"evaluate": {"memory": "65Gi"}}},
        {"wandb": {"existingSecret": "x"}, "judge": {"key": "x"}},
    ],
)
def test_another_checkpoint_template_has_another_name(values: dict[str, Any]) -> None:
    changed = render(values=values)
    assert checkpoint_name(changed) != checkpoint_name(render())
    assert default_of_sweep(changed) == checkpoint_name(changed)


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"wandb": {"existingSecret": "x"}, "hub": {"key": "x"}},
        {"pods": {"plan": {"memory": "65Gi"}, "publish": {"cpu": "7"}, "mirror": {"scratch": "1Gi"}}},
        {"parallelism": 3, "keepTemplates": 1, "lifetimes": {"sweepSeconds": 9}},
        {"serviceAccounts": {"evaluator": {"annotations": {"role": "x"}}}},
    ],
)
def test_what_is_not_in_the_checkpoint_template_leaves_its_name(values: dict[str, Any]) -> None:
    changed = render(values=values)
    assert checkpoint_name(changed) == checkpoint_name(render())
    assert default_of_sweep(changed) == checkpoint_name(render())


@pytest.mark.parametrize("path", sorted((CHART / "ci").glob("*-values.yaml")), ids=lambda path: path.stem)
def test_argo_accepts_what_helm_renders(path: Path, tmp_path: Path) -> None:
    if (argo := find_argo()) is None:
        pytest.skip("argo is not built: run tests/cluster/build.sh argo (it needs Go)")
    known = ["--api-versions", "kueue.x-k8s.io/v1beta1", "--api-versions", "monitoring.coreos.com/v1"]
    found = of_argo(render(*known, "--values", path))
    (tmp_path / path.name).write_text(yaml.safe_dump_all(found.values()))
    command = [str(argo), "lint", "--offline", "--no-color", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


def test_nothing_of_argo_is_evaluated_by_helm() -> None:
    manifest = next(
        template["resource"]["manifest"]
        for template in render().one("WorkflowTemplate", "a360-sweep")["spec"]["templates"]
        if "resource" in template
    )
    assert "{{=toJson(inputs.parameters.plan)}}" in manifest


def test_a_template_that_no_value_is_for_is_refused(tmp_path: Path) -> None:
    chart = shutil.copytree(CHART, tmp_path / "a360")
    path = chart / "files" / "mirror.yaml"
    path.write_text(path.read_text().replace("name: mirror\n", "name: reflect\n"))
    with pytest.raises(ChartError, match='no value below pods is for the template "reflect"'):
        render(chart=chart)
