"""The folders below a checkpoint root, as LIST shows them, reduced to the files that make a model.

Only allow-listed files count: a README or a training log changes neither fingerprint nor digest. Where a
folder holds weights in several forms, only those that transformers loads are kept, in its own order:
``model.safetensors``, the sharded safetensors, ``pytorch_model.bin``, its shards.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cached_property

from a360.errors import DataError
from a360.identity import hash_value
from a360.storage.store import Entry, Store

SAFETENSORS, SAFETENSORS_INDEX = "model.safetensors", "model.safetensors.index.json"
TORCH, TORCH_INDEX = "pytorch_model.bin", "pytorch_model.bin.index.json"
_DOCUMENTS = frozenset(
    {
        "config.json", "generation_config.json",
        "tokenizer.json", "tokenizer.model", "tokenizer_config.json", "special_tokens_map.json",
        "added_tokens.json", "vocab.json", "merges.txt", "vocab.txt",
        "chat_template.jinja", "chat_template.json",
    }
)  # fmt: skip
_SAFETENSORS_NAME = re.compile(r"[^/]+\.safetensors(\.index\.json)?")
_TORCH_NAME = re.compile(r"pytorch_model[^/]*\.bin|pytorch_model\.bin\.index\.json")
_SHARD_NAME = re.compile(r"model-\d+-of-\d+\.safetensors")


@dataclass(frozen=True, kw_only=True)
class Folder:
    """One checkpoint folder in ``source``; ``files`` are its allow-listed entries, sorted by name."""

    source: Store
    name: str
    files: dict[str, Entry]

    @cached_property
    def fingerprint(self) -> str:
        """16 hex digits over names, sizes and versions, from LIST alone.

        The folder's name is part of it: versions of a file store are times, which may coincide.
        """
        listed = [[name, entry.bytes, entry.version] for name, entry in self.files.items()]
        return hash_value([self.name, listed])

    @property
    def uri(self) -> str:
        """Where the folder is, for people."""
        return f"{self.source.uri.rstrip('/')}/{self.name}"

    def read(self, name: str, start: int, length: int) -> bytes:
        """Exactly ``length`` bytes of a file.

        Raises:
            DataError: where the file ends before that.
        """
        data = self.source.read(self.files[name].key, start, length)
        if len(data) != length:
            raise DataError(
                f"{name} ends early: {len(data):,} bytes at offset {start:,}, expected {length:,}; "
                f"the listing says {self.files[name].bytes:,} in all"
            )
        return data

    def list_again(self) -> "Folder":
        """The same folder as it is now."""
        entries = self.source.list(f"{self.name}/")
        folders, _ = group_folders(self.source, entries, lambda name: name == self.name)
        return folders[0] if folders else replace(self, files={})


def group_folders(
    source: Store, entries: Iterable[Entry], is_checkpoint: Callable[[str], bool]
) -> tuple[list[Folder], list[str]]:
    """The folders whose path ``is_checkpoint`` accepts, and the first segments of everything else.

    The shortest accepted path is the checkpoint, so names may have several segments (``phase1/step10``).
    """
    found: dict[str, dict[str, Entry]] = {}
    others: set[str] = set()
    for entry in entries:
        segments = entry.key.split("/")
        paths = ("/".join(segments[:depth]) for depth in range(1, len(segments)))
        name = next((path for path in paths if is_checkpoint(path)), None)
        if name is None:
            others.add(segments[0])
        else:
            found.setdefault(name, {})[entry.key[len(name) + 1 :]] = entry
    folders = [
        Folder(source=source, name=name, files={file: files[file] for file in select_files(files)})
        for name, files in sorted(found.items())
    ]
    return folders, sorted(others)


def select_files(names: Iterable[str]) -> list[str]:
    """The names that make a model, sorted: configuration, tokenizer, and one form of weights.

    Source: transformers 5, ``modeling_utils._get_resolved_checkpoint_files``, for the order of forms.
    """
    present = set(names)
    safetensors = {name for name in present if _SAFETENSORS_NAME.fullmatch(name)}
    torch = {name for name in present if _TORCH_NAME.fullmatch(name)}
    if SAFETENSORS in present:
        weights = {SAFETENSORS}
    elif SAFETENSORS_INDEX in present or any(_SHARD_NAME.fullmatch(name) for name in safetensors):
        # Shards without an index are an upload in progress, not a reason to fall back on .bin.
        weights = safetensors
    elif TORCH in present:
        weights = {TORCH}
    else:
        weights = torch or safetensors
    return sorted(present & _DOCUMENTS | weights)
