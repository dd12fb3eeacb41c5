"""What a sweep needs of a cluster, looked at before the first pod: for ``submit`` and ``doctor``."""

from collections.abc import Iterator
from functools import partial
from importlib import metadata

from a360.check import Check, guarded
from a360.cluster.access import ACCOUNTS, LOOK, STOP, SUBMIT, check_account, require_rights
from a360.cluster.api_errors import AbsentError, ForbiddenError
from a360.cluster.argo import check_argo
from a360.cluster.connection import Connection
from a360.cluster.documents import mapping_at, text_at, texts_at
from a360.cluster.kinds import NODES, SECRETS, SERVICE_ACCOUNTS, Kind
from a360.cluster.suites import any_asks_judge, asks_judge, check_suite_there, check_suites, read_suite
from a360.cluster.templates import INSTALL_HINT, Installed, SecretUse, read_installed
from a360.errors import A360Error, ConfigError

KUEUE_GROUP = "kueue.x-k8s.io"


def checks_before_submit(connection: Connection, suite: str) -> Iterator[Check]:
    """The checks in the order in which a person would mend them; the first that fails raises.

    Raises:
        ConfigError: what is missing, where it was looked for, and what to do.
    """
    yield check_argo(connection)
    yield require_rights(connection, SUBMIT)
    installed = read_installed(connection)
    yield check_version(connection, installed)
    yield check_suite_there(connection, suite)
    yield check_accounts_there(connection, installed)
    yield check_executor_tokens(connection, installed)
    yield check_secrets(connection, installed, judged=asks_judge(read_suite(connection, suite)))
    yield check_queues(connection, installed)


def checks_of_cluster(connection: Connection) -> Iterator[Check]:
    """Every check of a cluster and of what the chart installed in it; none raises."""
    yield guarded("argo", lambda: check_argo(connection))
    yield guarded("permissions", lambda: require_rights(connection, (*SUBMIT, *LOOK, *STOP)))
    try:
        installed = read_installed(connection)
    except A360Error as error:
        yield Check(name="templates", state="fail", found=error.message, hint=error.hint)
        return
    yield guarded("templates", lambda: check_version(connection, installed))
    yield guarded("suites", lambda: check_suites(connection))
    yield guarded("service accounts", lambda: check_accounts_there(connection, installed))
    yield guarded("executor token", lambda: check_executor_tokens(connection, installed))
    yield guarded("secrets", lambda: check_secrets(connection, installed, judged=any_asks_judge(connection)))
    yield guarded("queue", lambda: check_queues(connection, installed))
    for account in sorted(ACCOUNTS):
        name = f"rbac {account.removeprefix('a360-')}"
        yield guarded(name, partial(check_account, connection, account))
    yield guarded("gpu", lambda: check_gpus(connection, installed))


def check_version(connection: Connection, installed: Installed) -> Check:
    """That the templates are those of this a360.

    Raises:
        ConfigError: they are of another version.
    """
    names = " and ".join(template.name for template in installed.both())
    versions = {template.version or "unknown" for template in installed.both()}
    try:
        own = metadata.version("a360")
    except metadata.PackageNotFoundError:
        return Check(name="templates", state="warn", found=f"{names}; this a360 is not installed")
    if versions != {own}:
        raise ConfigError(
            f"WorkflowTemplates {names} in namespace {connection.namespace} are of version "
            f"{' and '.join(sorted(versions))}, this a360 is {own}",
            hint=f"{INSTALL_HINT.replace('install', 'upgrade').format(connection.namespace)}, "
            f"or use a360 {' or '.join(sorted(versions))}",
        )
    return Check(name="templates", state="ok", found=f"{names}, version {own}")


def check_accounts_there(connection: Connection, installed: Installed) -> Check:
    """That the service accounts of the templates exist."""
    names = sorted({name for template in installed.both() for name in template.accounts()})
    try:
        absent = [name for name in names if connection.find(SERVICE_ACCOUNTS, name) is None]
    except ForbiddenError as error:
        return _unreadable("service accounts", error)
    if absent:
        raise ConfigError(
            f"no ServiceAccount {', '.join(absent)} in namespace {connection.namespace}, "
            "the installed templates name it",
            hint="install the chart again",
        )
    return Check(name="service accounts", state="ok", found=", ".join(names))


