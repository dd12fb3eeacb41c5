"""Programs of a model on the real node: pods without credentials, and attacks on the sandbox in one."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from a360.demo.rows import write_mirror
from a360.demo.text import read_documents, split_documents
from a360.grading.graders import source_hash
from a360.grading.sandbox.documents import Limits, Program, Programs, ProgramsOfGroup, VerdictsOfGroup
from tests.cluster.cluster import Cluster
from tests.cluster.comparison import differences, run_here
from tests.cluster.pods import pod
from tests.cluster.processes import wait_until
from tests.cluster.release import Release
from tests.cluster.s3 import PORT
from tests.integration.sandbox.attacks import ATTACKS, BY_NAME, FORGING
from tests.tiny_model import write_checkpoint

pytestmark = pytest.mark.timeout(1200)

BENCHMARKS = ("demo-humaneval-greedy", "demo-mbpp-t08")
RUN = (
    "python -P -m jobs.sandbox --generations /in/programs.json --verdicts /tmp/verdicts.json "
    "--work-dir /tmp/work && cat /tmp/verdicts.json && ls -A /tmp/outside /tmp/work >&2"
)


@pytest.fixture
def release(cluster: Cluster, tmp_path: Path) -> Iterator[Release]:
    write_mirror(tmp_path / "mirror", split_documents(read_documents())[1])
    write_checkpoint(tmp_path / "checkpoints" / "step_1", seed=1)
    release = Release(cluster, cluster.create_namespace(), cluster.s3.create_bucket(), BENCHMARKS)
    release.upload("mirror", tmp_path / "mirror")
    release.upload("checkpoints", tmp_path / "checkpoints")
    release.install()
    yield release
    cluster.delete_namespace(release.namespace)


def test_programs_are_run_apart_and_give_the_numbers_of_one_machine(release: Release, tmp_path: Path) -> None:
    sweep = release.ended(release.submit())
    assert sweep["status"]["phase"] == "Succeeded", release.reasons(sweep)
    [child] = release.children(sweep["metadata"]["name"])
    graded = ["grade-code-commit", "grade-code-fetch", "grade-code-run"]
    assert release.pods_of(child) == ["evaluate", *graded]
    here = run_here(release, tmp_path, tmp_path, pattern="step_(?P<step>[0-9]+)")
    assert differences(here, release.store("results")) == []


def test_no_attack_succeeds_without_rights_in_a_restricted_pod(cluster: Cluster, namespace: str) -> None:
    """With the kernel's protections alone: a pod that Pod Security restricts can make no namespaces."""
    programs = [
        Program(
            id=attack.name,
            program=attack.source.replace("SECRET", "/in/programs.json")
            .replace("OUTSIDE", "/tmp/outside")
            .replace("PORT", str(PORT)),
            tests=attack.tests,
        )
        for attack in ATTACKS
    ]
    honest = "import math\nanswer = math.factorial"
    programs.append(Program(id="honest", program=honest, tests=BY_NAME[FORGING[0].name].tests))
    asked = ProgramsOfGroup(
        source_hash=source_hash("code"),
        pairs={"attacks": Programs(programs=tuple(programs), limits=Limits(timeout_seconds=5.0))},
    )
    document = {"programs.json": asked.model_dump_json()}
    metadata = {"name": "programs", "namespace": namespace}
    cluster.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": document})
    attacked = pod("attacked", namespace, ["sh", "-c", f"mkdir /tmp/outside && {RUN}"])
    spec = attacked["spec"]
    spec["volumes"].append({"name": "in", "configMap": {"name": "programs"}})
    spec["containers"][0]["volumeMounts"].append({"name": "in", "mountPath": "/in"})
    cluster.apply(attacked)

    def is_over() -> bool:
        phase: str = cluster.get("pod", "attacked", "-n", namespace)["status"]["phase"]
        return phase in ("Succeeded", "Failed")

    wait_until("the attacks are over", is_over, seconds=900)
    log = cluster.kubectl("logs", "attacked", "-n", namespace)
    assert cluster.get("pod", "attacked", "-n", namespace)["status"]["phase"] == "Succeeded", log
    [line] = [line for line in log.splitlines() if line.startswith("{")]
    judged = VerdictsOfGroup.model_validate(json.loads(line)).pairs["attacks"]
    assert (judged.attestation.layer, judged.attestation.holds) == ("kernel", True)
    found = {verdict.id: verdict.verdict for verdict in judged.verdicts}
    assert found.pop("honest") == "passed"
    assert {name: ended for name, ended in found.items() if ended not in BY_NAME[name].verdicts} == {}
    left = [line for line in log.splitlines() if line and not line.startswith(("{", "/tmp/"))]
    assert left == []
