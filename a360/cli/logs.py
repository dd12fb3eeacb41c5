"""``a360 logs``: the lines of a sweep's pods on stdout, marked by pair where there are several pods."""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from a360.cli.output import data
from a360.cluster.connection import Connection, connect
from a360.cluster.place import Place
from a360.cluster.pods import Choice, Pod, list_pods, read_log, title_of
from a360.cluster.sweeps import find_sweep, list_children, read_sweep
from a360.cluster.workflows import Workflow
from a360.errors import A360Error, ConfigError

STAGES = ("plan", "evaluate", "grade", "publish")
LOOK_SECONDS = 3.0


@dataclass(frozen=True, kw_only=True)
class Output:
    """What is printed of the pods, and how long."""

    stage: str | None = None
    follow: bool = False
    tail: int | None = None


def print_logs(place: Place, target: str, pair: str | None, output: Output) -> None:
    """Prints the logs of a sweep's pods.

    Raises:
        ConfigError: there is no such sweep, checkpoint, stage or pod.
    """
    if output.stage and output.stage not in STAGES:
        raise ConfigError(f"no stage {output.stage!r}: expected one of {', '.join(STAGES)}")
    connection = connect(place)
    sweep = find_sweep(connection, target)
    checkpoint, _, benchmark = (pair or "").partition("/")
    choice = Choice(checkpoint=checkpoint or None, benchmark=benchmark or None, stage=output.stage)
    if output.follow:
        _Follower(connection, sweep, choice, output.tail).run()
        return
    pods = [pod for pod in list_pods(connection, sweep, choice) if pod.started]
    if not pods:
        raise ConfigError(
            f"no pod of sweep {sweep.name} in namespace {connection.namespace} has such a log",
            hint="pods that succeeded are deleted, a360 status shows what they stored; --follow waits",
        )
    checkpoints = _checkpoints(connection, sweep)
    for pod in pods:
        mark = f"{title_of(pod, checkpoints)}: " if len(pods) > 1 else ""
        for line in read_log(connection, pod, tail=output.tail):
            print_line(f"{mark}{line}")


def print_line(line: str) -> None:
    """A line of a pod as it is."""
    data.file.write(f"{line}\n")
    data.file.flush()


def _checkpoints(connection: Connection, sweep: Workflow) -> Mapping[str, str]:
    children = list_children(connection, sweep.name)
    return {child.name: child.parameters.get("checkpoint", child.name) for child in children}


@dataclass
class _Follower:
    """Reads every pod in a thread of its own until the sweep has ended and all are read."""

    connection: Connection
    sweep: Workflow
    choice: Choice
    tail: int | None
    pause: Callable[[float], None] = time.sleep
    threads: dict[str, threading.Thread] = field(default_factory=dict)
    faults: list[A360Error] = field(default_factory=list)

    def run(self) -> None:
        """Returns when there is nothing more to come."""
        while True:
            ended = read_sweep(self.connection, self.sweep.name).ended  # asked first: then no pod is missed
            self._start(self._pods())
            if ended:
                break
            self.pause(LOOK_SECONDS)
        for thread in self.threads.values():
            thread.join()
        if self.faults:
            raise self.faults[0]

    def _pods(self) -> list[Pod]:
        try:
            pods = list_pods(self.connection, self.sweep, self.choice)
        except ConfigError:
            if self.choice.checkpoint is None:
                raise
            return []  # its workflow may still come
        return [pod for pod in pods if pod.started and pod.name not in self.threads]

    def _start(self, pods: list[Pod]) -> None:
        if not pods:
            return
        checkpoints = _checkpoints(self.connection, self.sweep)
        for pod in pods:
            mark = f"{title_of(pod, checkpoints)}: "
            thread = threading.Thread(target=self._read, args=(pod, mark), daemon=True)
            self.threads[pod.name] = thread
            thread.start()

    def _read(self, pod: Pod, mark: str) -> None:
        try:
            for line in read_log(self.connection, pod, follow=True, tail=self.tail):
                print_line(f"{mark}{line}")
        except A360Error as error:
            self.faults.append(error)