def check_executor_tokens(connection: Connection, installed: Installed) -> Check:
    """That the token Secrets of Argo's own containers exist and are filled.

    Without one a pod waits for its volume for ever.
    """
    executors = sorted({name for template in installed.both() for name in template.executors()})
    secrets = [SecretUse(name=f"{executor}.service-account-token", key="token") for executor in executors]
    because = "Argo's containers take their token from it"
    return _check_secret_uses(connection, "executor token", secrets, because)


def check_secrets(connection: Connection, installed: Installed, *, judged: bool) -> Check:
    """That every secret that a sweep needs exists with its keys. Values are not looked at."""
    uses = installed.secrets(judged=judged)
    because = "the installed templates name it"
    return _check_secret_uses(
        connection, "secrets", sorted(uses, key=lambda use: (use.name, use.key)), because
    )


def _check_secret_uses(connection: Connection, name: str, uses: list[SecretUse], because: str) -> Check:
    faults = []
    try:
        keys = {use.name: _secret_keys(connection, use.name) for use in uses}
    except ForbiddenError as error:
        return _unreadable(name, error)
    for use in uses:
        found = keys[use.name]
        if found is None:
            faults.append(f"no Secret {use.name}")
        elif use.key and use.key not in found:
            faults.append(
                f"Secret {use.name} has no key {use.key}, found {', '.join(sorted(found)) or 'none'}"
            )
    if faults:
        raise ConfigError(
            f"{'; '.join(dict.fromkeys(faults))} in namespace {connection.namespace}, {because}",
            hint="create it, or name another one in the chart's values",
        )
    return Check(name=name, state="ok", found=", ".join(sorted(keys)) or "none is needed")


def _secret_keys(connection: Connection, name: str) -> set[str] | None:
    document = connection.find(SECRETS, name)
    return None if document is None else set(texts_at(document, "data"))


def check_queues(connection: Connection, installed: Installed) -> Check:
    """That Kueue has the queues that GPU pods wait in."""
    queues = sorted({queue for template in installed.both() for queue in template.queues()})
    if not queues:
        return Check(name="queue", state="ok", found="none is used")
    try:
        group = connection.read(f"/apis/{KUEUE_GROUP}")
    except AbsentError:
        raise ConfigError(
            f"no Kueue in the cluster at {connection.server}: GPU pods name the queue {', '.join(queues)}",
            hint="install Kueue, or take the queue out of the chart's values",
        ) from None
    version = text_at(group, "preferredVersion", "version")
    kind = Kind(plural="localqueues", group=KUEUE_GROUP, version=version)
    try:
        absent = [queue for queue in queues if connection.find(kind, queue) is None]
    except ForbiddenError as error:
        return _unreadable("queue", error)
    if absent:
        raise ConfigError(
            f"no LocalQueue {', '.join(absent)} in namespace {connection.namespace}: "
            "GPU pods would wait for ever",
            hint="create it, or name another one in the chart's values",
        )
    return Check(name="queue", state="ok", found=", ".join(queues))


def check_gpus(connection: Connection, installed: Installed) -> Check:
    """How many GPUs the nodes have to give; none is a warning, since clusters grow from zero."""
    wanted = installed.gpus()
    if not wanted:
        return Check(name="gpu", state="warn", found="evaluate pods ask for none: they run on CPUs")
    try:
        nodes = connection.list(NODES)
    except ForbiddenError as error:
        return _unreadable("gpu", error)
    counts = [mapping_at(node, "status", "allocatable") for node in nodes]
    have = {name: sum(int(str(count.get(name, 0))) for count in counts) for name in wanted}
    found = ", ".join(f"{have[name]} allocatable {name}, {count} a pod" for name, count in wanted.items())
    if all(have[name] >= count for name, count in wanted.items()):
        return Check(name="gpu", state="ok", found=found)
    hint = "fine where the cluster adds nodes on demand; a360 doctor --cluster --probe waits for one"
    return Check(name="gpu", state="warn", found=found, hint=hint)


def _unreadable(name: str, error: ForbiddenError) -> Check:
    return Check(name=name, state="warn", found=f"cannot be looked at: {error.message}", hint=error.hint)
