"""One namespace of one cluster through the official client: read, list, create, patch, delete.

Documents go in and come out as JSON. What the API refuses becomes one of a360's errors here and nowhere else:
403 names the verb and the resource, what passes by itself is a ``TransientError``.
"""

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import urllib3
from kubernetes import config
from kubernetes.client import ApiClient, ApiException, Configuration
from kubernetes.config import ConfigException
from kubernetes.dynamic import DynamicClient

from a360.cluster.api_errors import AbsentError, answered, unreachable
from a360.cluster.documents import Document, list_at, text_at, value_at
from a360.cluster.kinds import OWN_ACCESS, Kind
from a360.cluster.place import Place
from a360.errors import ConfigError, DataError

SERVICE_ACCOUNT_DIR = Path("/var/run/secrets/kubernetes.io/serviceaccount")
PAGE_SIZE = 500
CONNECT_SECONDS, READ_SECONDS = 10.0, 60.0


class Connection:
    """A namespace of a cluster."""

    def __init__(self, client: ApiClient, namespace: str) -> None:
        self.namespace = namespace
        self.server: str = client.configuration.host
        # Paths are known: nothing has to be discovered before the first request.
        self._client = DynamicClient(client, discoverer=lambda *_: None)

    def get(self, kind: Kind, name: str) -> Document:
        """One object.

        Raises:
            AbsentError: there is none of this name.
        """
        return self._answer("get", kind, name)

    def find(self, kind: Kind, name: str) -> Document | None:
        """One object, or None."""
        try:
            return self.get(kind, name)
        except AbsentError:
            return None

    def list(self, kind: Kind, selector: str = "", *, everywhere: bool = False) -> list[Document]:
        """The objects of a kind that a label selector chooses, of this namespace or of all."""
        found: list[Document] = []
        path = kind.path("" if everywhere else self.namespace)
        query: dict[str, str] = {"limit": str(PAGE_SIZE)}
        if selector:
            query["labelSelector"] = selector
        while True:
            page = self._request("get", path, f"list {kind}", query=query)
            found += list_at(page, "items")
            query["continue"] = text_at(page, "metadata", "continue")
            if not query["continue"]:
                return found

    def create(self, kind: Kind, document: Document) -> Document:
        """The object as the cluster stored it.

        Raises:
            TakenError: there is one of this name already.
        """
        return self._request("post", kind.path(self.namespace), f"create {kind}", body=document)

    def patch(self, kind: Kind, name: str, change: Document) -> Document:
        """The object after a merge patch."""
        return self._answer("patch", kind, name, body=change)

    def delete(self, kind: Kind, name: str) -> None:
        """Deletes an object; one that is gone already is fine."""
        try:
            self._answer("delete", kind, name)
        except AbsentError:
            return

    def read(self, path: str) -> Document:
        """What a path of the API answers that is no object: discovery and schemas."""
        return self._request("get", path, f"read {path}")

    def log_lines(self, pod: str, container: str, *, follow: bool, tail: int | None) -> Iterator[str]:
        """The lines that a container has written; with ``follow`` those to come as well."""
        from kubernetes.watch.watch import iter_resp_lines

        query = {"container": container, **({"follow": "true"} if follow else {})}
        query |= {"tailLines": str(tail)} if tail is not None else {}
        path = Kind(plural="pods").path(self.namespace, pod, "log")
        doing = f"get pods/log of {pod}"
        timeout = (CONNECT_SECONDS, None if follow else READ_SECONDS)
        response = self._send("get", path, doing, query=query, timeout=timeout)
        try:
            yield from iter_resp_lines(response)
        except urllib3.exceptions.HTTPError as error:
            raise unreachable(error, self.server, doing) from error
        finally:
            response.release_conn()

    def may(self, verb: str, kind: Kind, subresource: str = "") -> bool:
        """Whether the user of this connection may do that in this namespace."""
        attributes = {"verb": verb, "group": kind.group, "resource": kind.plural, "subresource": subresource}
        if kind.namespaced:
            attributes["namespace"] = self.namespace
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": attributes},
        }
        return value_at(self.create(OWN_ACCESS, review), "status", "allowed") is True

    def _answer(self, verb: str, kind: Kind, name: str, body: Document | None = None) -> Document:
        path = kind.path(self.namespace, name)
        return self._request(verb, path, f"{verb} {kind} {name}", body=body)

    def _request(
        self,
        method: str,
        path: str,
        doing: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Document | None = None,
    ) -> Document:
        response = self._send(method, path, doing, query=query, body=body)
        try:
            document: object = json.loads(response.data)
        except ValueError as error:
            raise DataError(f"the cluster's answer to {doing} at {self.server} is no JSON: {error}") from None
        except urllib3.exceptions.HTTPError as error:
            raise unreachable(error, self.server, doing) from error
        return document if isinstance(document, Mapping) else {}

    def _send(
        self,
        method: str,
        path: str,
        doing: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Document | None = None,
        timeout: tuple[float, float | None] = (CONNECT_SECONDS, READ_SECONDS),
    ) -> urllib3.HTTPResponse:
        content = {"content_type": "application/merge-patch+json"} if method == "patch" else {}
        try:
            response: urllib3.HTTPResponse = self._client.request(
                method,
                path,
                body=body,
                query_params=list((query or {}).items()),
                header_params={},
                serialize=False,
                _request_timeout=timeout,
                **content,
            )
        except ApiException as error:
            raise answered(error, self.namespace, doing) from error
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise unreachable(error, self.server, doing) from error
        return response


def connect(place: Place) -> Connection:
    """The namespace that a place names, of the cluster of the kubeconfig; inside a pod, of its own cluster.

    Raises:
        ConfigError: there is no kubeconfig, or it has no such context.
    """
    named = place.kubeconfig or os.environ.get("KUBECONFIG")
    default = Path.home() / ".kube" / "config"
    if not named and not default.exists() and (SERVICE_ACCOUNT_DIR / "token").exists():
        settings = Configuration()
        config.load_incluster_config(client_configuration=settings)
        own = (SERVICE_ACCOUNT_DIR / "namespace").read_text().strip()
        return Connection(ApiClient(settings), place.namespace or own)
    where = named or str(default)
    try:
        contexts, active = config.list_kube_config_contexts(where)
        client = config.new_client_from_config(where, context=place.context)
    except (ConfigException, OSError, ValueError) as error:
        raise ConfigError(
            f"no connection to a cluster: {where}: {error}",
            hint="--kubeconfig names the file, --context one of its contexts",
        ) from None
    context = next((c for c in contexts if c["name"] == place.context), active)
    return Connection(client, place.namespace or text_at(context, "context", "namespace") or "default")
