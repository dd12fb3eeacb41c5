"""The proof that a checkpoint folder is complete: every check in words, or a DataError with the reason.

Reads configuration, tokenizer and index whole, of the weights only headers and end records. Whatever a
training job, a copy or a hub leaves behind half done has to be told here, before a GPU is asked for.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from a360.checkpoints.content import parse_object
from a360.checkpoints.folders import SAFETENSORS, SAFETENSORS_INDEX, TORCH, TORCH_INDEX, Folder
from a360.checkpoints.safetensors_header import Header, read_header
from a360.checkpoints.torch_zip import check_torch_zip
from a360.checkpoints.vocabulary import embedding_rows, tokenizer_rows
from a360.errors import DataError

_MAX_DOCUMENT_BYTES = 256 << 20
_FORMS = (SAFETENSORS, SAFETENSORS_INDEX, TORCH, TORCH_INDEX)
_WEIGHTS = (".safetensors", ".bin")
_TOKENIZERS = ("tokenizer.json", "vocab.json", "added_tokens.json")
"""Large when parsed: read where they are counted, and only then."""
_Documents = Mapping[str, Mapping[str, object]]


@dataclass(frozen=True, kw_only=True)
class Proof:
    """What was proven, and of which files; ``data_starts`` says where a shard's tensors begin, in bytes."""

    names: tuple[str, ...]
    checks: tuple[str, ...]
    vocab_size: int | None
    parameters: int | None
    data_starts: dict[str, int]
    chat_template: bool


@dataclass(frozen=True, kw_only=True)
class _Weights:
    names: frozenset[str]
    check: str
    headers: dict[str, Header]


class _Index(NamedTuple):
    shards: dict[str, frozenset[str]]
    """Shard -> the tensors that it should hold."""
    total_bytes: float | None


def check_settled(folder: Folder, now: float, settle_seconds: float) -> None:
    """Returns when no file is younger than ``settle_seconds`` (0: never look).

    Raises:
        DataError: when one is.
    """
    newest = max(folder.files.values(), key=lambda entry: entry.modified, default=None)
    if newest and settle_seconds and now - newest.modified < settle_seconds:
        raise DataError(
            f"still changing: {newest.key.rpartition('/')[2]} was written {now - newest.modified:.0f} s ago, "
            f"expected {settle_seconds:.0f} s without a change"
        )


def prove_ready(folder: Folder) -> Proof:
    """The proof that the folder holds a whole model.

    Raises:
        DataError: with what was found and what was expected.
    """
    if not folder.files:
        raise DataError("none of its files belongs to a model; expected config.json, a tokenizer and weights")
    for name, entry in folder.files.items():
        if entry.bytes == 0:
            raise DataError(f"{name} has 0 bytes")
    documents = {
        name: parse_object(name, _read_document(folder, name))
        for name in folder.files
        if name.endswith(".json") and name not in _TOKENIZERS
    }
    config = _check_config(folder, documents)
    weights = _prove_weights(folder, documents)
    # Shards that the index does not name are never loaded; they are no part of the model.
    names = tuple(name for name in folder.files if name in weights.names or not name.endswith(_WEIGHTS))
    needed = tokenizer_rows(names, partial(_read_document, folder))
    tensors = {name: tensor for header in weights.headers.values() for name, tensor in header.tensors.items()}
    available = embedding_rows(config, {name: tensor.shape for name, tensor in tensors.items()})
    if available and needed.rows > available.rows:
        raise DataError(
            f"wrong tokenizer size: {needed.source} needs {needed.rows:,} embedding rows, "
            f"{available.source} has {available.rows:,}"
        )
    bound = f"{available.source} has {available.rows:,}" if available else "the model's are not known"
    return Proof(
        names=names,
        checks=(
            "config.json names a model, every JSON file is whole",
            weights.check,
            f"{needed.source} needs {needed.rows:,} embedding rows, {bound}",
        ),
        vocab_size=available.rows if available else None,
        parameters=sum(tensor.elements for tensor in tensors.values()) if weights.headers else None,
        data_starts={name: header.data_start for name, header in weights.headers.items()},
        chat_template=_has_chat_template(names, documents),
    )


