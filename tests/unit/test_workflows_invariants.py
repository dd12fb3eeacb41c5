"""What must hold for every rendered workflow, whatever the settings: one test per invariant.

They are those of the Argo notes and what a real cluster taught; each was seen to fail.
"""

import re
from collections.abc import Iterator

import pytest
import yaml

from tests.rendered import (
    DEFAULT,
    VARIANTS,
    Document,
    Template,
    documents,
    environment,
    substitute,
    templates,
    walk,
)

DOCUMENTS = [
    (f"{variant}/{name}", found) for variant in VARIANTS for name, found in documents(variant).items()
]
TEMPLATES = [(variant, found) for variant in VARIANTS for found in templates(variant)]
PODS = [(variant, found) for variant, found in TEMPLATES if found.makes_pods]
CONTAINERS = [(variant, found) for variant, found in PODS if "container" in found.body]
FIRST_TRY = {"retries": "0", "lastRetry.exitCode": "0"}

everywhere = pytest.mark.parametrize("document", [pytest.param(d, id=name) for name, d in DOCUMENTS])
every_pod = pytest.mark.parametrize("pod", [pytest.param(p, id=f"{v}-{p.label}") for v, p in PODS])
every_container = pytest.mark.parametrize(
    "pod", [pytest.param(p, id=f"{v}-{p.label}") for v, p in CONTAINERS]
)
every_variant = pytest.mark.parametrize("variant", VARIANTS)


def keys(document: Document) -> set[str]:
    return {path.rpartition(".")[2] for path, _ in walk(document)}


def texts(document: Document) -> Iterator[str]:
    return (value for _, value in walk(document) if isinstance(value, str))


def patch_of(pod: Template) -> Document:
    """The podSpecPatch of a first attempt."""
    patch: Document = yaml.safe_load(substitute(pod.body["podSpecPatch"], FIRST_TRY))
    return patch


def test_all_kinds_of_documents_and_pods_are_looked_at() -> None:
    assert {"checkpoint", "sweep", "publish", "mirror", "cron-demo", "cron-publish-demo"} <= set(documents())
    assert {pod.label for pod in templates() if pod.makes_pods} == {
        "checkpoint/evaluate",
        "checkpoint/grade-code-fetch",
        "checkpoint/grade-code-run",
        "checkpoint/grade-code-commit",
        "checkpoint/grade-classifier",
        "checkpoint/grade-judge",
        "sweep/plan",
        "sweep/run-checkpoint",
        "sweep/publish",
        "publish/publish",
        "mirror/mirror",
    }


# --- shape ------------------------------------------------------------------------------------------


@everywhere
def test_no_dag_no_continue_on_no_template_ref(document: Document) -> None:
    forbidden = {"dag", "continueOn", "templateRef", "maxDuration", "nodeAntiAffinity", "memoize", "script"}
    assert keys(document) & forbidden == set()


@everywhere
def test_no_singular_fields_of_version_3(document: Document) -> None:
    assert keys(document) & {"schedule", "mutex", "semaphore", "podPriority"} == set()


@everywhere
def test_no_semaphores_guard_the_gpus(document: Document) -> None:
    assert "semaphores" not in keys(document)


@everywhere
def test_nothing_reads_stdout_failures_or_lists_of_all_items(document: Document) -> None:
    joined = " ".join(texts(document))
    assert not re.search(
        r"outputs\.result|workflow\.failures|workflow\.parameters\.json|toJson\(workflow\)", joined
    )
    steps = [step for group in _steps(document) for step in group]
    taken = [value for step in steps for value in _values(step)]
    assert not [
        v for v in taken if "outputs.parameters" in v and v != "{{steps.plan.outputs.parameters.plan}}"
    ]


def _steps(document: Document) -> list[list[Document]]:
    return [group for t in document["spec"].get("templates", []) for group in t.get("steps", [])]


def _values(step: Document) -> list[str]:
    return [parameter["value"] for parameter in step.get("arguments", {}).get("parameters", [])]


@everywhere
def test_parameter_values_are_strings(document: Document) -> None:
    values = [value for path, value in walk(document) if re.search(r"parameters\[\d+\]\.value$", path)]
    assert values or document["metadata"].get("name") in ("a360-mirror", "a360-publish")
    assert {type(value) for value in values} <= {str}


@everywhere
def test_width_is_a_number_on_the_steps_of_the_sweep_only(document: Document) -> None:
    found = {path: value for path, value in walk(document) if path.endswith(".parallelism")}
    if document["metadata"].get("name") != "a360-sweep":
        assert found == {}
        return
    (value,) = found.values()
    assert isinstance(value, int)
    (holder,) = (t["name"] for t in document["spec"]["templates"] if "parallelism" in t)
    assert holder == "sweep"


@every_variant
def test_publishing_is_the_exit_handler_and_no_step(variant: str) -> None:
    spec = documents(variant)["sweep"]["spec"]
    assert spec["onExit"] == "publish"
    assert "publish" not in {s["template"] for t in spec["templates"] for g in t.get("steps", []) for s in g}


