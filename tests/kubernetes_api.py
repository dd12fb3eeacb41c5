"""A small Kubernetes API over HTTP for tests: objects in memory, and the refusals of the real one.

It serves the paths that a360 asks for and answers 404 to every other. It refuses what an API server refuses:
wrong tokens (401), verbs of a table (403), names and labels that are not legal (422), names that are taken
(409), patches in a format that custom resources do not have (415), pods that Pod Security ``restricted``
forbids (403), workflows whose parameters are no texts (422). Controllers it has none: a test says what a
kubelet would.
"""

import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

import yaml

TOKEN = "a-token-of-the-tests"
USER = "tester"
ARGO = "argoproj.io/v1alpha1"
KUEUE = "kueue.x-k8s.io/v1beta1"

Document = dict[str, Any]
BIRTH = datetime(2026, 1, 1, tzinfo=UTC)

SERVED: dict[str, dict[str, tuple[str, bool]]] = {
    "v1": {
        "pods": ("Pod", True),
        "secrets": ("Secret", True),
        "configmaps": ("ConfigMap", True),
        "serviceaccounts": ("ServiceAccount", True),
        "nodes": ("Node", False),
    },
    "apps/v1": {"deployments": ("Deployment", True)},
    "authorization.k8s.io/v1": {
        "selfsubjectaccessreviews": ("SelfSubjectAccessReview", False),
        "localsubjectaccessreviews": ("LocalSubjectAccessReview", True),
    },
    ARGO: {
        "workflows": ("Workflow", True),
        "workflowtemplates": ("WorkflowTemplate", True),
        "cronworkflows": ("CronWorkflow", True),
        "workflowtaskresults": ("WorkflowTaskResult", True),
    },
    KUEUE: {"localqueues": ("LocalQueue", True)},
}
"""Group and version -> plural -> kind, and whether it lives in namespaces."""

_DNS = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_LABEL = re.compile(r"([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?")
_PATH = re.compile(
    r"/(?:api/(?P<core>v1)|apis/(?P<group>[^/]+/[^/]+))(?:/namespaces/(?P<namespace>[^/]+))?/(?P<plural>[^/]+)"
    r"(?:/(?P<name>[^/]+)(?:/(?P<sub>[^/]+))?)?"
)


class RefusalError(Exception):
    """A Status document instead of an answer."""

    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.code, self.reason, self.message = code, reason, message


class Asked(NamedTuple):
    """A request: verb as RBAC has it, resource, name."""

    verb: str
    resource: str
    name: str


class Target(NamedTuple):
    """What a path means."""

    version: str
    plural: str
    kind: str
    namespaced: bool
    namespace: str
    name: str
    sub: str

    @property
    def resource(self) -> str:
        group = self.version.rpartition("/")[0]
        return f"{self.plural}{f'/{self.sub}' if self.sub else ''}{f'.{group}' if group else ''}"


