"""Who may do what: Pod Security ``restricted``, tokens, credentials, and code that a model wrote."""

import pytest
import yaml

from tests.rendered import (
    VARIANTS,
    Document,
    Template,
    documents,
    environment,
    substitute,
    template,
    templates,
)

PODS = [(variant, found) for variant in VARIANTS for found in templates(variant) if found.makes_pods]
every_pod = pytest.mark.parametrize(
    ("variant", "pod"), [pytest.param(v, p, id=f"{v}-{p.label}") for v, p in PODS]
)
CONTAINERS = [(variant, found) for variant, found in PODS if "container" in found.body]
every_container = pytest.mark.parametrize(
    ("variant", "pod"), [pytest.param(v, p, id=f"{v}-{p.label}") for v, p in CONTAINERS]
)


def pod_spec(variant: str, pod: Template) -> Document:
    """The parts of the pod that Pod Security looks at, of a first attempt, Argo's own containers included."""
    patch = yaml.safe_load(substitute(pod.body["podSpecPatch"], {"retries": "0", "lastRetry.exitCode": "0"}))
    containers = {c["name"]: c for c in patch["initContainers"] + patch["containers"]}
    if "container" in pod.body:
        containers["main"] = pod.body["container"]
    return {
        "securityContext": documents(variant)[pod.document]["spec"]["securityContext"],
        "containers": containers,
        "volumes": pod.body.get("volumes", []),
    }


def violations(spec: Document) -> list[str]:
    """What Pod Security ``restricted`` refuses; a container's own word goes before the pod's."""
    found: list[str] = []
    for key in ("hostNetwork", "hostPID", "hostIPC", "hostUsers"):
        found += [key] if key in spec else []
    allowed = {
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "persistentVolumeClaim",
        "projected",
    }
    for volume in spec["volumes"]:
        found += [f"volume {volume['name']}"] if not set(volume) - {"name"} <= allowed | {"secret"} else []
    for name, container in spec["containers"].items():
        own = container.get("securityContext", {})
        context = spec["securityContext"] | own
        rules = {
            "allowPrivilegeEscalation": own.get("allowPrivilegeEscalation") is False,
            "drop ALL": own.get("capabilities") == {"drop": ["ALL"]},
            "runAsNonRoot": context.get("runAsNonRoot") is True,
            "numeric user": isinstance(context.get("runAsUser"), int) and context["runAsUser"] > 0,
            "seccomp": context.get("seccompProfile") == {"type": "RuntimeDefault"},
            "read-only root": own.get("readOnlyRootFilesystem") is True,
            "privileged": "privileged" not in own,
        }
        found += [f"{name}: {rule}" for rule, holds in rules.items() if not holds]
    return found


@every_pod
def test_every_container_of_every_pod_passes_restricted(variant: str, pod: Template) -> None:
    spec = pod_spec(variant, pod)
    assert set(spec["containers"]) == (
        {"init", "main"} if "resource" in pod.body else {"init", "wait", "main"}
    )
    assert violations(spec) == []


def test_the_rules_find_what_is_missing() -> None:
    bare = {
        "securityContext": {},
        "containers": {"main": {}},
        "volumes": [{"name": "h", "hostPath": {"path": "/"}}],
        "hostNetwork": True,
    }
    assert len(violations(bare)) == 8


@every_container
def test_main_containers_hold_no_token(variant: str, pod: Template) -> None:
    assert pod.body["automountServiceAccountToken"] is False
    assert pod.body["executor"] == {"serviceAccountName": "a360-executor"}
    assert documents(variant)[pod.document]["spec"]["automountServiceAccountToken"] is False


def test_only_argos_own_container_that_creates_children_has_the_orchestrators_token() -> None:
    accounts = {pod.label: pod.body["serviceAccountName"] for pod in templates() if pod.makes_pods}
    assert [name for name, account in accounts.items() if account == "a360-orchestrator"] == [
        "sweep/run-checkpoint"
    ]
    run = template("sweep", "run-checkpoint")
    assert run["automountServiceAccountToken"] is True
    assert "executor" not in run, "an executor's account would replace the orchestrator's token"
    assert "executor" not in documents()["sweep"]["spec"]


