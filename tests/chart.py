"""The chart as Helm renders it, parsed: offline, or for a stub of a cluster that it asks."""

import functools
import json
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import yaml

ROOT = Path(__file__).resolve().parents[1]
CHART = ROOT / "helm" / "a360"
ARGO = "argoproj.io/v1alpha1"
NAMESPACE = "a360-test"

Object = dict[str, Any]


class ChartError(Exception):
    """Helm refused; the message is what it printed."""


def find_helm() -> str | None:
    """The program of ``A360_HELM``, else the one that the tests build, else the one on the path."""
    if named := os.environ.get("A360_HELM"):
        return named
    build = ROOT / "tests" / "cluster" / "build.sh"
    if build.is_file():
        done = subprocess.run([build, "--where", "helm"], capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return done.stdout.strip()
    return shutil.which("helm")


HELM = find_helm()
WITHOUT_HELM = "helm is not built; hint: tests/cluster/build.sh helm, or A360_HELM=/path/to/helm"


def run_helm(*arguments: str | Path, given: str = "") -> str:
    """What helm printed; ``given`` is what it reads.

    Raises:
        ChartError: it ended with another exit code than 0.
    """
    assert HELM is not None
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "HELM_CACHE_HOME": "/nonexistent"}
    command = [HELM, *map(str, arguments)]
    done = subprocess.run(command, input=given, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        raise ChartError(done.stderr + done.stdout)
    return done.stdout


class Rendered(NamedTuple):
    """The objects of a release, by (kind, name)."""

    objects: Mapping[tuple[str, str], Object]

    def of(self, kind: str) -> dict[str, Object]:
        """The objects of one kind by name."""
        return {name: one for (found, name), one in self.objects.items() if found == kind}

    def one(self, kind: str, name: str) -> Object:
        """One object; KeyError when it is not there."""
        return self.objects[kind, name]


def parse(text: str) -> Rendered:
    """The objects of a stream of YAML documents; two of one kind and name are an error."""
    objects: dict[tuple[str, str], Object] = {}
    for document in yaml.load_all(text, Loader=yaml.CSafeLoader):
        if document:
            key = document["kind"], document["metadata"]["name"]
            assert key not in objects, f"{key} twice"
            objects[key] = document
    return Rendered(objects)


def render(*arguments: str | Path, values: Mapping[str, Any] | None = None, chart: Path = CHART) -> Rendered:
    """The objects of ``helm template`` with these values, for a cluster that has Argo."""
    return parse(_template(chart, json.dumps(values or {}), *map(str, arguments)))


@functools.cache
def _template(chart: Path, values: str, *arguments: str) -> str:
    flags = ["--api-versions", ARGO, "--namespace", NAMESPACE, "--values", "-"]
    return run_helm("template", "a360", chart, *arguments, *flags, given=values)


def install_dry(server: str, values: Mapping[str, Any], chart: Path = CHART) -> tuple[Rendered, str]:
    """The objects that ``helm install`` would create after asking an API server, and its notes."""
    flags = ["--dry-run=server", "--disable-openapi-validation", "--output", "json"]
    flags += ["--namespace", NAMESPACE, "--kube-apiserver", server]
    printed = run_helm("install", "a360", chart, *flags, "--values", "-", given=json.dumps(values))
    release = json.loads(printed)
    return parse(release["manifest"]), release["info"]["notes"]


RESOURCES: dict[str, dict[str, tuple[str, bool]]] = {
    "v1": {
        "Secret": ("secrets", True),
        "ConfigMap": ("configmaps", True),
        "Service": ("services", True),
        "ServiceAccount": ("serviceaccounts", True),
        "Pod": ("pods", True),
        "Namespace": ("namespaces", False),
    },
    "rbac.authorization.k8s.io/v1": {"Role": ("roles", True), "RoleBinding": ("rolebindings", True)},
    "networking.k8s.io/v1": {"NetworkPolicy": ("networkpolicies", True)},
    "scheduling.k8s.io/v1": {"PriorityClass": ("priorityclasses", False)},
    "discovery.k8s.io/v1": {"EndpointSlice": ("endpointslices", True)},
    ARGO: {
        "Workflow": ("workflows", True),
        "WorkflowTemplate": ("workflowtemplates", True),
        "CronWorkflow": ("cronworkflows", True),
    },
    "kueue.x-k8s.io/v1beta1": {"LocalQueue": ("localqueues", True)},
}
"""What the stub's discovery names: group and version -> kind -> (plural, namespaced)."""


@contextmanager
def stub_cluster(*stored: Object, without: str = "") -> Iterator[str]:
    """The address of an API server that answers GET for its discovery and for these objects.

    ``without`` is a group and version that its discovery does not name.
    """
    answers = _answers(stored, without)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.partition("?")[0].rstrip("/")
            found = path in answers
            body = json.dumps(answers.get(path, _NOT_FOUND)).encode()
            self.send_response(200 if found else 404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


_NOT_FOUND = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404}


def _answers(stored: tuple[Object, ...], without: str) -> dict[str, Object]:
    known = {version: kinds for version, kinds in RESOURCES.items() if version != without}
    groups = [version.split("/") for version in known if "/" in version]
    answers: dict[str, Object] = {
        "/version": {"major": "1", "minor": "33", "gitVersion": "v1.33.1"},
        "/api": {"kind": "APIVersions", "versions": ["v1"]},
        "/apis": {
            "kind": "APIGroupList",
            "apiVersion": "v1",
            "groups": [
                {"name": group, "versions": [_group_version(group, version)]} for group, version in groups
            ],
        },
    }
    for group_version, kinds in known.items():
        base = f"/apis/{group_version}" if "/" in group_version else f"/api/{group_version}"
        answers[base] = {
            "kind": "APIResourceList",
            "groupVersion": group_version,
            "resources": [
                {"name": plural, "namespaced": namespaced, "kind": kind, "verbs": ["get", "list"]}
                for kind, (plural, namespaced) in kinds.items()
            ],
        }
        for kind, (plural, _) in kinds.items():
            mine = [one for one in stored if one["apiVersion"] == group_version and one["kind"] == kind]
            answers |= _places(base, group_version, kind, plural, mine)
    return answers


def _group_version(group: str, version: str) -> Object:
    return {"groupVersion": f"{group}/{version}", "version": version}


def _places(base: str, version: str, kind: str, plural: str, stored: list[Object]) -> dict[str, Object]:
    """The answers for the lists of one kind in our namespace, and for each of its objects."""
    items = [one for one in stored if one["metadata"].get("namespace", NAMESPACE) == NAMESPACE]
    places: dict[str, Object] = {
        f"{base}/namespaces/{NAMESPACE}/{plural}": {
            "kind": f"{kind}List",
            "apiVersion": version,
            "metadata": {},
            "items": items,
        }
    }
    for one in stored:
        namespace, name = one["metadata"].get("namespace", NAMESPACE), one["metadata"]["name"]
        places[f"{base}/namespaces/{namespace}/{plural}/{name}"] = one
        places[f"{base}/{plural}/{name}"] = one  # of a kind that belongs to the whole cluster
    return places