@dataclass
class KubernetesApi:
    """The state of the fake, and what a test may change of it."""

    url: str = ""
    namespaces: set[str] = field(default_factory=lambda: {"a360"})
    objects: dict[tuple[str, str, str], Document] = field(default_factory=dict)
    """(resource, namespace, name) -> document."""
    absent: set[str] = field(default_factory=lambda: {KUEUE})
    """Groups that are not installed."""
    forbidden: set[str] = field(default_factory=set)
    """What the user may not: ``create workflows.argoproj.io``."""
    accounts: dict[str, set[str]] = field(default_factory=dict)
    """What service accounts may, in the same words."""
    schema: Document = field(default_factory=dict)
    """Of Workflow, as /openapi/v3 publishes it."""
    logs: dict[str, list[str]] = field(default_factory=dict)
    statuses: Callable[[Document], Document | None] = lambda pod: None
    """The kubelet: the next status of a pod, asked at every GET of it."""
    failing: list[int] = field(default_factory=list)
    """Status codes for the next requests, in order."""
    asked: list[Asked] = field(default_factory=list)
    lock: threading.RLock = field(default_factory=threading.RLock)
    counter: int = 0

    def made(self, resource: str) -> list[str]:
        """The names of objects that were created by requests."""
        return [ask.name for ask in self.asked if ask.verb == "create" and ask.resource == resource]

    def all(self, resource: str) -> list[Document]:
        """The objects of a resource."""
        return [document for (kind, _, _), document in self.objects.items() if kind == resource]

    def write_kubeconfig(self, path: Path, *, namespace: str | None = "a360", token: str = TOKEN) -> Path:
        """A kubeconfig that leads here."""
        context: Document = {"cluster": "c", "user": "u", **({"namespace": namespace} if namespace else {})}
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "tests",
            "clusters": [{"name": "c", "cluster": {"server": self.url}}],
            "users": [{"name": "u", "user": {"token": token}}],
            "contexts": [{"name": "tests", "context": context}],
        }
        path.write_text(yaml.safe_dump(document))
        return path

    # --- verbs ---------------------------------------------------------------------------------------

    def answer(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> Document | list[str]:
        """What a request gets; a list is a log."""
        parts = urlsplit(url)
        query = dict(parse_qsl(parts.query))
        if headers.get("authorization") != f"Bearer {TOKEN}":
            raise RefusalError(401, "Unauthorized", "Unauthorized")
        if self.failing:
            raise RefusalError(self.failing.pop(0), "ServiceUnavailable", "the server is restarting")
        if method == "GET" and (listing := self.discover(parts.path)) is not None:
            return listing
        target = self.find_target(parts.path)
        verb = self.verb_of(method, target)
        self.asked.append(Asked(verb, target.resource, target.name))
        if target.kind.endswith("AccessReview"):
            return self.review(target, json.loads(body))
        self.require(verb, target)
        if verb == "list":
            return self.list_objects(target, query)
        if verb == "create":
            return self.create(target, headers, json.loads(body))
        document = self.objects.get(
            (target.resource.replace(f"/{target.sub}", ""), target.namespace, target.name)
        )
        if document is None:
            group = target.version.rpartition("/")[0]
            what = f"{target.plural}{f'.{group}' if group else ''}"
            raise RefusalError(404, "NotFound", f'{what} "{target.name}" not found')
        if target.sub == "log":
            return self.log(document, query)
        if verb == "patch":
            return self.patch(target, document, headers, body)
        if verb == "delete":
            del self.objects[(target.resource, target.namespace, target.name)]
            return document
        if target.plural == "pods" and (status := self.statuses(document)) is not None:
            document["status"] = status
        return document

    def discover(self, path: str) -> Document | None:
        """The documents that say what there is; None for any other path."""
        versions = {version: kinds for version, kinds in SERVED.items() if version not in self.absent}
        if (version := path.removeprefix("/apis/")) in versions and path != version:
            resources = [{"name": plural, "kind": kind} for plural, (kind, _) in versions[version].items()]
            return {"kind": "APIResourceList", "groupVersion": version, "resources": resources}
        for version in versions:
            group, _, number = version.rpartition("/")
            if group and path == f"/apis/{group}":
                return {"kind": "APIGroup", "name": group, "preferredVersion": {"version": number}}
        if path == f"/openapi/v3/apis/{ARGO}" and ARGO in versions:
            return {"components": {"schemas": {"io.argoproj.v1alpha1.Workflow": self.schema}}}
        return None

    def find_target(self, path: str) -> Target:
        found = _PATH.fullmatch(path)
        version = (found["core"] or found["group"]) if found else ""
        served = {} if version in self.absent else SERVED.get(version, {})
        if not found or found["plural"] not in served:
            raise RefusalError(404, "NotFound", "the server could not find the requested resource")
        kind, namespaced = served[found["plural"]]
        if found["sub"] not in (None, "log") or (not namespaced and found["namespace"]):
            raise RefusalError(404, "NotFound", "the server could not find the requested resource")
        return Target(
            version, found["plural"], kind, namespaced, found["namespace"] or "", found["name"] or "",
            found["sub"] or "",
        )  # fmt: skip

    def verb_of(self, method: str, target: Target) -> str:
        verbs = {
            "GET": "get" if target.name else "list",
            "POST": "create",
            "PATCH": "patch",
            "DELETE": "delete",
        }
        named = {"GET": bool(target.name), "POST": False}.get(method, True)
        if method not in verbs or named != bool(target.name):
            raise RefusalError(
                405, "MethodNotAllowed", "the server does not allow this method on the resource"
            )
        return verbs[method]

    def require(self, verb: str, target: Target) -> None:
        words = f"{verb} {target.resource}"
        if words in self.forbidden or (not target.namespace and f"{words} everywhere" in self.forbidden):
            group = target.version.rpartition("/")[0]
            scope = f'in the namespace "{target.namespace}"' if target.namespace else "at the cluster scope"
            what = (
                f"{target.plural}{f'.{group}' if group else ''}{f' {target.name!r}' if target.name else ''}"
            )
            plural = f"{target.plural}{f'/{target.sub}' if target.sub else ''}"
            raise RefusalError(
                403,
                "Forbidden",
                f'{what} is forbidden: User "{USER}" cannot {verb} resource "{plural}" '
                f'in API group "{group}" {scope}',
            )

    def review(self, target: Target, body: Document) -> Document:
        spec = body["spec"]
        asked = spec["resourceAttributes"]
        part = f"/{asked['subresource']}" if asked.get("subresource") else ""
        group = f".{asked['group']}" if asked.get("group") else ""
        words = f"{asked['verb']} {asked['resource']}{part}{group}"
        if target.kind == "LocalSubjectAccessReview":
            self.require("create", target)
            if asked.get("namespace") != target.namespace:
                raise RefusalError(
                    422, "Invalid", "spec.resourceAttributes.namespace: must match the namespace"
                )
            account = spec["user"].rpartition(":")[2]
            allowed = words in self.accounts.get(account, set())
        else:
            allowed = words not in self.forbidden
        return {**body, "status": {"allowed": allowed}}

    def list_objects(self, target: Target, query: Mapping[str, str]) -> Document:
        found = [
            document
            for (resource, namespace, _), document in sorted(self.objects.items())
            if resource == target.resource
            and (not target.namespace or namespace == target.namespace)
            and selects(query.get("labelSelector", ""), document["metadata"].get("labels") or {})
        ]
        start, limit = int(query.get("continue", "0")), int(query.get("limit", "0")) or len(found)
        rest = {"continue": str(start + limit)} if start + limit < len(found) else {}
        return {
            "kind": f"{target.kind}List",
            "apiVersion": target.version,
            "metadata": rest,
            "items": found[start : start + limit],
        }

    def create(self, target: Target, headers: Mapping[str, str], document: Document) -> Document:
        if not headers.get("content-type", "").startswith("application/json"):
            raise RefusalError(
                415, "UnsupportedMediaType", "the body of the request was in an unknown format"
            )
        if target.namespaced and target.namespace not in self.namespaces:
            raise RefusalError(404, "NotFound", f'namespaces "{target.namespace}" not found')
        document = json.loads(json.dumps(document))
        if document.get("kind") != target.kind or document.get("apiVersion") != target.version:
            raise RefusalError(400, "BadRequest", f"the object provided is no {target.version} {target.kind}")
        about = document.setdefault("metadata", {})
        if about.get("namespace", target.namespace) != target.namespace:
            raise RefusalError(
                400, "BadRequest", "the namespace of the provided object does not match the request"
            )
        self.counter += 1
        if not about.get("name") and about.get("generateName"):
            about["name"] = f"{about['generateName'][:58]}{self.counter:05d}"
        self.validate(target, document)
        key = (target.resource, target.namespace, about["name"])
        if key in self.objects:
            raise RefusalError(409, "AlreadyExists", f'{target.plural} "{about["name"]}" already exists')
        about["uid"] = f"00000000-0000-4000-8000-{self.counter:012d}"
        if target.namespace:
            about["namespace"] = target.namespace
        # The server's clock counts, whatever the document says; here it goes on by a second each time.
        about["creationTimestamp"] = f"{BIRTH + timedelta(seconds=self.counter):%Y-%m-%dT%H:%M:%SZ}"
        self.objects[key] = document
        self.asked[-1] = self.asked[-1]._replace(name=about["name"])
        return document

    def validate(self, target: Target, document: Document) -> None:
        about, spec = document["metadata"], document.get("spec") or {}
        name = about.get("name") or ""
        if not _DNS.fullmatch(name) or len(name) > 253:
            raise RefusalError(
                422, "Invalid", f'metadata.name: Invalid value: "{name}": a lowercase RFC 1123 subdomain'
            )
        for key, value in (about.get("labels") or {}).items():
            if not isinstance(value, str) or not _LABEL.fullmatch(value):
                raise RefusalError(422, "Invalid", f'metadata.labels: Invalid value: "{value}" of {key}')
        if target.kind == "Workflow":
            for parameter in (spec.get("arguments") or {}).get("parameters") or []:
                if not isinstance(parameter.get("value", ""), str):
                    raise RefusalError(
                        422, "Invalid", "spec.arguments.parameters.value: must be of type string"
                    )
        if any(template.get("steps") == [] for template in spec.get("templates") or []):
            raise RefusalError(422, "Invalid", "spec.templates[0].steps: should have at least 1 items")
        if target.kind == "Pod":
            self.admit(target, spec)

    def admit(self, target: Target, spec: Document) -> None:
        account = spec.get("serviceAccountName", "default")
        if ("serviceaccounts", target.namespace, account) not in self.objects:
            message = f"error looking up service account {target.namespace}/{account}: not found"
            raise RefusalError(403, "Forbidden", message)
        faults = restricted_faults(spec)
        if faults:
            message = f'violates PodSecurity "restricted:latest": {", ".join(faults)}'
            raise RefusalError(403, "Forbidden", message)

    def patch(self, target: Target, document: Document, headers: Mapping[str, str], body: bytes) -> Document:
        if headers.get("content-type") != "application/merge-patch+json":
            raise RefusalError(
                415, "UnsupportedMediaType", "the body of the request was in an unknown format"
            )
        merge(document, json.loads(body))
        return document

    def log(self, pod: Document, query: Mapping[str, str]) -> list[str]:
        names = [container["name"] for container in pod["spec"]["containers"]]
        if query.get("container") not in names:
            raise RefusalError(400, "BadRequest", f"container {query.get('container')} is not valid for pod")
        lines = self.logs.get(pod["metadata"]["name"], [])
        return lines[-int(query["tailLines"]) :] if "tailLines" in query and lines else lines


def merge(document: Document, change: Document) -> None:
    """RFC 7386."""
    for key, value in change.items():
        if value is None:
            document.pop(key, None)
        elif isinstance(value, dict) and isinstance(document.get(key), dict):
            merge(document[key], value)
        else:
            document[key] = value


def selects(selector: str, labels: Mapping[str, str]) -> bool:
    """Whether a label selector chooses an object."""
    for term in re.split(r",(?![^()]*\))", selector) if selector else []:
        if found := re.fullmatch(r"(\S+) in \((.*)\)", term):
            holds = labels.get(found[1]) in found[2].split(",")
        elif "!=" in term:
            key, _, value = term.partition("!=")
            holds = labels.get(key) != value
        elif "=" in term:
            key, _, value = term.partition("=")
            holds = labels.get(key) == value
        else:
            holds = (term.removeprefix("!") in labels) != term.startswith("!")
        if not holds:
            return False
    return True


def restricted_faults(spec: Document) -> list[str]:
    """What Pod Security ``restricted`` finds in a pod; the rules that matter here."""
    pod = spec.get("securityContext") or {}
    faults = []
    for container in [*spec.get("initContainers", []), *spec["containers"]]:
        own = container.get("securityContext") or {}
        if own.get("allowPrivilegeEscalation") is not False:
            faults.append("allowPrivilegeEscalation != false")
        if (own.get("capabilities") or {}).get("drop") != ["ALL"]:
            faults.append("unrestricted capabilities")
        if own.get("runAsNonRoot", pod.get("runAsNonRoot")) is not True:
            faults.append("runAsNonRoot != true")
        profile = own.get("seccompProfile", pod.get("seccompProfile")) or {}
        if profile.get("type") not in ("RuntimeDefault", "Localhost"):
            faults.append("seccompProfile")
    allowed = {
        "configMap",
        "emptyDir",
        "secret",
        "projected",
        "persistentVolumeClaim",
        "downwardAPI",
        "csi",
        "name",
    }
    faults += [f"volume {volume['name']}" for volume in spec.get("volumes", []) if volume.keys() - allowed]
    return faults


@contextmanager
def kubernetes_api() -> Iterator[KubernetesApi]:
    """A running fake on a free loopback port."""
    api = KubernetesApi()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # a head and a body in two writes would wait for each other

        def serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            try:
                with api.lock:
                    answer = api.answer(self.command, self.path, headers, body)
                code = 201 if self.command == "POST" else 200
            except RefusalError as refusal:
                code = refusal.code
                answer = {
                    "kind": "Status",
                    "apiVersion": "v1",
                    "status": "Failure",
                    "message": refusal.message,
                    "reason": refusal.reason,
                    "code": refusal.code,
                }
            is_log = isinstance(answer, list)
            text = "".join(f"{line}\n" for line in answer) if is_log else json.dumps(answer)
            self.send_response(code)
            self.send_header("Content-Type", "text/plain" if is_log else "application/json")
            self.send_header("Content-Length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

        do_GET = do_POST = do_PATCH = do_DELETE = do_PUT = serve  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    api.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield api
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
