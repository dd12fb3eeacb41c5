"""The kinds of objects that a360 reads and writes in a cluster, and where the API has them."""

from dataclasses import dataclass
from urllib.parse import quote

ARGO_GROUP, ARGO_VERSION = "argoproj.io", "v1alpha1"


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A resource of the API. Its text is how RBAC rules name it: ``workflows.argoproj.io``."""

    plural: str
    group: str = ""
    version: str = "v1"
    namespaced: bool = True

    def __str__(self) -> str:
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def singular(self) -> str:
        """How a sentence names one of them."""
        return self.plural.removesuffix("s")

    def path(self, namespace: str, name: str = "", subresource: str = "") -> str:
        """The path of the collection, of one object, or of a part of it."""
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        within = f"/namespaces/{quote(namespace, safe='')}" if self.namespaced and namespace else ""
        parts = (f"/{quote(part, safe='')}" for part in (name, subresource) if part)
        return f"{root}{within}/{self.plural}{''.join(parts)}"


def _argo(plural: str) -> Kind:
    return Kind(plural=plural, group=ARGO_GROUP, version=ARGO_VERSION)


WORKFLOWS = _argo("workflows")
WORKFLOW_TEMPLATES = _argo("workflowtemplates")
CRON_WORKFLOWS = _argo("cronworkflows")
TASK_RESULTS = _argo("workflowtaskresults")

PODS = Kind(plural="pods")
SECRETS = Kind(plural="secrets")
CONFIG_MAPS = Kind(plural="configmaps")
SERVICE_ACCOUNTS = Kind(plural="serviceaccounts")
NODES = Kind(plural="nodes", namespaced=False)
DEPLOYMENTS = Kind(plural="deployments", group="apps")

_AUTHORIZATION = "authorization.k8s.io"
OWN_ACCESS = Kind(plural="selfsubjectaccessreviews", group=_AUTHORIZATION, namespaced=False)
ACCOUNT_ACCESS = Kind(plural="localsubjectaccessreviews", group=_AUTHORIZATION)
