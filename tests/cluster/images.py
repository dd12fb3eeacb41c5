"""Images without a registry: folders of the machine as docker archives of one layer.

Three images: ``pause``, Argo's executor, and a360's own. The last holds the machine's Python with its
libraries, a360's code as it is in this checkout, and a .pth file; third-party packages (gigabytes) are not
copied: the node mounts the shared environment at ``ENVIRONMENT_DIR`` of every container (``node.py``).
"""

import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.cluster.layout import CHECKOUT

PAUSE = "a360.test/pause:1"
ARGOEXEC = "a360.test/argoexec:v4.0.2"
MAIN = "a360.test/a360:1"
"""A tag other than ``latest`` means IfNotPresent: the kubelet does not look for a registry."""
LIGHT = "a360.test/light:1"
"""The same under another name: pods that do not evaluate come from another image."""

ENVIRONMENT_DIR = "/opt/env"
CODE_DIR = "/opt/a360"
USER = 10001

_TOOLS = "dash env cat cp chmod date dd echo false head id ls mkdir mv rm sleep sort tail tee test touch true"
_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
_PYTHON = f"python{sys.version_info.major}.{sys.version_info.minor}"
_NOT_STDLIB = (
    "test",
    "ensurepip",
    "idlelib",
    "__pycache__",
    "lib2to3",
    "turtledemo",
    "site-packages",
    "dist-packages",
)


@dataclass
class Rootfs:
    """Entries of an image's only layer: path without the leading slash -> where its bytes come from."""

    files: dict[str, tuple[Path | bytes, int]] = field(default_factory=dict)
    directories: dict[str, int] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)

    def add(self, path: str | Path, source: Path | bytes | str, mode: int = 0o644) -> None:
        """One file; below /bin, /lib and so on it goes into /usr, as on every current Linux."""
        name = re.sub(r"^(bin|sbin|lib|lib64)/", r"usr/\1/", str(path).lstrip("/"))
        self.files[name] = (source.encode() if isinstance(source, str) else source, mode)

    def add_programs(self, paths: Sequence[Path]) -> None:
        """Programs or libraries and every library that the loader would take for them."""
        for path in paths:
            self.add(path, path.resolve(), 0o755)
        for start in range(0, len(paths), 200):
            told = subprocess.run(
                ["ldd", *map(str, paths[start : start + 200])], capture_output=True, text=True
            )
            for library in set(re.findall(r"(?:=> |^\s)(/\S+) \(0x", told.stdout, re.MULTILINE)):
                self.add(library, Path(library).resolve(), 0o755)

    def add_tree(self, path: str | Path, source: Path, without: Sequence[str] = ("__pycache__",)) -> None:
        """A folder's files."""
        for top, folders, names in os.walk(source):
            folders[:] = [name for name in folders if name not in without and not name.startswith("config-")]
            for name in names:
                file = Path(top) / name
                if file.exists():
                    self.add(Path(path) / file.relative_to(source), file)

    def write_layer(self, target: Path) -> None:
        """The layer, the same bytes for the same entries."""
        parents = {str(up) for name in [*self.files, *self.links] for up in Path(name).parents if up.name}
        for name in parents:
            self.directories.setdefault(name, 0o755)
        with tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as layer:
            for name in sorted({*self.files, *self.directories, *self.links}):
                entry = tarfile.TarInfo(name)
                if name in self.directories:
                    entry.type, entry.mode = tarfile.DIRTYPE, self.directories[name]
                    layer.addfile(entry)
                elif name in self.links:
                    entry.type, entry.linkname = tarfile.SYMTYPE, self.links[name]
                    layer.addfile(entry)
                else:
                    source, entry.mode = self.files[name]
                    data = source if isinstance(source, bytes) else source.read_bytes()
                    entry.size = len(data)
                    layer.addfile(entry, io.BytesIO(data))


def write_image(target: Path, names: Sequence[str], rootfs: Rootfs, config: Mapping[str, object]) -> Path:
    """A docker archive that ``ctr images import`` takes; the image gets all of the names."""
    layer = target.with_suffix(".layer")
    rootfs.write_layer(layer)
    with layer.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    diff_ids = {"type": "layers", "diff_ids": [f"sha256:{digest}"]}
    document = {"architecture": "amd64", "os": "linux", "config": config, "rootfs": diff_ids}
    encoded = json.dumps(document).encode()
    config_name = hashlib.sha256(encoded).hexdigest() + ".json"
    manifest = [{"Config": config_name, "RepoTags": names, "Layers": ["layer.tar"]}]
    with tarfile.open(target, "w") as archive:
        for member, data in ((config_name, encoded), ("manifest.json", json.dumps(manifest).encode())):
            entry = tarfile.TarInfo(member)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
        archive.add(layer, "layer.tar")
    layer.unlink()
    return target


