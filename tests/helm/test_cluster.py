"""What the chart asks a cluster: Argo's kinds, templates in use, the API server's address, what it lacks."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.chart import (
    ARGO,
    CHART,
    NAMESPACE,
    ChartError,
    Object,
    Rendered,
    install_dry,
    render,
    run_helm,
    stub_cluster,
)

pytestmark = pytest.mark.helm

MINIMAL: Object = yaml.safe_load((CHART / "ci" / "minimal-values.yaml").read_text())


def secret(name: str = "a360-s3", *keys: str) -> Object:
    data = dict.fromkeys(keys or ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), "eA==")
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": data}


def template(name: str, day: int, release: str = "a360") -> Object:
    return {
        "apiVersion": ARGO,
        "kind": "WorkflowTemplate",
        "metadata": {
            "name": name,
            "namespace": NAMESPACE,
            "uid": "u",
            "resourceVersion": "7",
            "creationTimestamp": f"2026-01-{day:02d}T00:00:00Z",
            "labels": {"app.kubernetes.io/managed-by": "Helm", "helm.sh/chart": "a360-0.0.9"},
            "annotations": {
                "meta.helm.sh/release-name": release,
                "meta.helm.sh/release-namespace": NAMESPACE,
            },
        },
        "spec": {"entrypoint": "checkpoint", "arguments": {"parameters": [{"name": "x", "value": "{{=1}}"}]}},
    }


def sweep(template_name: str, ended: bool = False) -> Object:
    labels = {"workflows.argoproj.io/completed": "true"} if ended else {}
    frozen = {"arguments": {"parameters": [{"name": "checkpoint-template", "value": template_name}]}}
    return {
        "apiVersion": ARGO,
        "kind": "Workflow",
        "metadata": {"name": "s", "namespace": NAMESPACE, "labels": labels},
        "spec": {},
        "status": {"storedWorkflowTemplateSpec": frozen},
    }


def current() -> str:
    (name,) = (one for one in render().of("WorkflowTemplate") if one.startswith("a360-checkpoint-"))
    return name


def earlier(rendered: Rendered) -> set[str]:
    names = {name for name in rendered.of("WorkflowTemplate") if name.startswith("a360-checkpoint-")}
    assert current() in names
    return names - {current()}


def asked(*stored: Object, **values: Any) -> Rendered:
    with stub_cluster(*stored) as server:
        return install_dry(server, values)[0]


OLD = [template(f"a360-checkpoint-0-0-{day}-0000000{day}", day) for day in range(1, 6)]


def test_templates_of_earlier_versions_stay_as_they_are() -> None:
    rendered = asked(*OLD[:2])
    assert earlier(rendered) == {one["metadata"]["name"] for one in OLD[:2]}
    for one in OLD[:2]:
        kept = rendered.one("WorkflowTemplate", one["metadata"]["name"])
        assert kept["spec"] == one["spec"]
        assert kept["metadata"] == {
            "name": one["metadata"]["name"],
            "namespace": NAMESPACE,
            "labels": one["metadata"]["labels"],
        }


def test_the_newest_of_them_are_kept() -> None:
    names = [one["metadata"]["name"] for one in OLD]
    assert earlier(asked(*OLD, keepTemplates=2)) == {names[4], names[3]}
    assert earlier(asked(*OLD, keepTemplates=0)) == set()
    assert earlier(asked(*OLD, keepTemplates=9)) == set(names)


def test_one_that_a_running_sweep_uses_is_kept_however_old() -> None:
    names = [one["metadata"]["name"] for one in OLD]
    assert earlier(asked(*OLD, sweep(names[0]), keepTemplates=1)) == {names[0], names[4]}
    assert earlier(asked(*OLD, sweep(names[0], ended=True), keepTemplates=1)) == {names[4]}


def test_templates_of_others_and_todays_are_not_taken_over() -> None:
    own = template(current(), 9)
    own["spec"] = {"entrypoint": "stale"}
    others = [template("a360-checkpoint-x", 8, release="another"), template("my-checkpoint", 8)]
    rendered = asked(own, *others)
    assert earlier(rendered) == set()
    assert rendered.one("WorkflowTemplate", current())["spec"]["entrypoint"] == "checkpoint"


ADDRESS: list[Object] = [
    {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "kubernetes", "namespace": "default"},
        "spec": {"clusterIPs": ["10.96.0.1", "fd00::1"], "ports": [{"port": 443}]},
    },
    {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": "kubernetes", "namespace": "default"},
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["10.0.0.5"]}, {"addresses": ["10.0.0.6"]}],
        "ports": [{"port": 6443}],
    },
]


def without_address() -> Object:
    policies = {"s3": MINIMAL["networkPolicies"]["s3"]}
    return {key: value for key, value in MINIMAL.items() if key != "networkPolicies"} | {
        "networkPolicies": policies
    }


def test_the_way_to_the_api_server_is_what_the_cluster_says() -> None:
    rendered = asked(*ADDRESS, secret(), **without_address())
    (rule,) = rendered.one("NetworkPolicy", "a360-api-server")["spec"]["egress"]
    cidrs = [peer["ipBlock"]["cidr"] for peer in rule["to"]]
    assert cidrs == ["10.96.0.1/32", "fd00::1/128", "10.0.0.5/32", "10.0.0.6/32"]
    assert [port["port"] for port in rule["ports"]] == [443, 6443]


def test_a_way_out_that_somebody_removed_is_none() -> None:
    rendered = asked(*ADDRESS, networkPolicies={"apiServer": None})
    assert "a360-api-server" in rendered.of("NetworkPolicy")


def test_without_argo_the_install_is_refused_with_instructions() -> None:
    with stub_cluster(without=ARGO) as server, pytest.raises(ChartError) as error:
        install_dry(server, {})
    told = str(error.value)
    assert "Argo Workflows is not installed" in told
    assert "helm upgrade --install argo-workflows argo/argo-workflows" in told
    assert "--api-versions argoproj.io/v1alpha1" in told
    assert "helm/argo-values.yaml" in told
    with pytest.raises(ChartError, match="Argo Workflows is not installed"):
        run_helm("template", "a360", CHART)
    assert run_helm("template", "a360", CHART, "--set", "checks.argo=false")


@pytest.mark.parametrize(
    ("stored", "found"),
    [
        ([], "is not there"),
        ([secret("a360-s3", "AWS_ACCESS_KEY_ID", "key")], "has no key .AWS_SECRET_ACCESS_KEY., it has: A"),
    ],
)
def test_a_missing_secret_of_the_store_is_named_before_a_pod_waits_for_it(
    stored: list[Object], found: str
) -> None:
    with pytest.raises(
        ChartError, match=f"the Secret .a360-s3. of the namespace .{NAMESPACE}. {found}"
    ) as error:
        asked(*ADDRESS, *stored, **MINIMAL)
    assert (
        f"kubectl --namespace {NAMESPACE} create secret generic a360-s3"
        " --from-literal=AWS_ACCESS_KEY_ID=… --from-literal=AWS_SECRET_ACCESS_KEY=…" in str(error.value)
    )
    assert asked(*stored, **MINIMAL | {"checks": {"secrets": False}}).objects
    assert asked(*stored, **MINIMAL | {"s3": {"existingSecret": ""}}).objects


def test_a_priority_class_that_says_something_else_is_named_before_kubernetes_refuses() -> None:
    there: Object = {
        "apiVersion": "scheduling.k8s.io/v1",
        "kind": "PriorityClass",
        "metadata": {
            "name": "a360",
            "labels": {"app.kubernetes.io/managed-by": "Helm"},
            "annotations": {
                "meta.helm.sh/release-name": "a360",
                "meta.helm.sh/release-namespace": NAMESPACE,
            },
        },
        "value": 1000,
        "preemptionPolicy": "Never",
    }
    wanted = {"create": True, "value": 1000, "preemptionPolicy": "Never"}
    assert asked(secret(), there, **MINIMAL | {"priorityClass": wanted}).objects
    for other in ({"value": 7}, {"preemptionPolicy": "PreemptLowerPriority"}):
        with pytest.raises(ChartError, match=r"PriorityClass .a360. has the value 1000 and the policy Never"):
            asked(secret(), there, **MINIMAL | {"priorityClass": wanted | other})
    assert asked(secret(), there, **MINIMAL | {"priorityClass": wanted | {"value": 7, "name": "b"}}).objects


def test_a_missing_queue_is_named() -> None:
    queue: Object = {
        "apiVersion": "kueue.x-k8s.io/v1beta1",
        "kind": "LocalQueue",
        "metadata": {"name": "gpus", "namespace": NAMESPACE},
    }
    values = MINIMAL | {"accelerator": {"queue": "gpus"}}
    with pytest.raises(ChartError, match=r"there is no LocalQueue .gpus. in the namespace"):
        asked(secret(), **values)
    assert asked(secret(), queue, **values).objects


def test_a_missing_place_for_artifacts_is_named() -> None:
    values = MINIMAL | {"artifacts": {"create": False}}
    with pytest.raises(ChartError, match=r"there is no ConfigMap .a360-artifacts."):
        asked(secret(), **values)


def notes(**values: Any) -> str:
    with stub_cluster(secret()) as server:
        return install_dry(server, values)[1]


def test_the_notes_say_the_next_three_commands() -> None:
    told = notes(**MINIMAL)
    commands = [line.strip() for line in told.splitlines() if line.startswith("     ")]
    assert commands == [
        f"helm test a360 --namespace {NAMESPACE} --logs",
        f"argo submit --namespace {NAMESPACE} --from workflowtemplate/a360-sweep --parameter suite=amber",
        f"argo watch --namespace {NAMESPACE} @latest",
    ]
    assert "images.evaluator, images.light, images.sandbox have no digest" in " ".join(told.split())


def test_the_notes_name_what_is_still_to_do() -> None:
    told = notes()
    assert "--set-file suites.amber=amber.yaml" in told
    assert "no digest" not in told
    assert "networkPolicies.enabled is false" in notes(networkPolicies={"enabled": False})


def test_values_for_the_upstream_chart_fit_what_a360_needs() -> None:
    path = Path(CHART).parent / "argo-values.yaml"
    values = yaml.safe_load(path.read_text())
    assert values["controller"]["nodeEvents"] == {"enabled": False}
    assert "parallelism" not in values["controller"]
    assert "namespaceParallelism" not in values["controller"]
    context = values["executor"]["securityContext"]
    assert (context["runAsNonRoot"], context["readOnlyRootFilesystem"]) == (True, True)
    assert values["executor"]["image"]["tag"].endswith("-nonroot")
