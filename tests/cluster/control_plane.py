"""etcd, the API server, the controller manager and the scheduler, each on the loopback interface only."""

from pathlib import Path

from tests.cluster.layout import NODE_IP, Layout
from tests.cluster.processes import clean_environment, run, start, wait_until

ETCD_URL = "http://127.0.0.1:2379"
ETCD_PEER_URL = "http://127.0.0.1:2380"


def start_control_plane(layout: Layout, programs: dict[str, Path]) -> None:
    """Starts the four and waits until the API server is ready."""
    start(layout, "etcd", _etcd(layout, programs))
    apiserver = start(layout, "kube-apiserver", _apiserver(layout, programs))
    wait_until(
        "the API server is ready",
        lambda: api_is_ready(layout, programs),
        seconds=180,
        process=apiserver,
        log_path=layout.log / "kube-apiserver.log",
    )
    start(
        layout,
        "kube-controller-manager",
        [
            programs["kube-controller-manager"],
            f"--kubeconfig={layout.etc}/controller-manager.kubeconfig",
            "--bind-address=127.0.0.1",
            "--leader-elect=false",
            f"--service-account-private-key-file={layout.pki}/sa.key",
            f"--root-ca-file={layout.pki}/ca.crt",
            "--use-service-account-credentials=true",
            f"--flex-volume-plugin-dir={layout.var}/volumeplugins",
        ],
    )
    start(
        layout,
        "kube-scheduler",
        [
            programs["kube-scheduler"],
            f"--kubeconfig={layout.etc}/scheduler.kubeconfig",
            "--bind-address=127.0.0.1",
            "--leader-elect=false",
        ],
    )


def api_is_ready(layout: Layout, programs: dict[str, Path]) -> bool:
    """Whether the API server says so itself."""
    try:
        return kubectl(layout, programs, "get", "--raw", "/readyz") == "ok"
    except Exception:  # refused, not yet authorised, not yet ready: the log tells more
        return False


def kubectl(layout: Layout, programs: dict[str, Path], *words: str | Path, stdin: str | None = None) -> str:
    """What kubectl prints, as the administrator."""
    command = [programs["kubectl"], f"--kubeconfig={layout.kubeconfig}", *words]
    return run(command, clean_environment(layout), stdin)


def _etcd(layout: Layout, programs: dict[str, Path]) -> list[str | Path]:
    return [
        programs["etcd"],
        "--name=a360",
        f"--data-dir={layout.var}/etcd",
        "--unsafe-no-fsync",
        "--quota-backend-bytes=4294967296",
        "--auto-compaction-mode=periodic",
        "--auto-compaction-retention=5m",
        f"--listen-client-urls={ETCD_URL}",
        f"--advertise-client-urls={ETCD_URL}",
        f"--listen-peer-urls={ETCD_PEER_URL}",
        f"--initial-advertise-peer-urls={ETCD_PEER_URL}",
        f"--initial-cluster=a360={ETCD_PEER_URL}",
    ]


def _apiserver(layout: Layout, programs: dict[str, Path]) -> list[str | Path]:
    """Pods find it as the service ``kubernetes``: the first address of the service range is the node's.

    With that address on the loopback interface neither kube-proxy nor DNS is needed.
    """
    pki = layout.pki
    return [
        programs["kube-apiserver"],
        f"--etcd-servers={ETCD_URL}",
        f"--bind-address={NODE_IP}",
        f"--advertise-address={NODE_IP}",
        "--secure-port=443",
        "--service-cluster-ip-range=10.0.0.0/24",
        "--endpoint-reconciler-type=none",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--enable-priority-and-fairness=false",
        "--event-ttl=10m",
        f"--client-ca-file={pki}/ca.crt",
        f"--tls-cert-file={pki}/apiserver.crt",
        f"--tls-private-key-file={pki}/apiserver.key",
        f"--kubelet-client-certificate={pki}/apiserver-kubelet.crt",
        f"--kubelet-client-key={pki}/apiserver-kubelet.key",
        f"--kubelet-certificate-authority={pki}/ca.crt",
        "--kubelet-preferred-address-types=InternalIP",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={pki}/sa.pub",
        f"--service-account-signing-key-file={pki}/sa.key",
    ]
