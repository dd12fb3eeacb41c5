"""Stand-ins that tests share: a store that counts, and checkpoints small enough to break on purpose."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from safetensors.numpy import save

from a360.storage import Entry, Store

VOCAB_SIZE = 16
HIDDEN = 4


class Request(NamedTuple):
    """One call of a store's verb; ``bytes`` is what it read or wrote."""

    verb: str
    key: str
    bytes: int = 0


class CountingStore:
    """Passes everything on to a real store and notes it in ``requests``."""

    def __init__(self, inner: Store) -> None:
        self.inner = inner
        self.uri = inner.uri
        self.requests: list[Request] = []

    def list(self, prefix: str = "") -> Iterator[Entry]:
        self.requests.append(Request("list", prefix))
        return self.inner.list(prefix)

    def read(self, key: str, start: int | None = None, length: int | None = None) -> bytes:
        data = self.inner.read(key, start, length)
        self.requests.append(Request("read", key, len(data)))
        return data

    def write(self, key: str, data: bytes) -> None:
        self.requests.append(Request("write", key, len(data)))
        self.inner.write(key, data)

    def put_if_absent(self, key: str, data: bytes) -> bool:
        self.requests.append(Request("put_if_absent", key, len(data)))
        return self.inner.put_if_absent(key, data)

    def pull_tree(self, keys: Sequence[str], target_dir: Path) -> int:
        self.requests += [Request("pull", key) for key in keys]
        return self.inner.pull_tree(keys, target_dir)

    def delete(self, key: str) -> None:
        self.requests.append(Request("delete", key))
        self.inner.delete(key)

    def bytes_read(self, suffix: str) -> int:
        """Bytes that were read of keys with this ending."""
        return sum(r.bytes for r in self.requests if r.verb == "read" and r.key.endswith(suffix))


def checkpoint_files(seed: int, vocab_size: int = VOCAB_SIZE) -> dict[str, bytes]:
    """The files of a whole checkpoint in two safetensors shards, by name; another seed, other weights."""
    random = np.random.default_rng(seed)
    tensors = {
        "model.embed_tokens.weight": random.normal(size=(VOCAB_SIZE, HIDDEN)).astype("float32"),
        "model.norm.weight": random.normal(size=HIDDEN).astype("float32"),
        "lm_head.weight": random.normal(size=(VOCAB_SIZE, HIDDEN)).astype("float32"),
    }
    shards = {
        "model-00001-of-00002.safetensors": ["model.embed_tokens.weight", "model.norm.weight"],
        "model-00002-of-00002.safetensors": ["lm_head.weight"],
    }
    index = {
        "metadata": {"total_size": sum(tensor.nbytes for tensor in tensors.values())},
        "weight_map": {name: shard for shard, names in shards.items() for name in names},
    }
    config = {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "vocab_size": VOCAB_SIZE}
    return {
        "config.json": as_json(config),
        "tokenizer.json": tokenizer_json(vocab_size),
        "model.safetensors.index.json": as_json(index),
        **{shard: save({name: tensors[name] for name in names}) for shard, names in shards.items()},
    }


def tokenizer_json(size: int) -> bytes:
    """A fast tokenizer whose ids reach to ``size`` - 1, the last of them an added token."""
    vocab = {f"t{token_id}": token_id for token_id in range(size - 1)}
    added = [{"id": size - 1, "content": "<s>", "special": True}]
    return as_json({"model": {"type": "BPE", "vocab": vocab, "merges": []}, "added_tokens": added})


def as_json(value: object) -> bytes:
    return json.dumps(value).encode()


def write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