@every_variant
def test_only_publishing_takes_a_mutex(variant: str) -> None:
    holders = {t.label: t.body["synchronization"] for t in templates(variant) if "synchronization" in t.body}
    assert set(holders) == {"sweep/publish", "publish/publish"}
    for lock in holders.values():
        assert lock == {"mutexes": [{"name": "a360-publish-{{inputs.parameters.lock}}"}]}
    assert not [name for name, d in documents(variant).items() if "synchronization" in d["spec"]]


# --- every variable has a source --------------------------------------------------------------------

GLOBALS = {"workflow.name", "workflow.uid", "workflow.status"}
OF_RETRIES = {"retries", "lastRetry.exitCode", "lastRetry.status", "lastRetry.message"}


def _global_outputs(spec: Document) -> set[str]:
    outputs = [o for t in spec["templates"] for o in t.get("outputs", {}).get("parameters", [])]
    return {o["globalName"] for o in outputs if "globalName" in o}


@pytest.mark.parametrize(
    ("variant", "found"), [pytest.param(v, t, id=f"{v}-{t.label}") for v, t in TEMPLATES]
)
def test_every_variable_is_declared(variant: str, found: Template) -> None:
    """``argo lint`` does not look at workflow parameters of templates."""
    spec = documents(variant)[found.document]["spec"]
    inputs = found.body.get("inputs", {}).get("parameters", [])
    known = GLOBALS | {f"workflow.parameters.{p['name']}" for p in spec["arguments"]["parameters"]}
    known |= {f"inputs.parameters.{p['name']}" for p in inputs}
    known |= {f"workflow.outputs.parameters.{name}" for name in _global_outputs(spec)}
    if "retryStrategy" in found.body:
        known |= OF_RETRIES
    if "metrics" in found.body:
        known |= {"status", "duration"}
    if "steps" in found.body:
        known |= {
            "item.group",
            "item.benchmarks",
            "item.grade",
            "item.generated",
            "item.child",
            "item.checkpoint",
            "item.groups",
        }
        known |= {p for p in _variables(found.body) if p.startswith("steps.")}  # argo lint looks at these
    assert _variables(found.body) - known == set()


@everywhere
def test_every_variable_of_a_spec_is_declared(document: Document) -> None:
    spec = {key: value for key, value in document["spec"].items() if key != "templates"}
    names = {p["name"] for p in spec.get("arguments", {}).get("parameters", [])}
    assert _variables(spec) - GLOBALS - {f"workflow.parameters.{name}" for name in names} == set()


def _variables(value: object) -> set[str]:
    """Every dotted name within a tag; within expressions also ``a.b['c']`` as a.b.c."""
    names: set[str] = set()
    for text in (item for _, item in walk(value) if isinstance(item, str)):
        for expression, tag in re.findall(r"\{\{(=?)(.*?)\}\}", text, re.DOTALL):
            plain = re.sub(r"\['([\w-]+)'\]", r".\1", tag)
            plain = re.sub(r"\"[^\"]*\"|'[^']*'", "", plain) if expression else plain.strip()
            names |= set(re.findall(r"[a-zA-Z][\w-]*(?:\.[\w-]+)+|retries|status|duration", plain))
    return names


def test_variables_are_found_in_tags_and_expressions() -> None:
    found = _variables(
        {"a": "{{x.y}} {{=toJson(a.b['c-d']) + 'q.r'}} {{status}}", "b": ["{{=asInt(retries)}}"]}
    )
    assert found == {"x.y", "a.b.c-d", "status", "retries"}


# --- every pod --------------------------------------------------------------------------------------


@every_pod
def test_every_pod_has_a_deadline_and_a_gated_retry(pod: Template) -> None:
    assert pod.body["activeDeadlineSeconds"] > 0
    retry = pod.body["retryStrategy"]
    assert retry["retryPolicy"] == "Always"
    assert "lastRetry" in retry["expression"]
    assert retry["limit"] > 0
    assert {"duration", "factor", "cap"} == set(retry["backoff"])


@every_container
def test_every_container_asks_for_cpu_and_memory(pod: Template) -> None:
    resources = pod.body["container"]["resources"]
    assert {"cpu", "memory"} <= set(resources["requests"])
    assert resources["limits"]["memory"] == resources["requests"]["memory"]
    for container in patch_of(pod)["initContainers"] + patch_of(pod)["containers"]:
        assert {"cpu", "memory"} & set(container["resources"]["requests"])
        assert "memory" in container["resources"]["limits"]


@every_container
def test_every_container_has_a_command_because_images_cannot_be_looked_up(pod: Template) -> None:
    command = pod.body["container"]["command"]
    assert command[:4] == ["python", "-P", "-m", command[3]]
    assert command[3].startswith("jobs.")
    assert len(command) == 4


@every_container
def test_arguments_cannot_be_taken_for_other_options(pod: Template) -> None:
    assert [a for a in pod.body["container"]["args"] if not re.match(r"--[a-z-]+=", a)] == []


