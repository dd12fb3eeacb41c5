"""Small folders that look like checkpoints to the weight cache, and what a store must hold of them."""

import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from a360.identity import hash_value
from a360.records import Checkpoint, CheckpointFile
from a360.storage import Store
from a360.storage.content_hash import hash_windows
from a360.storage.file_store import FileStore
from a360.weights import WeightCache


def weights(seed: str, size_bytes: int) -> bytes:
    """Bytes without structure, the same for the same seed."""
    return hashlib.shake_128(seed.encode()).digest(size_bytes)


def contents(seed: str, size_bytes: int = 300_000) -> dict[str, bytes]:
    """File name -> bytes of a checkpoint of three files, its shard of ``size_bytes``."""
    return {
        "config.json": f'{{"seed": "{seed}"}}'.encode(),
        "model-00001-of-00001.safetensors": weights(seed, size_bytes),
        "tokenizer.json": b"{}",
    }


def upload(store: Store, folder: str, files: dict[str, bytes]) -> Checkpoint:
    """The checkpoint after its files were written below ``folder``, with one file that is not listed."""
    prefix = f"{folder}/" if folder else ""
    for name, data in files.items():
        store.write(prefix + name, data)
    store.write(prefix + "README.md", b"about " + folder.encode())
    listed = tuple(
        CheckpointFile(name=name, bytes=len(data), content_hash=content_hash(data))
        for name, data in sorted(files.items())
    )
    entries = [(entry.key, entry.bytes, entry.version) for entry in store.list(prefix)]
    return Checkpoint(
        id=folder or "root",
        uri=f"{store.uri}/{folder}" if folder else store.uri,
        phase=0,
        step=1,
        tokens=None,
        digest=hash_value([file.model_dump() for file in listed]) * 4,
        fingerprint=hash_value(entries),
        files=listed,
    )


def content_hash(data: bytes) -> str:
    return hash_windows(len(data), lambda start, length: data[start : start + length])


def full_hashes(files: dict[str, bytes]) -> dict[str, str]:
    return {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}


def tree(folder: Path) -> dict[str, bytes]:
    """Relative path -> bytes of every file below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def cached_digests(cache: WeightCache) -> set[str]:
    """Names of what lies in a cache, whole or not."""
    return {path.name for path in cache.dir.iterdir() if path.name != ".state"}


class CountingStore(FileStore):
    """Notes every object that any process pulls, and may damage what it delivers."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.log = root.parent / "pulled.log"
        self.damage: Callable[[int, Path], None] = lambda pull, target_dir: None

    def pull_tree(self, keys: Sequence[str], target_dir: Path) -> int:
        with self.log.open("a") as log:
            log.writelines(f"{os.getpid()} {key}\n" for key in keys)
        pulled_bytes = super().pull_tree(keys, target_dir)
        self.damage(len(self.pulled), target_dir)
        return pulled_bytes

    @property
    def pulled(self) -> list[str]:
        """Keys in the order of their pulls, of all processes."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return [line.split()[1] for line in lines]
