"""Keys, certificates and kubeconfigs of a cluster, signed by an authority of its own."""

import json
from collections.abc import Mapping
from pathlib import Path

from tests.cluster.layout import NODE_IP, Layout
from tests.cluster.processes import clean_environment, run

_DAYS = "30"

SERVERS = {
    "apiserver": ("/CN=kube-apiserver", f"IP:{NODE_IP},DNS:kubernetes.default.svc"),
    "kubelet-server": ("/CN=node0", f"IP:{NODE_IP},DNS:node0"),
}
"""Name -> subject and names that clients may know it by."""

CLIENTS = {
    "admin": "/O=system:masters/CN=admin",
    "controller-manager": "/CN=system:kube-controller-manager",
    "scheduler": "/CN=system:kube-scheduler",
    "kubelet": "/O=system:nodes/CN=system:node:node0",
    "apiserver-kubelet": "/O=system:masters/CN=apiserver-kubelet",
    # A service account's own user name: the roles bound to the account hold, and no token can expire.
    "workflow-controller": "/CN=system:serviceaccount:argo:argo",
}
"""Name -> subject; each gets a kubeconfig of this name."""


def make_certificates(layout: Layout) -> None:
    """Writes pki/ and one kubeconfig per client into etc/."""
    authority = ["-x509", "-days", _DAYS, "-subj", "/CN=a360-test-ca", "-out", "ca.crt"]
    _openssl(layout, ["req", *_new_key("ca.key"), *authority])
    _openssl(layout, ["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "sa.key"])
    _openssl(layout, ["ec", "-in", "sa.key", "-pubout", "-out", "sa.pub"])
    for name, (subject, names) in SERVERS.items():
        _sign(layout, name, subject, {"extendedKeyUsage": "serverAuth", "subjectAltName": names})
    for name, subject in CLIENTS.items():
        _sign(layout, name, subject, {"extendedKeyUsage": "clientAuth"})
        (layout.etc / f"{name}.kubeconfig").write_text(_kubeconfig(layout.pki, name))


def _sign(layout: Layout, name: str, subject: str, extensions: Mapping[str, str]) -> None:
    lines = "".join(f"{key}={value}\n" for key, value in extensions.items())
    (layout.pki / f"{name}.ext").write_text(lines)
    _openssl(layout, ["req", *_new_key(f"{name}.key"), "-subj", subject, "-out", f"{name}.csr"])
    authority = ["-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", _DAYS]
    files = ["-in", f"{name}.csr", "-out", f"{name}.crt", "-extfile", f"{name}.ext"]
    _openssl(layout, ["x509", "-req", *files, *authority])


def _new_key(name: str) -> list[str]:
    return ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", name]


def _openssl(layout: Layout, words: list[str]) -> None:
    run(["env", "-C", layout.pki, "openssl", *words], clean_environment(layout))


def _kubeconfig(pki: Path, name: str) -> str:
    namespace = "argo" if name == "workflow-controller" else "a360"
    user = {"client-certificate": f"{pki}/{name}.crt", "client-key": f"{pki}/{name}.key"}
    cluster = {"server": f"https://{NODE_IP}:443", "certificate-authority": f"{pki}/ca.crt"}
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "a360-test",
        "clusters": [{"name": "a360-test", "cluster": cluster}],
        "users": [{"name": name, "user": user}],
        "contexts": [
            {"name": "a360-test", "context": {"cluster": "a360-test", "user": name, "namespace": namespace}}
        ],
    }
    return json.dumps(document, indent=1)
