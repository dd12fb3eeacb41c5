"""The node: containerd and the kubelet in a mount namespace of their own.

Everything that they mount vanishes with the namespace; the machine never sees it. The namespace also covers
the directories that no option moves (``machine.FIXED_DIRECTORIES``).
"""

import json
from pathlib import Path

from tests.cluster.images import ENVIRONMENT_DIR
from tests.cluster.layout import NODE_IP, POD_SUBNET, Layout
from tests.cluster.machine import FIXED_DIRECTORIES
from tests.cluster.processes import (
    Process,
    all_pids,
    clean_environment,
    command_line,
    descendants,
    kill,
    recorded,
    run,
    start,
    wait_until,
)

NODE = "node0"

# $0 is the shared Python environment, $1 where it goes; the rest are directories to cover.
_NAMESPACE = """set -e
mount --make-rprivate /
mount --bind "$0" "$1" && mount -o remount,bind,ro "$1"
shift
for directory in "$@"; do mount -t tmpfs -o mode=755 a360 "$directory"; done
# What cgroup v1 hosts call unified makes runc 1.1 take a mixture of both for its own.
if mountpoint -q /sys/fs/cgroup/unified; then umount /sys/fs/cgroup/unified; fi
exec sleep infinity
"""

_END_TASKS = 'for task; do ctr -a "$0" -n k8s.io tasks delete --force "$task"; done >/dev/null 2>&1 || true'


def start_runtime(layout: Layout, environment_dir: Path) -> None:
    """Starts the namespace and containerd, which then takes images (``import_image``)."""
    _write_configuration(layout)
    words: list[str | Path] = [environment_dir, layout.environment_mount, *FIXED_DIRECTORIES]
    holder = start(layout, "namespace", ["unshare", "--mount", "sh", "-c", _NAMESPACE, *words])
    wait_until(
        "the node's mount namespace is ready",
        lambda: command_line(holder.pid)[:1] == ["sleep"],
        seconds=20,
        process=holder,
        log_path=layout.log / "namespace.log",
    )
    command: list[str | Path] = ["containerd", "--config", layout.etc / "containerd.toml"]
    containerd = start(layout, "containerd", _inside(holder, command))
    wait_until(
        "containerd answers",
        lambda: _answers(layout),
        seconds=60,
        process=containerd,
        log_path=layout.log / "containerd.log",
    )


def start_kubelet(layout: Layout, programs: dict[str, Path]) -> None:
    """Starts the kubelet; its node registers and is Ready some seconds later."""
    options = [
        f"--config={layout.etc}/kubelet.json",
        f"--kubeconfig={layout.etc}/kubelet.kubeconfig",
        f"--hostname-override={NODE}",
        f"--node-ip={NODE_IP}",
        f"--root-dir={layout.var}/kubelet",
        f"--cert-dir={layout.var}/kubelet-pki",
    ]
    start(layout, "kubelet", _inside(_holder(layout), [programs["kubelet"], *options]))


def import_image(layout: Layout, archive: Path) -> None:
    """Gives containerd an image, and deletes the archive."""
    run(_ctr(layout, "images", "import", archive), clean_environment(layout))
    archive.unlink()


def end_containers(layout: Layout) -> None:
    """Ends every container of the node: through containerd where it answers, then whatever is left."""
    environment = clean_environment(layout)
    holder = recorded(layout, "namespace")
    if holder is not None and holder.alive and _answers(layout):
        tasks = run(_ctr(layout, "tasks", "list", "-q"), environment).split()
        if tasks:
            run(_inside(holder, ["sh", "-c", _END_TASKS, layout.containerd_socket, *tasks]), environment)
    kill(left_processes(layout))


def left_processes(layout: Layout) -> list[Process]:
    """Shims of this node's containerd and everything below them, containers included."""

    def is_shim(words: list[str]) -> bool:
        return bool(words) and "containerd-shim" in words[0] and str(layout.containerd_socket) in words

    shims = [pid for pid in all_pids() if is_shim(command_line(pid))]
    return descendants(shims)