def _has_chat_template(names: Collection[str], documents: _Documents) -> bool:
    """Whether transformers finds a template for the tokenizer: a file, or in its configuration."""
    named = documents.get("tokenizer_config.json", {}).get("chat_template")
    if isinstance(named, list):
        return any(isinstance(each, dict) and each.get("name") == "default" for each in named)
    return "chat_template.jinja" in names or bool(named)


def _check_config(folder: Folder, documents: _Documents) -> Mapping[str, object]:
    config = documents.get("config.json")
    if config is None:
        raise DataError(f"no config.json; found {_some(folder.files)}")
    if not isinstance(config.get("model_type"), str) and not config.get("architectures"):
        raise DataError("config.json has neither model_type nor architectures, expected those of a model")
    return config


def _prove_weights(folder: Folder, documents: _Documents) -> _Weights:
    head = next((form for form in _FORMS if form in folder.files), None)
    if head is None:
        shards = [name for name in folder.files if name.endswith(_WEIGHTS)]
        found = f"{_some(shards)} without an index" if shards else f"no weights; found {_some(folder.files)}"
        raise DataError(f"{found}; expected one of {', '.join(_FORMS)}")
    index = _read_index(head, documents[head]) if head in documents else _Index({head: frozenset()}, None)
    missing = set(index.shards) - set(folder.files)
    if missing:
        raise DataError(
            f"{len(missing)} of {len(index.shards)} shards in {head} are missing: {_some(missing)}"
        )
    if head in (SAFETENSORS, SAFETENSORS_INDEX):
        return _prove_safetensors(folder, head, index)
    for name in sorted(index.shards):
        check_torch_zip(name, folder.files[name].bytes, partial(folder.read, name))
    check = f"{len(index.shards)} .bin files are whole zip archives"
    return _Weights(names=frozenset(index.shards), check=check, headers={})


def _prove_safetensors(folder: Folder, head: str, index: _Index) -> _Weights:
    headers = {
        name: read_header(name, folder.files[name].bytes, partial(folder.read, name))
        for name in sorted(index.shards)
    }
    for name, header in headers.items():
        promised = index.shards[name]
        lacking = promised - set(header.tensors)
        if lacking:
            raise DataError(
                f"{name} lacks {len(lacking)} of {len(promised)} tensors of {head}: {_some(lacking)}"
            )
    tensor_bytes = sum(tensor.bytes for header in headers.values() for tensor in header.tensors.values())
    if index.total_bytes not in (None, tensor_bytes):
        raise DataError(
            f"{head} promises {index.total_bytes:,} bytes of tensors, the shards hold {tensor_bytes:,}"
        )
    check = f"{len(headers)} safetensors headers account for every byte, {tensor_bytes:,} of them tensors"
    return _Weights(names=frozenset(headers), check=check, headers=headers)


def _read_index(name: str, index: Mapping[str, object]) -> _Index:
    weight_map, metadata = index.get("weight_map"), index.get("metadata")
    if not isinstance(weight_map, dict) or not weight_map:
        raise DataError(f"{name} has no weight_map, expected tensor -> shard")
    shards: dict[str, set[str]] = {}
    for tensor, shard in weight_map.items():
        shards.setdefault(str(shard), set()).add(tensor)
    total = metadata.get("total_size") if isinstance(metadata, dict) else None
    # Some writers store a float, which compares all the same.
    total_bytes = total if isinstance(total, int | float) else None
    return _Index({shard: frozenset(tensors) for shard, tensors in shards.items()}, total_bytes)


def _read_document(folder: Folder, name: str) -> bytes:
    size_bytes = folder.files[name].bytes
    if size_bytes > _MAX_DOCUMENT_BYTES:
        raise DataError(f"{name} has {size_bytes:,} bytes, expected at most {_MAX_DOCUMENT_BYTES:,}")
    return folder.read(name, 0, size_bytes)


def _some(names: Collection[str]) -> str:
    listed = sorted(names)
    return ", ".join(listed[:3]) + (f" and {len(listed) - 3} more" if len(listed) > 3 else "")
