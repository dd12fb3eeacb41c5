"""The commands that change something in a cluster: submit, retry, stop."""

from a360.cli.output import note, print_json, print_text
from a360.cli.progress import busy
from a360.cluster.checks import checks_before_submit
from a360.cluster.connection import Connection, connect
from a360.cluster.place import Place
from a360.cluster.sweeps import Submission, find_sweep, list_sweeps, stop_sweep, submit_sweep, suite_of
from a360.errors import ConfigError


def submit_suite(place: Place, submission: Submission, *, as_json: bool) -> None:
    """Checks what the sweep needs, creates it and says its name.

    Raises:
        ConfigError: something is missing; nothing was created.
    """
    _submit(connect(place), submission, as_json=as_json)


def retry_named(place: Place, target: str, *, name: str | None, priority: int | None, as_json: bool) -> None:
    """Submits the suite of a sweep again, failed pairs included.

    Raises:
        ConfigError: there is no such sweep, or something is missing.
    """
    connection = connect(place)
    sweep = find_sweep(connection, target)
    suite = suite_of(sweep)
    if not suite:
        raise ConfigError(f"sweep {sweep.name} names no suite", hint="a360 submit SUITE --retry-failed")
    submission = Submission(suite=suite, name=name, retry_failed=True, priority=priority)
    _submit(connection, submission, as_json=as_json)


def _submit(connection: Connection, submission: Submission, *, as_json: bool) -> None:
    submission.document(connection.namespace)  # a name that is not legal is refused before anything is asked
    with busy("checking the cluster"):
        warnings = [
            check for check in checks_before_submit(connection, submission.suite) if check.state == "warn"
        ]
        active = [sweep.name for sweep in list_sweeps(connection, submission.suite) if not sweep.ended]
    for check in warnings:
        note(f"warning: {check.name}: {check.found}")
    if active:
        note(f"warning: sweep {active[0]} of this suite is still running; both may evaluate the same pairs")
    sweep = submit_sweep(connection, submission)
    if as_json:
        parameters = dict(sweep.parameters)
        print_json({"sweep": sweep.name, "namespace": connection.namespace, "parameters": parameters})
        return
    print_text(
        f"sweep {sweep.name} of suite {submission.suite} is submitted in namespace {connection.namespace}"
    )
    note(f"hint: a360 watch {sweep.name}")


def stop_named(place: Place, target: str, *, terminate: bool, as_json: bool) -> None:
    """Stops a sweep with its children and says what was running."""
    connection = connect(place)
    sweep = find_sweep(connection, target)
    with busy("stopping"):
        stopped = stop_sweep(connection, sweep, terminate=terminate)
    if as_json:
        print_json({"sweep": sweep.name, "stopped": stopped})
        return
    children = len([name for name in stopped if name != sweep.name])
    if not stopped:
        print_text(f"sweep {sweep.name} runs no more: {sweep.phase}")
        return
    how = "terminated" if terminate else "stopped"
    workflows = f"{children:,} workflow{'' if children == 1 else 's'}"
    print_text(f"sweep {sweep.name} is {how}, with {workflows} of its checkpoints")
    if not terminate and sweep.name in stopped:
        note("it publishes what is done, then ends")
