"""What the chart makes beside workflows: accounts, rights, ways out, and no secrets."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes import client

from tests.chart import CHART, NAMESPACE, ChartError, Object, Rendered, render

pytestmark = pytest.mark.helm

EXAMPLES = sorted((CHART / "ci").glob("*-values.yaml"))
MINIMAL = CHART / "ci" / "minimal-values.yaml"
FULL = CHART / "ci" / "full-values.yaml"
OF_OTHERS = ("--api-versions", "kueue.x-k8s.io/v1beta1", "--api-versions", "monitoring.coreos.com/v1")
each_example = pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)


def example(path: Path) -> Rendered:
    return render(*OF_OTHERS, "--values", path)


MODELS = {
    "ServiceAccount": "V1ServiceAccount",
    "Role": "V1Role",
    "RoleBinding": "V1RoleBinding",
    "Secret": "V1Secret",
    "ConfigMap": "V1ConfigMap",
    "NetworkPolicy": "V1NetworkPolicy",
    "PriorityClass": "V1PriorityClass",
    "Pod": "V1Pod",
}
OF_CUSTOM_KINDS = {"WorkflowTemplate", "CronWorkflow", "LocalQueue", "PrometheusRule"}


@each_example
def test_kubernetes_knows_every_field_of_its_own_kinds(path: Path) -> None:
    for (kind, name), one in example(path).objects.items():
        if kind not in OF_CUSTOM_KINDS:
            assert _through_the_client(one, MODELS[kind]) == one, name


def _through_the_client(one: Object, model: str) -> Any:
    """What is left of an object when Kubernetes' client has read it; it drops what it does not know."""
    api = client.ApiClient()
    read = api.deserialize(json.dumps(one), model, "application/json")
    return api.sanitize_for_serialization(read)


@each_example
def test_every_object_is_in_the_namespace_and_says_whose_it_is(path: Path) -> None:
    for (kind, name), one in example(path).objects.items():
        assert one["metadata"].get("namespace", NAMESPACE) == NAMESPACE
        assert ("namespace" in one["metadata"]) == (kind != "PriorityClass"), name
        labels = one["metadata"]["labels"]
        assert labels["app.kubernetes.io/part-of"] == "a360"
        assert labels["app.kubernetes.io/managed-by"] == "Helm"
        assert labels["helm.sh/chart"] == "a360-0.1.0"