def _write_configuration(layout: Layout) -> None:
    (layout.etc / "cni").mkdir(exist_ok=True)
    (layout.etc / "cni" / "10-a360.conflist").write_text(json.dumps(_network(layout)))
    (layout.etc / "kubelet.json").write_text(json.dumps(_kubelet(layout)))
    specification = json.loads(run(["ctr", "oci", "spec"], clean_environment(layout)))
    # The third-party packages as if they were part of the images: pods say nothing of it, and need not, since
    # Pod Security "restricted" would refuse a hostPath of theirs.
    specification["mounts"].append(
        {
            "destination": ENVIRONMENT_DIR,
            "type": "bind",
            "source": str(layout.environment_mount),
            "options": ["bind", "ro", "nosuid", "nodev"],
        }
    )
    (layout.etc / "container.json").write_text(json.dumps(specification))
    (layout.etc / "containerd.toml").write_text(_containerd(layout))


def _containerd(layout: Layout) -> str:
    def quoted(path: Path) -> str:
        return json.dumps(str(path))

    cri = '[plugins."io.containerd.grpc.v1.cri"'
    return f"""version = 2
root = {quoted(layout.var / "containerd")}
state = {quoted(layout.run)}
[grpc]
address = {quoted(layout.containerd_socket)}
[plugins."io.containerd.internal.v1.opt"]
path = {quoted(layout.var / "containerd-opt")}
{cri}]
sandbox_image = "a360.test/pause:1"
restrict_oom_score_adj = true
netns_mounts_under_state_dir = true
stream_server_address = "127.0.0.1"
{cri}.cni]
bin_dir = "/usr/lib/cni"
conf_dir = {quoted(layout.etc / "cni")}
{cri}.containerd]
default_runtime_name = "runc"
{cri}.containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
base_runtime_spec = {quoted(layout.etc / "container.json")}
"""


def _network(layout: Layout) -> dict[str, object]:
    """A veth pair per pod and no NAT: pods reach addresses of this machine and nothing outside."""
    ipam = {
        "type": "host-local",
        "dataDir": f"{layout.var}/cni",
        "subnet": POD_SUBNET,
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    return {
        "cniVersion": "0.4.0",
        "name": "a360-test",
        "plugins": [{"type": "ptp", "ipMasq": False, "ipam": ipam}],
    }


def _kubelet(layout: Layout) -> dict[str, object]:
    pki = layout.pki
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": NODE_IP,
        "readOnlyPort": 0,
        "healthzBindAddress": "127.0.0.1",
        "tlsCertFile": f"{pki}/kubelet-server.crt",
        "tlsPrivateKeyFile": f"{pki}/kubelet-server.key",
        "authorization": {"mode": "AlwaysAllow"},
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": False},
            "x509": {"clientCAFile": f"{pki}/ca.crt"},
        },
        "containerRuntimeEndpoint": f"unix://{layout.containerd_socket}",
        "cgroupDriver": "cgroupfs",
        "cgroupsPerQOS": False,
        "enforceNodeAllocatable": [],
        "failCgroupV1": False,
        "failSwapOn": False,
        # Without cgroups of pods, 1.34 ends in a nil pointer where a container's resources seem to differ.
        "featureGates": {"InPlacePodVerticalScaling": False},
        "makeIPTablesUtilChains": False,
        "oomScoreAdj": 0,
        "maxOpenFiles": 20000,
        "maxPods": 60,
        "localStorageCapacityIsolation": False,
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "imageMinimumGCAge": "24h",
        "resolvConf": "",
        "evictionHard": {
            "memory.available": "50Mi",
            "nodefs.available": "1%",
            "imagefs.available": "1%",
            "nodefs.inodesFree": "1%",
            "imagefs.inodesFree": "1%",
        },
        "podLogsDir": f"{layout.var}/podlogs",
        "volumePluginDir": f"{layout.var}/volumeplugins",
    }


def _holder(layout: Layout) -> Process:
    holder = recorded(layout, "namespace")
    if holder is None:
        raise LookupError("the node has no mount namespace yet")
    return holder


def _inside(holder: Process, command: list[str | Path]) -> list[str | Path]:
    return ["nsenter", f"--target={holder.pid}", "--mount", *command]


def _ctr(layout: Layout, *words: str | Path) -> list[str | Path]:
    return _inside(_holder(layout), ["ctr", "-a", layout.containerd_socket, "-n", "k8s.io", *words])


def _answers(layout: Layout) -> bool:
    if not layout.containerd_socket.exists():
        return False
    try:
        run(_ctr(layout, "--timeout", "5s", "version"), clean_environment(layout))
    except Exception:  # not yet, or no longer
        return False
    return True
