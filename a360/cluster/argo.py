"""Is Argo Workflows in the cluster, and which version?

No field of the API says the version, so it is told from what a user may read, best first:

1. the image tag of the deployment ``workflow-controller``: exact, but deployments of other namespaces are
   often not readable, and a mirrored image may have a tag of its own;
2. the schema of Workflow as the API publishes it to everybody: with full CRDs a field that appeared or
   vanished bounds the version. Minimal CRDs (the default of Argo 3) say nothing.

Where neither tells, the version stays unknown: a warning, not a refusal.
"""

import re
from dataclasses import dataclass

from a360.check import Check
from a360.cluster.api_errors import AbsentError, ForbiddenError
from a360.cluster.connection import Connection
from a360.cluster.documents import Document, list_at, mapping_at, text_at
from a360.cluster.kinds import (
    ARGO_GROUP,
    ARGO_VERSION,
    CRON_WORKFLOWS,
    DEPLOYMENTS,
    TASK_RESULTS,
    WORKFLOW_TEMPLATES,
    WORKFLOWS,
)
from a360.errors import ConfigError

FLOOR = (3, 7)
NEEDED = (WORKFLOWS, WORKFLOW_TEMPLATES, CRON_WORKFLOWS, TASK_RESULTS)
UPGRADE_HINT = "a360 needs Argo Workflows 3.7 or newer; 4.0 is what it is tested with"

_TAG = re.compile(r"workflow-controller:v?(\d+)\.(\d+)(\.\d+)?")
_SCHEMA_PATH = f"/openapi/v3/apis/{ARGO_GROUP}/{ARGO_VERSION}"
_SCHEMA_NAME = "io.argoproj.v1alpha1.Workflow"


@dataclass(frozen=True, kw_only=True)
class ArgoVersion:
    """What is known of the version: its major and minor number, or that it is below the floor."""

    text: str
    too_old: bool
    source: str


def check_argo(connection: Connection) -> Check:
    """The custom resources and the version of Argo.

    Raises:
        ConfigError: resources are missing, or Argo is older than 3.7.
    """
    served = _served(connection)
    missing = [str(kind) for kind in NEEDED if kind.plural not in served]
    if missing:
        raise ConfigError(
            f"Argo Workflows is not whole in the cluster at {connection.server}: "
            f"no {', '.join(missing)} in {ARGO_GROUP}/{ARGO_VERSION}",
            hint="install Argo Workflows with its custom resource definitions, or choose a --context",
        )
    version = find_version(connection)
    if version is None:
        return Check(
            name="argo",
            state="warn",
            found="custom resources are there, the version cannot be read",
            hint=UPGRADE_HINT,
        )
    if version.too_old:
        raise ConfigError(f"Argo Workflows is {version.text} by {version.source}", hint=UPGRADE_HINT)
    return Check(name="argo", state="ok", found=f"Argo Workflows {version.text} by {version.source}")


def _served(connection: Connection) -> set[str]:
    try:
        listing = connection.read(f"/apis/{ARGO_GROUP}/{ARGO_VERSION}")
    except AbsentError:
        return set()
    return {text_at(resource, "name") for resource in list_at(listing, "resources")}


def find_version(connection: Connection) -> ArgoVersion | None:
    """The version by the controller's image, else by the schema, else None."""
    return _by_image(connection) or _by_schema(connection)


def _by_image(connection: Connection) -> ArgoVersion | None:
    for everywhere in (True, False):
        try:
            deployments = connection.list(DEPLOYMENTS, everywhere=everywhere)
        except ForbiddenError:
            continue
        found = [
            (text_at(deployment, "metadata", "namespace"), tag)
            for deployment in deployments
            for container in list_at(deployment, "spec", "template", "spec", "containers")
            if (tag := _TAG.search(text_at(container, "image")))
        ]
        # The namespace's own controller serves it; of several elsewhere any one may, so the oldest counts.
        own = [each for each in found if each[0] == connection.namespace] or found
        if not own:
            return None
        where, tag = min(own, key=lambda each: (int(each[1][1]), int(each[1][2])))
        source = f"the controller's image in namespace {where}"
        if len(own) > 1:
            source += f", the oldest of {len(own)} controllers"
        number = (int(tag[1]), int(tag[2]))
        return ArgoVersion(text=f"{tag[1]}.{tag[2]}{tag[3] or ''}", too_old=number < FLOOR, source=source)
    return None


def _by_schema(connection: Connection) -> ArgoVersion | None:
    try:
        document = connection.read(_SCHEMA_PATH)
    except (AbsentError, ForbiddenError):
        return None
    schema = mapping_at(document, "components", "schemas", _SCHEMA_NAME)
    locks = mapping_at(schema, "properties", "spec", "properties", "synchronization", "properties")
    return version_by_locks(locks)


def version_by_locks(locks: Document) -> ArgoVersion | None:
    """The version that the fields of ``spec.synchronization`` tell; None where the schema is open.

    ``mutexes[].database`` came with 3.7, ``mutex`` went with 4.0.
    """
    if not locks:
        return None
    source = "the schema of Workflow"
    if "mutex" not in locks:
        return ArgoVersion(text="4.0 or newer", too_old=False, source=source)
    if "database" in mapping_at(locks, "mutexes", "items", "properties"):
        return ArgoVersion(text="3.7", too_old=False, source=source)
    return ArgoVersion(text="older than 3.7", too_old=True, source=source)