def test_rights_are_the_least_that_argo_needs() -> None:
    rendered = render()
    rules = {name: role["rules"] for name, role in rendered.of("Role").items()}
    argo = ["argoproj.io"]
    assert rules == {
        "a360-executor": [
            {"apiGroups": argo, "resources": ["workflowtaskresults"], "verbs": ["create", "patch"]}
        ],
        "a360-orchestrator": [
            {"apiGroups": argo, "resources": ["workflows"], "verbs": ["create", "get", "patch"]}
        ],
    }
    assert {name: (one["roleRef"], one["subjects"]) for name, one in rendered.of("RoleBinding").items()} == {
        name: (
            {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
            [{"kind": "ServiceAccount", "name": one, "namespace": NAMESPACE} for one in accounts],
        )
        for name, accounts in {
            "a360-executor": ["a360-executor", "a360-orchestrator"],
            "a360-orchestrator": ["a360-orchestrator"],
        }.items()
    }
    assert not {kind for kind, _ in rendered.objects if kind.startswith("Cluster")}


ACCOUNTS = {
    f"a360-{name}" for name in ("planner", "orchestrator", "executor", "evaluator", "grader", "publisher")
}


def test_accounts_carry_identities_and_no_tokens() -> None:
    accounts = example(CHART / "ci" / "workload-identity-values.yaml").of("ServiceAccount")
    assert accounts.keys() == ACCOUNTS
    assert all(one["automountServiceAccountToken"] is False for one in accounts.values())
    roles = {name: one["metadata"].get("annotations", {}) for name, one in accounts.items()}
    assert roles["a360-evaluator"] == {
        "eks.amazonaws.com/role-arn": "arn:aws:iam::111122223333:role/a360-evaluator"
    }
    assert roles["a360-executor"] == roles["a360-orchestrator"] == {}
    assert example(FULL).one("ServiceAccount", "a360-planner")["imagePullSecrets"] == [{"name": "registry"}]


@each_example
def test_every_account_of_a_pod_is_made(path: Path) -> None:
    rendered = example(path)
    used = {template["serviceAccountName"] for template in pod_templates(rendered)}
    used |= {one["spec"]["serviceAccountName"] for one in rendered.of("WorkflowTemplate").values()}
    assert used | {"a360-planner"} <= rendered.of("ServiceAccount").keys()


def test_no_identity_can_be_given_to_pods_that_run_generated_code() -> None:
    (sandbox,) = (one for one in pod_templates(render()) if one["name"] == "grade-code-run")
    assert sandbox["serviceAccountName"] == "a360-executor"
    with pytest.raises(ChartError, match="additional properties 'executor' not allowed"):
        render(values={"serviceAccounts": {"executor": {"annotations": {"role": "x"}}}})


@each_example
def test_the_chart_holds_no_secret(path: Path) -> None:
    secrets = example(path).of("Secret")
    assert secrets.keys() == {"a360-executor.service-account-token"}
    (token,) = secrets.values()
    assert token["type"] == "kubernetes.io/service-account-token"
    assert token["metadata"]["annotations"] == {"kubernetes.io/service-account.name": "a360-executor"}
    assert not token.keys() & {"data", "stringData"}


SECRET_VARIABLES = re.compile("KEY|SECRET|TOKEN|PASSWORD")


@each_example
def test_credentials_reach_pods_by_reference_only(path: Path) -> None:
    for template in pod_templates(example(path)):
        for variable in template.get("container", {}).get("env", []):
            if SECRET_VARIABLES.search(variable["name"]):
                assert variable["valueFrom"].keys() == {"secretKeyRef"}


def pod_templates(rendered: Rendered) -> list[Object]:
    """Every template that becomes a pod."""
    return [
        template
        for workflow in rendered.of("WorkflowTemplate").values()
        for template in workflow["spec"]["templates"]
        if template.keys() & {"container", "resource"}
    ]


def variables(rendered: Rendered, name: str) -> dict[str, Any]:
    """The variables of the pods of one template which come from a Secret."""
    template = next(one for one in pod_templates(rendered) if one["name"] == name)
    return {
        one["name"]: one["valueFrom"]["secretKeyRef"]
        for one in template["container"]["env"]
        if "secretKeyRef" in one.get("valueFrom", {})
    }


def test_each_pod_gets_the_credentials_that_it_needs_and_no_others() -> None:
    full = example(FULL)
    store = {
        "AWS_ACCESS_KEY_ID": {"name": "store", "key": "id"},
        "AWS_SECRET_ACCESS_KEY": {"name": "store", "key": "secret"},
        "AWS_SESSION_TOKEN": {"name": "store", "key": "session"},
    }
    own = {
        "publish": {"WANDB_API_KEY": {"name": "weights-and-biases", "key": "api-key"}},
        "grade-judge": {"A360_JUDGE_API_KEY": {"name": "openai", "key": "api-key"}},
        "mirror": {"HF_TOKEN": {"name": "hub", "key": "token"}},
    }
    names = {one["name"] for one in pod_templates(full) if "container" in one}
    assert names == ALL - {"run-checkpoint", "doctor"}
    for name in names - {"grade-code-run"}:
        assert variables(full, name) == store | own.get(name, {}), name
    assert variables(full, "grade-code-run") == {}


def test_an_installation_with_the_chart_s_own_values_needs_no_secret_but_the_store_s() -> None:
    rendered = render()
    names = {one["name"] for one in pod_templates(rendered) if "container" in one}
    used = [one for name in names for one in variables(rendered, name).values()]
    assert {one["name"] for one in used if not one.get("optional")} == {"a360-s3"}
    assert {one["name"] for one in used if one.get("optional")} == {"a360-wandb", "a360-judge", "a360-hub"}


def test_with_workload_identity_no_pod_asks_for_a_secret_of_the_store() -> None:
    rendered = example(CHART / "ci" / "workload-identity-values.yaml")
    assert not any(
        name.startswith("AWS_")
        for one in ("plan", "evaluate", "publish")
        for name in variables(rendered, one)
    )
    place = yaml.safe_load(rendered.one("ConfigMap", "a360-artifacts")["data"]["a360"])
    assert place["s3"]["accessKeySecret"] == {"name": "a360-grading", "key": "AWS_ACCESS_KEY_ID"}


# -- Pod Security


def faults(pod: Object, name: str) -> Iterator[str]:
    """What Pod Security ``restricted`` would refuse in a pod's spec."""
    context = pod.get("securityContext", {})
    if context.get("runAsNonRoot") is not True or context.get("seccompProfile") != {"type": "RuntimeDefault"}:
        yield f"{name}: {context}"
    if pod.keys() & {"hostNetwork", "hostPID", "hostIPC"}:
        yield f"{name}: host namespaces"
    for volume in pod.get("volumes", []):
        if not volume.keys() & {"emptyDir", "configMap", "secret", "persistentVolumeClaim"}:
            yield f"{name}: {volume}"
    for container in pod["containers"]:
        own = container.get("securityContext", {})
        if own.get("allowPrivilegeEscalation") is not False or own.get("capabilities") != {"drop": ["ALL"]}:
            yield f"{name}: {own}"
        if own.get("readOnlyRootFilesystem") is not True:
            yield f"{name}: its root can be written"
        if not container.get("resources", {}).get("limits", {}).get("memory"):
            yield f"{name}: no limit of memory"


def pods(rendered: Rendered) -> Iterator[tuple[str, Object]]:
    """The spec of every pod, as far as the chart decides it."""
    for workflow in rendered.of("WorkflowTemplate").values():
        spec = workflow["spec"]
        for template in spec["templates"]:
            if "container" in template:
                volumes = spec.get("volumes", []) + template.get("volumes", [])
                yield template["name"], spec | {"volumes": volumes, "containers": [template["container"]]}
    for name, pod in rendered.of("Pod").items():
        yield name, pod["spec"]


@each_example
def test_every_pod_is_restricted(path: Path) -> None:
    found = list(pods(example(path)))
    assert len(found) > 8
    assert [fault for name, pod in found for fault in faults(pod, name)] == []


@pytest.mark.parametrize(
    "change",
    [
        {"securityContext": {"runAsNonRoot": True}},
        {"volumes": [{"hostPath": {"path": "/"}}]},
        {"containers": [{"securityContext": {}}]},
        {"hostNetwork": True},
    ],
)
def test_a_pod_that_is_not_restricted_is_seen(change: Object) -> None:
    name, pod = next(pods(example(MINIMAL)))
    assert list(faults(pod, name)) == []
    assert list(faults(pod | change, name))


# -- Network policies

WORKERS = {
    "plan", "evaluate", "grade-code-fetch", "grade-code-run", "grade-code-commit", "grade-classifier",
    "grade-judge", "publish", "mirror",
}  # fmt: skip
ALL = WORKERS | {"run-checkpoint", "doctor"}


def reached(rendered: Rendered, template: str) -> set[str]:
    """The policies that open a way out for the pods of a template."""
    labels = {"app.kubernetes.io/part-of": "a360", "a360/template": template}
    return {
        name.removeprefix("a360-")
        for name, policy in rendered.of("NetworkPolicy").items()
        if policy["spec"].get("egress") and _selects(policy["spec"]["podSelector"], labels)
    }


def _selects(selector: Object, labels: dict[str, str]) -> bool:
    exact = selector.get("matchLabels", {}).items() <= labels.items()
    return exact and all(
        one["operator"] == "In" and labels.get(one["key"]) in one["values"]
        for one in selector.get("matchExpressions", [])
    )


def test_every_pod_of_ours_is_denied_everything_first() -> None:
    spec = example(FULL).one("NetworkPolicy", "a360-default-deny")["spec"]
    assert spec == {
        "podSelector": {"matchLabels": {"app.kubernetes.io/part-of": "a360"}},
        "policyTypes": ["Ingress", "Egress"],
    }
    rendered = example(FULL)
    for template in pod_templates(rendered):
        labels = template["metadata"]["labels"]
        assert labels["app.kubernetes.io/part-of"] == "a360"
        assert labels["a360/template"] == template["name"]
    assert {one["name"] for one in pod_templates(rendered)} == ALL - {"doctor"}


def test_each_pod_has_the_ways_out_that_it_needs_and_no_others() -> None:
    full = example(FULL)
    common = {"dns", "api-server", "s3"}
    assert {name: reached(full, name) for name in ALL} == {
        **{name: common for name in WORKERS},
        "publish": common | {"wandb"},
        "grade-judge": common | {"judge"},
        "mirror": common | {"hub"},
        "run-checkpoint": {"dns", "api-server"},
        "doctor": {"dns", "s3"},
    }


def test_a_way_out_leads_where_the_values_say() -> None:
    spec = example(MINIMAL).one("NetworkPolicy", "a360-s3")["spec"]
    assert spec["policyTypes"] == ["Egress"]
    assert spec["egress"] == [
        {"to": [{"ipBlock": {"cidr": "10.0.0.1/32"}}], "ports": [{"port": 7070, "protocol": "TCP"}]}
    ]
    for policy in example(FULL).of("NetworkPolicy").values():
        assert "ingress" not in policy["spec"]
        for rule in policy["spec"].get("egress", []):
            assert rule["to"]
            assert rule["ports"]


def test_without_its_secret_nobody_reaches_weights_and_biases() -> None:
    assert "a360-wandb" in example(MINIMAL).of("NetworkPolicy")
    rendered = render("--values", MINIMAL, values={"wandb": {"existingSecret": ""}})
    assert "a360-wandb" not in rendered.of("NetworkPolicy")


def test_policies_can_be_left_to_somebody_else() -> None:
    assert render(values={"networkPolicies": {"enabled": False}}).of("NetworkPolicy") == {}


@pytest.mark.parametrize("way", ["s3", "apiServer"])
def test_a_suite_that_no_pod_could_reach_is_refused_with_the_way_out(way: str) -> None:
    with pytest.raises(ChartError, match=rf"networkPolicies\.{way}\.to is empty.*") as error:
        render("--values", MINIMAL, values={"networkPolicies": {way: {"to": []}}})
    assert f"--set networkPolicies.{way}.to[0].ipBlock.cidr=" in str(error.value)
    assert "--set networkPolicies.enabled=false" in str(error.value)


# -- Optional objects


def test_nothing_optional_is_there_by_itself() -> None:
    kinds = {kind for kind, _ in render().objects}
    assert not kinds & {"LocalQueue", "PriorityClass", "PrometheusRule", "CronWorkflow"}
    assert render().of("ConfigMap").keys() == {"a360-suites"}


def test_kueue_gates_evaluation_and_nothing_else() -> None:
    rendered = example(CHART / "ci" / "kueue-values.yaml")
    queue = rendered.one("LocalQueue", "a360")
    assert queue["apiVersion"] == "kueue.x-k8s.io/v1beta1"
    assert queue["spec"] == {"clusterQueue": "research"}
    gated = {
        one["name"]
        for one in pod_templates(rendered)
        if "kueue.x-k8s.io/queue-name" in one["metadata"]["labels"]
    }
    assert gated == {"evaluate"}
    newer = render("--api-versions", "kueue.x-k8s.io/v1beta2", "--values", CHART / "ci" / "kueue-values.yaml")
    assert newer.one("LocalQueue", "a360")["apiVersion"] == "kueue.x-k8s.io/v1beta2"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"accelerator": {"queue": "gpus"}}, "does not know Kueue's kinds.*install Kueue"),
        ({"monitoring": {"prometheusRule": {"create": True}}}, "install the Prometheus operator"),
        ({"kueue": {"localQueue": {"create": True}}}, "the queue has no name"),
        (
            {"kueue": {"localQueue": {"create": True}}, "accelerator": {"queue": "gpus"}},
            "kueue.localQueue.clusterQueue is empty",
        ),
        ({"lifetimes": {"checkpointSeconds": 259200}}, "pods.orchestrate.deadlineSeconds is 259200"),
        ({"images": {"light": {"digest": ""}}}, "a360/light has neither a digest nor a tag"),
        ({"suites": {"x": "name: z\n"}}, 'suites.x: its text says "name: z"'),
        ({"suites": {"x": "a: b: c\n"}}, "suites.x is no YAML"),
        ({"schedules": {"suites": [{"suite": "x", "sweep": ["0 0 * * *"]}]}}, "it has none"),
        ({"suites": {"x": "name: x\n"}, "networkPolicies": {"enabled": False}}, "artifacts.bucket is empty"),
    ],
)
def test_values_that_cannot_work_are_refused_with_a_hint(values: Object, message: str) -> None:
    with pytest.raises(ChartError, match=message):
        render(values=values)