def pause_image(target: Path, program: Path) -> Path:
    """Holds a pod's namespaces."""
    rootfs = Rootfs()
    rootfs.add("/pause", program, 0o755)
    return write_image(target, [PAUSE], rootfs, {"User": "65535:65535", "Cmd": ["/pause"]})


def argoexec_image(target: Path, program: Path) -> Path:
    """Argo's executor: init and wait containers."""
    rootfs = _with_accounts("argoexec", 8737)
    rootfs.add("/usr/bin/argoexec", program, 0o755)
    config = {"User": "8737", "Env": ["PATH=/usr/bin:/bin"], "Entrypoint": ["argoexec"]}
    return write_image(target, [ARGOEXEC], rootfs, config)


def main_image(target: Path, environment_dir: Path) -> Path:
    """This machine's Python, this checkout's a360; ``environment_dir`` says which libraries are needed."""
    rootfs = _with_accounts("a360", USER)
    stdlib, prefix = Path(sysconfig.get_path("stdlib")), Path(sys.base_prefix)
    interpreter = prefix / "bin" / _PYTHON
    tools = [Path(found) for name in _TOOLS.split() if (found := shutil.which(name))]
    rootfs.add_tree(stdlib, stdlib, _NOT_STDLIB)
    packages = environment_dir / "lib" / _PYTHON / "site-packages"
    extensions = [
        *(stdlib / "lib-dynload").glob("*.so"),
        *sorted((packages / "torch" / "lib").glob("libtorch*.so")),
    ]
    rootfs.add_programs([interpreter, *tools, *extensions])
    rootfs.files = {name: entry for name, entry in rootfs.files.items() if not _is_below(name, packages)}
    rootfs.links |= {"usr/bin/sh": "dash"}
    rootfs.links |= {f"usr/bin/{name}": str(interpreter) for name in ("python", "python3")}
    site = f"import site; site.addsitedir({f'{ENVIRONMENT_DIR}/lib/{_PYTHON}/site-packages'!r})"
    rootfs.add(_site_directory(interpreter) / "a360.pth", f"{CODE_DIR}\n{site}\n")
    for name in ("a360", "jobs", "workflows"):
        rootfs.add_tree(f"{CODE_DIR}/{name}", CHECKOUT / name)
    for about in Path(sysconfig.get_path("purelib")).glob("a360-*.dist-info"):
        rootfs.add_tree(f"{CODE_DIR}/{about.name}", about)
    variables = ["PATH=/usr/bin:/bin", "HOME=/tmp", "PYTHONDONTWRITEBYTECODE=1", f"A360_GIT_SHA={_git_sha()}"]
    return write_image(
        target, [MAIN, LIGHT], rootfs, {"User": str(USER), "Env": variables, "Cmd": ["python"]}
    )


def shared_environment() -> Path:
    """The environment with the dependencies, which this process runs on; see .ci/environment.py."""
    shared = Path(sysconfig.get_path("purelib")) / "shared.pth"
    if shared.exists() and (found := re.search(r"addsitedir\('(.+)'\)", shared.read_text())):
        return Path(found[1]).parents[2]
    return Path(sys.prefix)


def _with_accounts(user: str, uid: int) -> Rootfs:
    rootfs = Rootfs(
        directories={"tmp": 0o1777, "proc": 0o755, "sys": 0o755, "dev": 0o755, ENVIRONMENT_DIR[1:]: 0o755}
    )
    rootfs.links = {name: f"usr/{name}" for name in ("bin", "lib", "lib64", "sbin")}
    rootfs.directories |= {f"usr/{name}": 0o755 for name in rootfs.links}
    rootfs.add("/etc/passwd", f"root:x:0:0:root:/tmp:/bin/sh\n{user}:x:{uid}:{uid}:{user}:/tmp:/bin/sh\n")
    rootfs.add("/etc/group", f"root:x:0:\n{user}:x:{uid}:\n")
    rootfs.add("/etc/nsswitch.conf", "hosts: files dns\n")
    if _CERTIFICATES.exists():
        rootfs.add(_CERTIFICATES, _CERTIFICATES)
    return rootfs


def _is_below(name: str, folder: Path) -> bool:
    return Path("/", name).is_relative_to(folder)


def _site_directory(interpreter: Path) -> Path:
    told = subprocess.run(
        [interpreter, "-I", "-c", "import site; print(site.getsitepackages()[0])"],
        capture_output=True,
        text=True,
        check=True,
    )
    return Path(told.stdout.strip())


def _git_sha() -> str:
    command = ["git", "-C", str(CHECKOUT), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    return subprocess.run(command, capture_output=True, text=True).stdout.strip() or "unknown"
