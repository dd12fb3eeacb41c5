"""Who may do what: the user of a command, and the service accounts that the chart made."""

from collections.abc import Iterable
from dataclasses import dataclass

from a360.check import Check
from a360.cluster.api_errors import ForbiddenError
from a360.cluster.connection import Connection
from a360.cluster.documents import value_at
from a360.cluster.kinds import (
    ACCOUNT_ACCESS,
    CONFIG_MAPS,
    PODS,
    SECRETS,
    TASK_RESULTS,
    WORKFLOW_TEMPLATES,
    WORKFLOWS,
    Kind,
)
from a360.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Right:
    """A verb on a kind, or on a part of its objects."""

    verb: str
    kind: Kind
    subresource: str = ""

    def __str__(self) -> str:
        part = f"/{self.subresource}" if self.subresource else ""
        return f"{self.verb} {self.kind.plural}{part}{self.kind.group and f'.{self.kind.group}'}"


SUBMIT = (
    Right(verb="create", kind=WORKFLOWS),
    Right(verb="get", kind=WORKFLOW_TEMPLATES),
    Right(verb="get", kind=CONFIG_MAPS),
)
LOOK = (
    Right(verb="get", kind=WORKFLOWS),
    Right(verb="list", kind=WORKFLOWS),
    Right(verb="list", kind=PODS),
    Right(verb="get", kind=PODS, subresource="log"),
)
STOP = (Right(verb="patch", kind=WORKFLOWS),)
PROBE = (
    Right(verb="create", kind=PODS),
    Right(verb="get", kind=PODS),
    Right(verb="delete", kind=PODS),
)

_RESULTS = tuple(Right(verb=verb, kind=TASK_RESULTS) for verb in ("create", "patch"))
ACCOUNTS: dict[str, tuple[Right, ...]] = {
    "a360-executor": _RESULTS,
    "a360-orchestrator": (
        *_RESULTS,
        *(Right(verb=verb, kind=WORKFLOWS) for verb in ("create", "get", "patch")),
    ),
    "a360-evaluator": (),
    "a360-grader": (),
    "a360-publisher": (),
    "a360-planner": (),
}
"""What each account needs. None may have anything of ``TOO_MUCH``."""

TOO_MUCH = (
    Right(verb="get", kind=SECRETS),
    Right(verb="list", kind=SECRETS),
    Right(verb="create", kind=PODS),
    Right(verb="delete", kind=WORKFLOWS),
)


def require_rights(connection: Connection, rights: Iterable[Right]) -> Check:
    """That the user may do all of it.

    Raises:
        ForbiddenError: something is not allowed; every right that is missing is named.
    """
    rights = tuple(rights)
    missing = [
        str(right) for right in rights if not connection.may(right.verb, right.kind, right.subresource)
    ]
    if missing:
        raise ForbiddenError(
            f"not allowed in namespace {connection.namespace}: {', '.join(missing)}",
            hint="ask for a Role with these verbs and resources, and a RoleBinding to it",
        )
    return Check(name="permissions", state="ok", found=", ".join(map(str, rights)))


def check_account(connection: Connection, account: str) -> Check:
    """That a service account has what it needs and nothing of what it must not have.

    Raises:
        ConfigError: something is missing, or is too much.
    """
    name = f"rbac {account.removeprefix('a360-')}"
    needs = ACCOUNTS[account]
    try:
        missing = [str(right) for right in needs if not _account_may(connection, account, right)]
        extra = [str(right) for right in TOO_MUCH if _account_may(connection, account, right)]
    except ForbiddenError:
        found = f"you may not ask what {account} may do"
        hint = f"needs create {ACCOUNT_ACCESS}"
        return Check(name=name, state="warn", found=found, hint=hint)
    faults = [f"may not {right}" for right in missing] + [
        f"may {right}, which is too much" for right in extra
    ]
    if faults:
        raise ConfigError(
            f"service account {account} in namespace {connection.namespace}: {'; '.join(faults)}",
            hint="install the chart again; look for other RoleBindings of this account",
        )
    return Check(name=name, state="ok", found=f"may {', '.join(map(str, needs))}" if needs else "may nothing")


def _account_may(connection: Connection, account: str, right: Right) -> bool:
    namespace = connection.namespace
    attributes = {
        "namespace": namespace,
        "verb": right.verb,
        "group": right.kind.group,
        "resource": right.kind.plural,
        "subresource": right.subresource,
    }
    groups = ["system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated"]
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "LocalSubjectAccessReview",
        "metadata": {"namespace": namespace},
        "spec": {
            "user": f"system:serviceaccount:{namespace}:{account}",
            "groups": groups,
            "resourceAttributes": attributes,
        },
    }
    return value_at(connection.create(ACCOUNT_ACCESS, review), "status", "allowed") is True