@pytest.mark.parametrize(("length", "fits"), [(24, True), (25, False)])
def test_a_scheduled_suite_leaves_room_for_the_names_of_its_workflows(length: int, fits: bool) -> None:
    name = "x" * length
    values = {
        "suites": {name: f"name: {name}\nstore: {{uri: 's3://b'}}\n"},
        "schedules": {"suites": [{"suite": name, "sweep": ["0 0 * * *"]}]},
        "networkPolicies": {"enabled": False},
    }
    if fits:
        assert f"a360-{name}" in render(values=values).of("CronWorkflow")
    else:
        with pytest.raises(ChartError, match="has 25 characters, expected at most 24"):
            render(values=values)


def test_the_alerts_and_the_dashboard_ask_for_metrics_that_exist() -> None:
    full = example(FULL)
    rules = full.one("PrometheusRule", "a360")["spec"]["groups"][0]["rules"]
    dashboard = json.loads(full.one("ConfigMap", "a360-dashboard")["data"]["a360.json"])
    asked = [rule["expr"] for rule in rules]
    asked += [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    metrics = {name for text in asked for name in re.findall(r"argo_workflows_(\w+)", text)}
    own = {
        metric["name"]
        for workflow in full.of("WorkflowTemplate").values()
        for part in [workflow["spec"], *workflow["spec"]["templates"]]
        for metric in part.get("metrics", {}).get("prometheus", [])
    }
    assert {name for name in metrics if name.startswith("a360_")} <= own
    assert metrics - own <= OF_ARGO
    assert full.one("ConfigMap", "a360-dashboard")["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert full.one("PrometheusRule", "a360")["metadata"]["labels"]["release"] == "prometheus"


OF_ARGO = {
    "cronworkflows_triggered_total", "error_count", "operation_duration_seconds_bucket", "pod_pending_count",
    "pods_total_count", "queue_depth_gauge", "total_count",
}  # fmt: skip
"""Source: docs/metrics.md of Argo Workflows 4.0.2."""


def test_a_priority_class_is_made_on_request() -> None:
    one = example(CHART / "ci" / "kueue-values.yaml").one("PriorityClass", "a360-nightly")
    assert (one["value"], one["preemptionPolicy"], one["globalDefault"]) == (-100, "Never", False)


# -- Suites


def test_suites_reach_their_pods_unchanged_and_argo_can_read_their_locks() -> None:
    suites = example(FULL).one("ConfigMap", "a360-suites")
    assert suites["metadata"]["labels"]["workflows.argoproj.io/configmap-type"] == "Parameter"
    text = yaml.safe_load(FULL.read_text())["suites"]["amber"]
    assert suites["data"] == {
        "amber.yaml": text,
        "amber.lock": "amber",
        "pythia.yaml": text.replace("amber", "pythia"),
        "pythia.lock": "pythia",
    }


def test_a_lock_is_the_place_that_a_suite_is_published_to() -> None:
    suite = "name: x\nmodel: {name: My_Model}\nstore: {uri: 's3://b'}\n"
    values = {"networkPolicies": {"enabled": False}}
    for publish, lock in [("", "my-model"), ("publish: {project: Own Project}\n", "own-project")]:
        rendered = render(values=values | {"suites": {"x": suite + publish}})
        assert rendered.one("ConfigMap", "a360-suites")["data"]["x.lock"] == lock


def test_artifacts_pass_through_the_store_of_the_first_suite() -> None:
    config = example(MINIMAL).one("ConfigMap", "a360-artifacts")
    assert yaml.safe_load(config["data"]["a360"]) == {
        "s3": {
            "bucket": "results",
            "endpoint": "10.0.0.1:7070",
            "insecure": True,
            "region": "local",
            "accessKeySecret": {"name": "a360-s3", "key": "AWS_ACCESS_KEY_ID"},
            "secretKeySecret": {"name": "a360-s3", "key": "AWS_SECRET_ACCESS_KEY"},
        }
    }


# -- helm test


def test_helm_test_asks_the_doctor_about_every_suite() -> None:
    pod = example(FULL).one("Pod", "a360-doctor")
    assert pod["metadata"]["annotations"]["helm.sh/hook"] == "test"
    containers = {one["name"]: one for one in pod["spec"]["containers"]}
    assert containers.keys() == {"amber", "pythia"}
    amber = containers["amber"]
    assert amber["command"] + amber["args"] == [
        "python", "-P", "-m", "a360", "doctor", "/a360/doctor/amber.yaml"
    ]  # fmt: skip
    assert amber["image"] == "ghcr.io/me/a360-light@sha256:" + "cd" * 32
    assert {
        "name": "suites",
        "mountPath": "/a360/doctor/amber.yaml",
        "subPath": "amber.yaml",
        "readOnly": True,
    } in amber["volumeMounts"]
    (alone,) = render().one("Pod", "a360-doctor")["spec"]["containers"]
    assert "args" not in alone


def test_a_field_that_kubernetes_does_not_know_is_seen() -> None:
    one = example(MINIMAL).one("NetworkPolicy", "a360-s3")
    changed = one | {"spec": one["spec"] | {"policyTyps": []}}
    assert _through_the_client(changed, "V1NetworkPolicy") != changed
