"""The cluster is a real one: a pod runs, a workflow ends, one writer wins, what is forbidden is refused."""

import json
from concurrent.futures import ThreadPoolExecutor

import boto3.session
import pytest
from botocore.exceptions import ClientError

from tests.cluster.cluster import Cluster
from tests.cluster.pods import executor_role, pod, workflow
from tests.cluster.processes import NotReadyError, wait_until

IMPORTS = """
import os, torch, lm_eval, a360, jobs.plan
from importlib.metadata import version
assert os.getuid() == 10001, os.getuid()
for path in ("/opt/env/x", "/opt/a360/x", "/x"):
    try: open(path, "w")
    except OSError: continue
    raise SystemExit(f"{path} can be written")
open("/tmp/x", "w").close()
print(torch.ones(2).sum().item(), version("lm_eval"), version("a360"), os.environ["A360_GIT_SHA"])
"""
PUT = """
import boto3, sys
boto3.client("s3").put_object(Bucket=sys.argv[1], Key="from-a-pod", Body=b"hello", IfNoneMatch="*")
"""


def phase(cluster: Cluster, namespace: str, name: str) -> str:
    """Waits for the end of a pod."""

    def ended() -> bool:
        found.append(cluster.get("pod", name, "-n", namespace)["status"]["phase"])
        return found[-1] in ("Succeeded", "Failed")

    found: list[str] = []
    wait_until(f"pod {name} ends", ended, seconds=240)
    return found[-1]


def test_the_node_is_ready_and_runs_what_was_built(cluster: Cluster) -> None:
    node = cluster.get("node", cluster.node_name)
    ready = [item["status"] for item in node["status"]["conditions"] if item["type"] == "Ready"]
    assert ready == ["True"]
    assert node["status"]["nodeInfo"]["kubeletVersion"] == "v1.34.4"
    assert json.loads(cluster.kubectl("version", "-o", "json"))["serverVersion"]["gitVersion"] == "v1.34.4"
    assert "v4.0.2" in cluster.argo("version", "--short")
    assert cluster.helm("version", "--short").startswith("v4.2.4")


def test_a_pod_imports_the_packages_without_rights(cluster: Cluster, namespace: str) -> None:
    cluster.apply(pod("imports", namespace, ["python", "-P", "-c", IMPORTS]))
    ended = phase(cluster, namespace, "imports")
    log = cluster.kubectl("logs", "imports", "-n", namespace)
    assert ended == "Succeeded", log
    assert log.startswith("2.0 0.4.13 "), log


def test_pod_security_refuses_a_pod_with_a_path_of_the_node(cluster: Cluster, namespace: str) -> None:
    document = pod("curious", namespace, ["true"])
    document["spec"]["volumes"].append({"name": "node", "hostPath": {"path": "/"}})
    with pytest.raises(NotReadyError, match=r'violates PodSecurity "restricted:latest": .*hostPath'):
        cluster.apply(document)


def test_a_workflow_of_one_pod_succeeds(cluster: Cluster, namespace: str) -> None:
    cluster.apply(*executor_role(namespace))
    output = {"parameters": [{"name": "word", "valueFrom": {"path": "/tmp/word"}}]}
    document = workflow("one", namespace, ["sh", "-c", "echo fine >/tmp/word"], outputs=output)
    cluster.argo("submit", "-n", namespace, "--wait", "-", stdin=json.dumps(document))
    status = cluster.get("workflow", "one", "-n", namespace)["status"]
    assert status["phase"] == "Succeeded"
    (node,) = status["nodes"].values()
    assert node["outputs"]["parameters"] == [{"name": "word", "value": "fine", **output["parameters"][0]}]


def test_a_workflow_survives_the_death_of_its_controller(cluster: Cluster, namespace: str) -> None:
    cluster.apply(*executor_role(namespace), workflow("orphan", namespace, ["sleep", "3"]))
    wait_until("its pod exists", lambda: bool(cluster.get("pods", "-n", namespace)["items"]), seconds=120)
    cluster.kill_controller()
    phase(cluster, namespace, "orphan")
    cluster.start_controller()
    cluster.argo("wait", "-n", namespace, "orphan")
    assert cluster.get("workflow", "orphan", "-n", namespace)["status"]["phase"] == "Succeeded"


def test_exactly_one_of_many_writers_wins(cluster: Cluster) -> None:
    bucket = cluster.s3.create_bucket()
    session = boto3.session.Session(cluster.s3.access_key, cluster.s3.secret_key, region_name="us-east-1")
    clients = [session.client("s3", endpoint_url=cluster.s3.endpoint_url) for _ in range(8)]

    def put(number: int, key: str) -> int:
        try:
            clients[number].put_object(Bucket=bucket, Key=key, Body=bytes([number]), IfNoneMatch="*")
        except ClientError as error:
            return int(error.response["ResponseMetadata"]["HTTPStatusCode"])
        return 200

    with ThreadPoolExecutor(len(clients)) as pool:
        for attempt in range(10):
            answers = sorted(pool.map(put, range(len(clients)), [f"key-{attempt}"] * len(clients)))
            assert answers == [200] + [412] * (len(clients) - 1)


def test_a_pod_puts_an_object_that_no_other_can_replace(cluster: Cluster, namespace: str) -> None:
    bucket = cluster.s3.create_bucket()
    variables = [{"name": name, "value": value} for name, value in cluster.s3.environment.items()]
    cluster.apply(pod("put", namespace, ["python", "-P", "-c", PUT, bucket], env=variables))
    ended = phase(cluster, namespace, "put")
    assert ended == "Succeeded", cluster.kubectl("logs", "put", "-n", namespace)
    cluster.apply(pod("again", namespace, ["python", "-P", "-c", PUT, bucket], env=variables))
    assert phase(cluster, namespace, "again") == "Failed"
    assert "PreconditionFailed" in cluster.kubectl("logs", "again", "-n", namespace)


def test_pods_of_simulated_nodes_succeed(cluster: Cluster, namespace: str) -> None:
    cluster.start_kwok(nodes=1, seconds=0.5)
    try:
        document = workflow(
            "simulated",
            namespace,
            ["nothing-runs"],
            nodeSelector={"type": "kwok"},
            tolerations=[{"operator": "Exists"}],
        )
        cluster.argo("submit", "-n", namespace, "--wait", "-", stdin=json.dumps(document))
        assert cluster.get("workflow", "simulated", "-n", namespace)["status"]["phase"] == "Succeeded"
        (found,) = cluster.get("pods", "-n", namespace)["items"]
        assert found["spec"]["nodeName"] == "kwok-0"
    finally:
        cluster.stop_kwok()


def test_a_pod_gets_a_gpu_that_does_not_exist(cluster: Cluster, namespace: str) -> None:
    cluster.add_gpus(2)
    wanted = {"limits": {"nvidia.com/gpu": "1"}}
    cluster.apply(pod("gpu", namespace, ["true"], resources=wanted))
    assert phase(cluster, namespace, "gpu") == "Succeeded"
    wanted = {"limits": {"nvidia.com/gpu": "3"}}
    cluster.apply(pod("too-many", namespace, ["true"], resources=wanted))

    def refused() -> bool:
        conditions = cluster.get("pod", "too-many", "-n", namespace)["status"].get("conditions", [])
        return any("Insufficient nvidia.com/gpu" in item.get("message", "") for item in conditions)

    wait_until("the scheduler says why it waits", refused, seconds=60)
