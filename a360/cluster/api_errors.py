"""What a failed request to the Kubernetes API means: configuration, an absent object, or try again."""

import json
import re

from kubernetes.client import ApiException

from a360.errors import A360Error, ConfigError, TransientError

_PASSING = (408, 409, 410, 429)
_USER = re.compile(r'is forbidden: User "([^"]*)"')


class ForbiddenError(ConfigError):
    """The cluster does not let this user do it."""


class AbsentError(ConfigError):
    """The cluster has no such object, or no such kind of objects."""


class TakenError(ConfigError):
    """The cluster has an object of this name already."""


def answered(error: ApiException, namespace: str, doing: str) -> A360Error:
    """The error for a request that the API refused; ``doing`` is its verb and resource."""
    reason, said = _said(error)
    found = f"the cluster refused to {doing} in namespace {namespace}: {said}"
    if error.status == 0:
        return ConfigError(found, hint="the certificate does not fit; check the cluster in the kubeconfig")
    if error.status == 401:
        return ConfigError(found, hint="credentials are missing or expired; log in to the cluster again")
    if error.status == 403:
        return _forbidden(said, found, doing, namespace)
    if error.status == 404:
        return AbsentError(
            f"not there: {doing} in namespace {namespace}: {said}",
            hint="check the name, --namespace and --context",
        )
    if reason == "AlreadyExists":
        return TakenError(found, hint="choose another name")
    if error.status in _PASSING or (error.status or 0) >= 500:
        return TransientError(found, hint="the API server is busy or restarting; try again")
    return ConfigError(found)


def unreachable(error: Exception, server: str, doing: str) -> TransientError:
    """The error for a request that got no whole answer."""
    cause = getattr(error, "reason", None) or error
    return TransientError(
        f"no answer from the cluster at {server}: {doing}: {cause}",
        hint="check the network and the context; trying again may help",
    )


def _said(error: ApiException) -> tuple[str, str]:
    """Reason and message of the API's Status document."""
    try:
        status = json.loads(error.body or "")
    except ValueError:
        status = None
    if not isinstance(status, dict):
        return "", f"{error.status} {error.reason}"
    return str(status.get("reason") or ""), str(status.get("message") or error.reason)


def _forbidden(said: str, found: str, doing: str, namespace: str) -> ForbiddenError:
    if "PodSecurity" in said:
        return ForbiddenError(found, hint=f"the Pod Security level of namespace {namespace} forbids this pod")
    if "exceeded quota" in said:
        hint = f"the ResourceQuota of namespace {namespace} is used up; wait, or have it raised"
        return ForbiddenError(found, hint=hint)
    user = _USER.search(said)
    if user is None:
        return ForbiddenError(found, hint=f"check what you may do in namespace {namespace}")
    everywhere = "at the cluster scope" in said
    where, roles = (
        ("in the whole cluster", "ClusterRole and ClusterRoleBinding")
        if everywhere
        else (f"in namespace {namespace}", "Role and RoleBinding")
    )
    verb, resource = doing.split()[:2]
    return ForbiddenError(
        f"not allowed to {doing} {where} as {user[1]}",
        hint=f"ask for the verb {verb} on {resource} {where} ({roles})",
    )