@every_container
def test_everything_that_is_written_lies_in_a_volume(pod: Template) -> None:
    volumes = {volume["name"] for volume in pod.body["volumes"]}
    mounts = {mount["mountPath"]: mount for mount in pod.body["container"]["volumeMounts"]}
    assert {mount["name"] for mount in mounts.values()} <= volumes
    assert mounts["/tmp"] == {"name": "work", "mountPath": "/tmp", "subPath": "tmp"}
    values = environment(pod.body)
    assert (values["HOME"], values["TMPDIR"]) == ("/a360/work", "/tmp")
    outputs = pod.body.get("outputs", {})
    places = [p["valueFrom"]["path"] for p in outputs.get("parameters", [])]
    places += [artifact["path"] for artifact in outputs.get("artifacts", [])]
    arguments = [a.partition("=")[2] for a in pod.body["container"]["args"] if not a.startswith("--suite=")]
    places += [a for a in arguments if a.startswith("/") and not a.startswith("/a360/in/")]
    assert [p for p in places if not any(p == m or p.startswith(f"{m}/") for m in mounts)] == []


@every_container
def test_every_written_volume_has_a_bound_or_a_claim(pod: Template) -> None:
    for volume in pod.body["volumes"]:
        if volume["name"] in ("work", "shm", "cache") and "emptyDir" in volume:
            assert "sizeLimit" in volume["emptyDir"]


@every_pod
def test_the_grace_period_is_set(pod: Template) -> None:
    assert patch_of(pod)["terminationGracePeriodSeconds"] > 30


@every_pod
def test_every_pod_is_labelled(pod: Template) -> None:
    labels = pod.body["metadata"]["labels"]
    kinds = {"plan", "evaluate", "grade", "publish", "checkpoint", "mirror"}
    assert labels["app.kubernetes.io/component"] in kinds
    assert labels["app.kubernetes.io/name"] == labels["app.kubernetes.io/part-of"] == "a360"
    assert labels["a360/template"] == pod.name


@every_variant
def test_every_workflow_is_labelled_with_its_suite_and_its_pods_with_their_sweep(variant: str) -> None:
    for name in ("checkpoint", "sweep", "publish", "mirror"):
        spec = documents(variant)[name]["spec"]
        sweep = "{{workflow.parameters.sweep}}" if name == "checkpoint" else "{{workflow.name}}"
        expected = {"a360/suite": "{{workflow.parameters.suite}}", "a360/sweep": sweep}
        assert spec["podMetadata"]["labels"] == expected
        assert spec["workflowMetadata"]["labels"]["app.kubernetes.io/component"] == name
        assert spec["workflowMetadata"]["labelsFrom"] == {
            "a360/suite": {"expression": "workflow.parameters.suite"}
        }


@everywhere
def test_workflows_end_and_are_cleared_away(document: Document) -> None:
    if document["kind"] == "WorkflowTemplate":
        spec = document["spec"]
        assert spec["ttlStrategy"]["secondsAfterSuccess"] < spec["ttlStrategy"]["secondsAfterFailure"]
        assert spec["podGC"]["strategy"].startswith("OnPod")
        assert spec["archiveLogs"] is False


def test_images_are_pinned_by_digest() -> None:
    for pod in templates():
        if "container" in pod.body:
            image = pod.body["container"]["image"]
            assert re.search(r"@sha256:[0-9a-f]{64}$", image)
            if pod.name != "grade-code-run":
                told = environment(pod.body)
                assert told["A360_IMAGE_DIGEST"] == image.partition("@")[2]
                of_work = [DEFAULT.images.evaluator.partition("@")[2], DEFAULT.images.light.partition("@")[2]]
                assert told["A360_IMAGE_DIGESTS"].split(",") == of_work


def test_a_program_knows_how_long_its_pod_has_after_sigterm() -> None:
    for variant in VARIANTS:
        told = [
            (pod.body["podSpecPatch"], environment(pod.body)["A360_GRACE_SECONDS"])
            for pod in templates(variant)
            if "container" in pod.body and pod.name != "grade-code-run"
        ]
        assert told
        assert all(f"terminationGracePeriodSeconds: {grace}\n" in patch for patch, grace in told)


# --- which pods get what ----------------------------------------------------------------------------


def test_the_queue_label_is_on_evaluate_pods_only() -> None:
    queued = [name for name, d in documents("full").items() if "kueue.x-k8s.io" in str(d)]
    assert queued == ["checkpoint"]
    labelled = [t.name for t in templates("full") if "kueue.x-k8s.io" in str(t.body)]
    assert labelled == ["evaluate"]
    assert "kueue" not in str(documents("full")["checkpoint"]["spec"]["podMetadata"])
    assert "kueue" not in str(documents())


def test_devices_are_on_evaluate_pods_only() -> None:
    holders = [t.name for t in templates() if "nvidia.com/gpu" in str(t.body)]
    assert holders == ["evaluate"]
    assert "gpu" not in str(documents("lean"))


def test_progress_is_announced_by_evaluate_pods() -> None:
    key = "workflows.argoproj.io/progress"
    assert [t.name for t in templates() if key in t.body.get("metadata", {}).get("annotations", {})] == [
        "evaluate"
    ]