def test_each_kind_of_pod_has_its_account() -> None:
    assert {pod.name: pod.body["serviceAccountName"] for pod in templates() if "container" in pod.body} == {
        "plan": "a360-planner",
        "evaluate": "a360-evaluator",
        "grade-code-fetch": "a360-grader",
        "grade-code-run": "a360-executor",
        "grade-code-commit": "a360-grader",
        "grade-classifier": "a360-grader",
        "grade-judge": "a360-grader",
        "publish": "a360-publisher",
        "mirror": "a360-planner",
    }


def holders_of(secret: str) -> set[str]:
    return {pod.name for pod in templates() if f"'{secret}'" in str(pod.body)}


def test_the_key_of_wandb_is_in_publish_pods_only() -> None:
    assert holders_of("a360-wandb") == {"publish"}
    assert "WANDB" not in str([p.body for p in templates() if p.name != "publish"])


def test_the_key_of_the_judge_is_in_grade_judge_pods_only() -> None:
    assert holders_of("a360-judge") == {"grade-judge"}


def test_the_token_of_the_hub_is_in_mirror_pods_only() -> None:
    assert holders_of("a360-hub") == {"mirror"}


def test_the_store_is_open_to_all_but_the_sandbox() -> None:
    names = {pod.name for pod in templates() if "container" in pod.body}
    assert holders_of("a360-s3") == names - {"grade-code-run"}


def test_without_secrets_pods_rely_on_workload_identity() -> None:
    assert "secretKeyRef" not in str(documents("lean"))


# --- code that a model wrote ------------------------------------------------------------------------


def test_the_sandbox_knows_nothing_and_holds_nothing() -> None:
    run = template("checkpoint", "grade-code-run")
    assert run["container"]["image"].startswith("registry.example.com/a360/sandbox@")
    assert set(environment(run)) == {"HOME", "TMPDIR", "A360_TERMINATION_LOG"}
    assert {volume["name"] for volume in run["volumes"]} == {"work", "out"}
    assert run["container"]["args"] == [
        "--generations=/a360/in/generations.json",
        "--verdicts=/a360/out/verdicts.json",
        "--work-dir=/a360/work",
    ]


def test_generations_and_verdicts_pass_as_artifacts() -> None:
    steps = [group[0] for group in template("checkpoint", "grade-code")["steps"]]
    assert [step["template"] for step in steps] == ["grade-code-fetch", "grade-code-run", "grade-code-commit"]
    assert [step.get("arguments", {}).get("artifacts") for step in steps] == [
        None,
        [{"name": "generations", "from": "{{steps.fetch.outputs.artifacts.generations}}"}],
        [{"name": "verdicts", "from": "{{steps.run.outputs.artifacts.verdicts}}"}],
    ]
    commit = template("checkpoint", "grade-code-commit")
    assert "--commit=/a360/in/verdicts.json" in commit["container"]["args"]
    assert commit["inputs"]["artifacts"] == [
        {"name": "verdicts", "path": "/a360/in/verdicts.json", "mode": 0o444}
    ]


def test_artifacts_have_keys_of_their_own_are_never_unpacked_and_never_collected() -> None:
    sent = [
        artifact
        for pod in templates()
        if "container" in pod.body
        for artifact in pod.body.get("outputs", {}).get("artifacts", [])
    ]
    assert {artifact["name"] for artifact in sent} == {"generations", "verdicts"}
    for artifact in sent:
        assert artifact["archive"] == {"none": {}}
        assert artifact["artifactGC"] == {"strategy": "Never"}
        place = "a360-grading/{{workflow.uid}}/{{inputs.parameters.group}}"
        assert artifact["s3"] == {"key": f"{place}/{artifact['name']}.json"}


def test_no_pod_but_evaluate_is_given_the_evaluator_and_a_device_together() -> None:
    images = {
        pod.name: pod.body["container"]["image"].split("/")[-1]
        for pod in templates()
        if "container" in pod.body
    }
    kinds = {name: image.partition("@")[0] for name, image in images.items()}
    assert {name for name, image in kinds.items() if image == "evaluator"} == {"evaluate", "grade-classifier"}
    assert {name for name, image in kinds.items() if image == "sandbox"} == {"grade-code-run"}
