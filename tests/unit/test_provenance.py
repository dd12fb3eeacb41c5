"""Where a result came from: what a pod's environment says counts before what this machine says."""

from collections.abc import Iterator

import pytest

from a360.identity import hash_value
from a360.results import provenance


@pytest.fixture(autouse=True)
def afresh() -> Iterator[None]:
    for cached in (provenance.environment, provenance.git_sha):
        cached.cache_clear()
    yield
    for cached in (provenance.environment, provenance.git_sha):
        cached.cache_clear()


def test_a_pod_says_image_revision_node_and_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    said = {
        "A360_IMAGE_DIGEST": "sha256:0123",
        "A360_GIT_SHA": "abcdef",
        "A360_NODE_NAME": "gpu-7",
        "A360_POD_UID": "9a-b",
    }
    for name, value in said.items():
        monkeypatch.setenv(name, value)
    assert provenance.environment() == said["A360_IMAGE_DIGEST"]
    assert provenance.git_sha() == said["A360_GIT_SHA"]
    assert provenance.node() == said["A360_NODE_NAME"]
    assert provenance.new_attempt() == said["A360_POD_UID"]


def test_a_plan_made_in_one_image_knows_those_that_do_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A360_IMAGE_DIGEST", "sha256:light")
    monkeypatch.setenv("A360_IMAGE_DIGESTS", "sha256:evaluator,sha256:light")
    assert provenance.environments() == {"sha256:evaluator", "sha256:light"}
    monkeypatch.delenv("A360_IMAGE_DIGESTS")
    assert provenance.environments() == {"sha256:light"}


def test_outside_a_container_the_package_set_and_the_machine_speak(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("A360_IMAGE_DIGEST", "A360_GIT_SHA", "A360_NODE_NAME", "A360_POD_UID"):
        monkeypatch.delenv(name, raising=False)
    assert provenance.environment().startswith("packages-")
    assert provenance.node()
    assert provenance.new_attempt() != provenance.new_attempt()
    found = set()
    for packages, revision in (({"torch": "0"}, "aa"), ({"torch": "1"}, "aa"), ({"torch": "0"}, "bb")):
        monkeypatch.setattr(provenance, "packages", lambda packages=packages: packages)
        monkeypatch.setattr(provenance, "git_sha", lambda revision=revision: revision)
        provenance.environment.cache_clear()
        assert provenance.environment() == f"packages-{hash_value([packages, revision])}"
        found.add(provenance.environment())
    assert len(found) == 3, "what failed for good is tried again with other packages, and with another a360"
