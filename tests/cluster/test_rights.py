"""What each account of the chart may do on a real API server, and what it is refused."""

import json
from collections.abc import Iterator

import pytest

from tests.cluster.cluster import Cluster
from tests.cluster.processes import NotReadyError
from tests.cluster.release import Release

ACCOUNTS = ("planner", "evaluator", "grader", "publisher", "executor", "orchestrator")
RESULT = {
    "apiVersion": "argoproj.io/v1alpha1",
    "kind": "WorkflowTaskResult",
    "metadata": {"generateName": "result-"},
}
CHILD = {
    "apiVersion": "argoproj.io/v1alpha1",
    "kind": "Workflow",
    "metadata": {"generateName": "child-"},
    "spec": {"workflowTemplateRef": {"name": "a360-publish"}},
}
POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"generateName": "pod-"},
    "spec": {"containers": [{"name": "main", "image": "x"}]},
}
MAY_CREATE = {
    ("executor", "WorkflowTaskResult"),
    ("orchestrator", "WorkflowTaskResult"),
    ("orchestrator", "Workflow"),
}
MAY = {
    "executor": {"create workflowtaskresults", "patch workflowtaskresults"},
    "orchestrator": {"create workflowtaskresults", "patch workflowtaskresults"}
    | {f"{verb} workflows" for verb in ("create", "get", "patch")},
}
"""Every right that an account of the chart has; the others have none."""
FORBIDDEN = (
    ("get", "secrets"),
    ("get", "secret", "a360-s3"),
    ("get", "configmaps"),
    ("get", "pods"),
    ("get", "workflowtemplates"),
    ("get", "workflows"),
    ("delete", "workflow", "any"),
    ("delete", "pod", "any"),
    ("delete", "secret", "a360-s3"),
    ("delete", "configmap", "a360-suites"),
    ("delete", "workflowtemplate", "a360-sweep"),
    ("delete", "networkpolicy", "a360-default-deny"),
    ("create", "token", "a360-orchestrator"),
    ("create", "secret", "generic", "own"),
    ("create", "role", "own", "--verb=get", "--resource=secrets"),
    ("create", "rolebinding", "own", "--clusterrole=admin", "--serviceaccount=default:default"),
    ("create", "deployment", "own", "--image=x"),
    ("get", "nodes"),
)


@pytest.fixture(scope="module")
def release(cluster: Cluster) -> Iterator[Release]:
    release = Release(cluster, cluster.create_namespace(), cluster.s3.create_bucket(), ["demo-boolq"])
    release.install()
    yield release
    cluster.delete_namespace(release.namespace)


def call(release: Release, account: str, *words: str, document: object = None) -> str:
    """What kubectl says as that account."""
    identity = f"system:serviceaccount:{release.namespace}:a360-{account}"
    stdin = None if document is None else json.dumps(document)
    return release.cluster.kubectl(*words, "-n", release.namespace, "--as", identity, stdin=stdin)


@pytest.mark.parametrize("document", [RESULT, CHILD, POD], ids=lambda document: str(document["kind"]))
@pytest.mark.parametrize("account", ACCOUNTS)
def test_an_account_creates_what_its_role_says_and_nothing_else(
    release: Release, account: str, document: dict[str, object]
) -> None:
    words = ("create", "--dry-run=server", "-f", "-")
    if (account, document["kind"]) in MAY_CREATE:
        assert "created" in call(release, account, *words, document=document)
        return
    with pytest.raises(NotReadyError, match="is forbidden: User"):
        call(release, account, *words, document=document)


@pytest.mark.parametrize("words", FORBIDDEN, ids=" ".join)
@pytest.mark.parametrize("account", ACCOUNTS)
def test_an_account_is_refused_what_nobody_gave_it(
    release: Release, account: str, words: tuple[str, ...]
) -> None:
    with pytest.raises(NotReadyError, match="is forbidden: User"):
        call(release, account, *words)


@pytest.mark.parametrize("account", ACCOUNTS)
def test_the_api_server_knows_of_no_other_right(release: Release, account: str) -> None:
    """Beside what every account may ask about itself."""
    document = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectRulesReview",
        "spec": {"namespace": release.namespace},
    }
    words = ("create", "--validate=false", "-f", "-", "-o", "json")
    said = json.loads(call(release, account, *words, document=document))
    rights = {
        f"{verb} {resource}"
        for rule in said["status"]["resourceRules"]
        for verb in rule["verbs"]
        for resource in rule["resources"]
        if not resource.startswith("selfsubject")
    }
    assert rights == MAY.get(account, set())


def test_who_waits_for_a_child_may_read_it(release: Release) -> None:
    with pytest.raises(NotReadyError, match=r'workflows\.argoproj\.io "nobody" not found'):
        call(release, "orchestrator", "get", "workflow", "nobody")
