"""A whole cluster up and down again.

``up`` refuses to run twice at once, finds what a killed run has left and removes it first. ``down`` works
from what is recorded, in whatever state that is, and leaves nothing but log/.
"""

import shutil
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from tests.cluster import machine, node
from tests.cluster.argo import install_argo, start_controller
from tests.cluster.certificates import make_certificates
from tests.cluster.control_plane import kubectl, start_control_plane
from tests.cluster.images import argoexec_image, main_image, pause_image, shared_environment
from tests.cluster.layout import ClusterError, Layout
from tests.cluster.processes import (
    SUFFIX,
    NotReadyError,
    Process,
    current_process,
    kill,
    read_record,
    wait_until,
)
from tests.cluster.programs import built, missing
from tests.cluster.s3 import start_s3
from tests.cluster.state import State, boot_id, change_state, forget, layout_in_use, read_state, write_state

BEFORE_CONTAINERS = ("workflow-controller", "kwok", "kubelet")
"""Whoever would start new ones."""

AFTER_CONTAINERS = (
    "containerd",
    "namespace",
    "versitygw",
    "kube-scheduler",
    "kube-controller-manager",
    "kube-apiserver",
    "etcd",
)


def up(layout: Layout, owner: Process | None = None) -> None:
    """Brings the cluster up; whatever fails, the machine is left as it was.

    ``owner``: a process that the cluster must not outlive, such as a run of tests. The cluster is not taken
    down when that ends, but the next ``up`` takes it for left over.
    """
    if found := missing():
        raise ClusterError(f"a cluster needs {', '.join(found)}")
    with machine.only_one():
        _clean_up_before(layout)
        layout.make()
        write_state(layout, State(root=layout.root, boot_id=boot_id(), owner=owner))
        try:
            _bring_up(layout, built())
        except BaseException:
            _take_down(layout)
            raise


def down(layout: Layout) -> None:
    """Ends everything, restores the machine, and leaves log/ behind.

    Raises ClusterError where another process, one that lives, has started the cluster for itself.
    """
    with machine.only_one():
        _refuse_to_disturb(layout)
        _take_down(layout)


def running(layout: Layout) -> bool:
    """Whether this is a complete cluster of this boot with all its processes."""
    state = read_state(layout)
    if state is None or not state.complete or state.boot_id != boot_id():
        return False
    return all(process.alive for process in processes(layout).values())


def runs_for_a_person(layout: Layout) -> bool:
    """Whether this cluster is whole and stays until somebody takes it down."""
    state = read_state(layout)
    return state is not None and state.owner is None and running(layout)


def load_code(layout: Layout) -> None:
    """Replaces a360's image by one with the code as it is now, for pods that start from here on."""
    node.import_image(layout, main_image(layout.var / "main.tar", shared_environment()))


def processes(layout: Layout) -> dict[str, Process]:
    """Name -> process of every record."""
    return {path.stem: read_record(path) for path in sorted(layout.records.glob(f"*{SUFFIX}"))}


def _clean_up_before(layout: Layout) -> None:
    used = layout_in_use()
    if used is None:
        _remove_files(layout)
        return
    _refuse_to_disturb(used)
    if runs_for_a_person(used):
        raise ClusterError(f"a cluster is up in {used.root}\nhint: make cluster-down")
    _say(f"removing what a run that was cut short has left in {used.root}")
    _take_down(used)
    _remove_files(layout)


def _refuse_to_disturb(layout: Layout) -> None:
    state = read_state(layout)
    if state is None or state.boot_id != boot_id() or state.owner in (None, current_process()):
        return
    if state.owner.alive:
        raise ClusterError(f"a cluster is up in {layout.root} for process {state.owner.pid}, which lives")


def _bring_up(layout: Layout, programs: dict[str, Path]) -> None:
    """The node's half, mostly writing images, goes beside the other, mostly waiting for the API server."""
    with _timed("machine and certificates"):
        machine.change(layout)
        make_certificates(layout)
    with ThreadPoolExecutor(1) as pool:
        node_half = pool.submit(_start_node, layout, programs)
        with _timed("control plane"):
            start_control_plane(layout, programs)
        with _timed("S3 server, Argo's CRDs and controller"):
            start_s3(layout, programs)
            install_argo(layout, programs)
            start_controller(layout, programs)
        node_half.result()
    with _timed("waiting for the node"):
        wait_until(
            "the node is ready",
            lambda: _node_is_ready(layout, programs),
            seconds=120,
            log_path=layout.log / "kubelet.log",
        )
    change_state(layout, complete=True)


def _start_node(layout: Layout, programs: dict[str, Path]) -> None:
    with _timed("containerd, images, kubelet"):
        environment = shared_environment()
        node.start_runtime(layout, environment)
        for archive in (
            pause_image(layout.var / "pause.tar", programs["pause"]),
            argoexec_image(layout.var / "argoexec.tar", programs["argoexec"]),
            main_image(layout.var / "main.tar", environment),
        ):
            node.import_image(layout, archive)
        node.start_kubelet(layout, programs)


def _take_down(layout: Layout) -> None:
    state = read_state(layout)
    if state is not None and state.boot_id == boot_id():
        _end(layout, BEFORE_CONTAINERS)
        node.end_containers(layout)
        _end(layout, AFTER_CONTAINERS)
        machine.restore(layout)
    _remove_files(layout)
    if layout_in_use() in (layout, None):
        forget(layout)


def _end(layout: Layout, names: tuple[str, ...]) -> None:
    """At once: nothing that they could still write is kept."""
    found = processes(layout)
    for name in names:
        if name in found:
            kill([found[name]])


def _remove_files(layout: Layout) -> None:
    if mounts := machine.mounts_below(layout.root):
        raise ClusterError(f"still mounted: {', '.join(mounts)}")
    for path in layout.removable:
        shutil.rmtree(path)


def _node_is_ready(layout: Layout, programs: dict[str, Path]) -> bool:
    condition = 'jsonpath={.status.conditions[?(@.type=="Ready")].status}'
    try:
        return kubectl(layout, programs, "get", "node", node.NODE, "-o", condition) == "True"
    except NotReadyError:
        return False


@contextmanager
def _timed(what: str) -> Iterator[None]:
    started = time.monotonic()
    yield
    _say(f"{what}: {time.monotonic() - started:.1f} s")


def _say(text: str) -> None:
    print(f"cluster: {text}", file=sys.stderr, flush=True)
