"""Values that YAML or a template could take for something else reach a checkpoint's workflow as they were.

The sweep's own template creates the children; only its plan step is replaced by one that hands out what is
here, and the template of the children by one that gives back what it got.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.cluster.cluster import Cluster
from tests.cluster.pods import container
from tests.cluster.release import SUITE, Release

pytestmark = pytest.mark.timeout(1200)

HOSTILE = (
    "012",
    "1e3",
    "yes",
    "null",
    "a: b",
    "# no comment",
    "'it is' \"so\"",
    "two\nlines\n",
    "\\n",
    "ü 漢",
)
GIVE_BACK = "import sys; open('/tmp/got', 'w', encoding='utf-8').write(sys.argv[1])"
HAND_OUT = """
import sys
for name, text in zip(("plan", "benchmarks", "checkpoints"), sys.argv[1:]):
    open(f"/tmp/{name}", "w", encoding="utf-8").write(text)
"""


@pytest.fixture(scope="module")
def release(cluster: Cluster) -> Iterator[Release]:
    changes = {"parallelism": len(HOSTILE)}
    release = Release(
        cluster, cluster.create_namespace(), cluster.s3.create_bucket(), ["demo-boolq"], changes
    )
    release.install()
    yield release
    cluster.delete_namespace(release.namespace)


@pytest.fixture(scope="module")
def children(release: Release) -> list[dict[str, Any]]:
    """The ended children of a sweep whose checkpoints have hostile names."""
    installed = release.cluster.get("workflowtemplate", "a360-sweep", "-n", release.namespace)["spec"]
    child = {key: installed[key] for key in ("securityContext", "podGC", "ttlStrategy") if key in installed}
    [replaced] = [template for template in installed["templates"] if template["name"] == "plan"]
    executor = {"executor": replaced["executor"]}
    child |= {
        "serviceAccountName": installed["serviceAccountName"],
        "entrypoint": "main",
        "volumes": [{"name": "tmp", "emptyDir": {}}],
        "templates": [
            {
                "name": "main",
                "container": container(["python", "-c", GIVE_BACK, "{{workflow.parameters.checkpoint}}"]),
                "outputs": {"parameters": [{"name": "got", "valueFrom": {"path": "/tmp/got"}}]},
                **executor,
            }
        ],
    }
    items = [
        {"child": f"hostile-{number}", "checkpoint": value, "groups": f"0:{value}"}
        for number, value in enumerate(HOSTILE)
    ]
    plan = {
        "name": "plan",
        "container": container(["python", "-c", HAND_OUT, "012", "a: b", json.dumps(items)]),
        "outputs": {
            "parameters": [
                {"name": name, "valueFrom": {"path": f"/tmp/{name}"}}
                | ({"globalName": name} if name == "benchmarks" else {})
                for name in ("plan", "benchmarks", "checkpoints")
            ]
        },
        **executor,
    }
    own = [plan if template is replaced else template for template in installed["templates"]]
    arguments = {"suite": SUITE, "checkpoint-template": "give-back"}
    sweep = {key: value for key, value in installed.items() if key != "onExit"} | {
        "templates": own,
        "arguments": {
            "parameters": [
                parameter | {"value": arguments.get(parameter["name"], parameter.get("value"))}
                for parameter in installed["arguments"]["parameters"]
            ]
        },
    }
    sweep["volumes"] = [*sweep.get("volumes", []), {"name": "tmp", "emptyDir": {}}]
    for kind, name, spec in (("WorkflowTemplate", "give-back", child), ("Workflow", "hostile", sweep)):
        metadata = {"name": name, "namespace": release.namespace}
        document = {"apiVersion": "argoproj.io/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec}
        release.cluster.apply(document)
    ended = release.ended("hostile")
    assert ended["status"]["phase"] == "Succeeded", ended["status"].get("message")
    found = release.children("hostile")
    return sorted(found, key=lambda child: int(child["metadata"]["name"].rpartition("-")[2]))


def test_every_value_is_an_argument_of_the_child_as_it_was(children: list[dict[str, Any]]) -> None:
    assert [parameters_of(child) for child in children] == [
        {
            "suite": SUITE,
            "plan": "012",
            "checkpoint": value,
            "groups": f"0:{value}",
            "benchmarks": "a: b",
            "sweep": "hostile",
        }
        for value in HOSTILE
    ]
    assert [child["metadata"]["annotations"]["a360/checkpoint"] for child in children] == list(HOSTILE)


def test_every_value_reaches_the_program_in_the_childs_pod(children: list[dict[str, Any]]) -> None:
    got = [
        node["outputs"]["parameters"][0]["value"]
        for child in children
        for node in child["status"]["nodes"].values()
        if node["type"] == "Pod"
    ]
    assert [value.rstrip("\n") for value in got] == [value.rstrip("\n") for value in HOSTILE]


def parameters_of(workflow: dict[str, Any]) -> dict[str, str]:
    return {item["name"]: item["value"] for item in workflow["spec"]["arguments"]["parameters"]}
