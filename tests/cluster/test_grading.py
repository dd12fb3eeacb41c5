"""A judge that pods ask: with its key from a Secret of its own, which no pod but those that grade gets."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from transformers import AutoTokenizer

from a360.demo.rows import write_mirror
from a360.demo.text import read_documents, split_documents
from tests.cluster.cluster import Cluster
from tests.cluster.comparison import differences, run_here
from tests.cluster.release import Release
from tests.judge_server import KEY, JudgeServer, judge_server
from tests.tiny_model import write_checkpoint

pytestmark = pytest.mark.timeout(1200)

TEMPLATE = "{% for message in messages %}<{{ message.role }}> {{ message.content }}\n{% endfor %}<assistant>"


@pytest.fixture
def judge(cluster: Cluster) -> Iterator[JudgeServer]:
    with judge_server(host=cluster.node_ip) as server:
        yield server


def test_answers_of_a_model_are_rated_as_on_one_machine(
    cluster: Cluster, judge: JudgeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_mirror(tmp_path / "mirror", split_documents(read_documents())[1])
    checkpoint = write_checkpoint(tmp_path / "checkpoints" / "step_1", seed=1)
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    tokenizer.chat_template = TEMPLATE
    tokenizer.save_pretrained(checkpoint)
    release = Release(cluster, cluster.create_namespace(), cluster.s3.create_bucket(), ["demo-mt-bench"])
    release.judge = {"model": "gpt", "url": judge.url, "attempts": 1, "workers": 1}
    release.upload("mirror", tmp_path / "mirror")
    release.upload("checkpoints", tmp_path / "checkpoints")
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "a360-judge", "namespace": release.namespace},
        "stringData": {"api-key": KEY},
    }
    cluster.apply(secret)
    release.install()

    sweep = release.ended(release.submit())
    assert sweep["status"]["phase"] == "Succeeded", release.reasons(sweep)
    [child] = release.children(sweep["metadata"]["name"])
    assert release.pods_of(child) == ["evaluate", "grade-judge"]
    by_pods = sorted(judge.prompts)
    assert by_pods
    assert {asked.key for asked in judge.asked} == {KEY}

    monkeypatch.setenv("A360_JUDGE_API_KEY", KEY)
    here = run_here(release, tmp_path, tmp_path, pattern="step_(?P<step>[0-9]+)")
    assert differences(here, release.store("results")) == []
    assert sorted(judge.prompts[len(by_pods) :]) == by_pods
    assert KEY not in str(release.cluster.get("workflows", "-n", release.namespace))
    cluster.delete_namespace(release.namespace)
