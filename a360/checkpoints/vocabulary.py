"""How many embedding rows a checkpoint's tokenizer needs, and how many its model has.

A tokenizer of another model loads without complaint and gives plausible nonsense or an index error in
the middle of a sweep; its ids against the embedding's rows tell before a GPU is asked for.
"""

import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import lru_cache
from typing import NamedTuple

from a360.checkpoints.content import describe_content, parse_object
from a360.errors import DataError

_PARSING = threading.Lock()
_EMBEDDINGS = (
    "embed_tokens.weight",
    "wte.weight",
    "embed_in.weight",
    "word_embeddings.weight",
    "tok_embeddings.weight",
)


class Rows(NamedTuple):
    """A number of embedding rows and the file or tensor that says so."""

    rows: int
    source: str


def tokenizer_rows(names: Collection[str], read: Callable[[str], bytes]) -> Rows:
    """The rows that the largest token id needs, from the first form of tokenizer among ``names``.

    Raises:
        DataError: when there is no tokenizer, or it holds no usable ids.
    """
    for form, count in _FORMS.items():
        if form in names and (form != "vocab.json" or "merges.txt" in names):
            text = read(form)
            # A parsed tokenizer takes ten times its text, and threads cannot parse at the same time anyway.
            with _PARSING:
                rows = count(text)
            if form != "tokenizer.json" and "added_tokens.json" in names:
                added = parse_object("added_tokens.json", read("added_tokens.json"))
                rows = max(rows, _rows(added.values(), "added_tokens.json"))
            if rows < 1:
                raise DataError(f"{form} holds no tokens")
            return Rows(rows, form)
    raise DataError("no tokenizer; expected tokenizer.json, tokenizer.model, or vocab.json and merges.txt")


def embedding_rows(config: Mapping[str, object], shapes: Mapping[str, tuple[int, ...]]) -> Rows | None:
    """The rows of the token embedding, from its shape or else from the configuration; None if neither tells.

    Raises:
        DataError: when the two differ.
    """
    text_config = config.get("text_config")
    declared = config.get("vocab_size")
    if declared is None and isinstance(text_config, dict):
        declared = text_config.get("vocab_size")
    stored = [name for name, shape in shapes.items() if name.endswith(_EMBEDDINGS) and len(shape) == 2]
    # Encoders and audio parts bring embeddings of their own: then only the configuration is clear.
    tensor = stored[0] if len(stored) == 1 else None
    if tensor is None:
        return Rows(declared, "config.json's vocab_size") if isinstance(declared, int) else None
    rows = shapes[tensor][0]
    if isinstance(declared, int) and declared != rows:
        raise DataError(f"config.json says vocab_size {declared:,}, but {tensor} has {rows:,} rows")
    return Rows(rows, tensor)


# Checkpoints of one training run share their tokenizer: it is parsed once.
@lru_cache(maxsize=2)
def _count_fast_tokenizer(text: bytes) -> int:
    where = "tokenizer.json"
    document = parse_object(where, text)
    match document:
        case {"model": {"vocab": dict(vocab)}}:
            rows = _rows(vocab.values(), where)
        case {"model": {"vocab": list(vocab)}}:
            rows = len(vocab)
        case _:
            raise DataError(f"{where} has no model.vocab, expected the file of a fast tokenizer")
    added = document.get("added_tokens") or []
    if not isinstance(added, list) or not all(isinstance(token, dict) for token in added):
        raise DataError(f"{where}: added_tokens is no list of objects")
    return max(rows, _rows([token.get("id") for token in added], where))


def _count_vocabulary(text: bytes) -> int:
    return _rows(parse_object("vocab.json", text).values(), "vocab.json")


def _count_lines(text: bytes) -> int:
    return len(text.splitlines())


def _count_pieces(model: bytes) -> int:
    """The pieces of a SentencePiece model: how often field 1 occurs in its protocol buffer.

    Source: ``ModelProto`` in sentencepiece_model.proto of https://github.com/google/sentencepiece, whose
    fields all are length-delimited messages.
    """
    pieces, at = 0, 0
    while at < len(model):
        tag, at = _varint(model, at)
        length, at = _varint(model, at)
        at += length
        if tag & 7 != 2 or at > len(model):
            raise DataError(
                f"tokenizer.model is {describe_content(model[:512])}, expected a SentencePiece model"
            )
        pieces += tag >> 3 == 1
    return pieces


def _varint(message: bytes, at: int) -> tuple[int, int]:
    """A variable-length number and the offset behind it."""
    value = 0
    for shift, byte in enumerate(message[at : at + 10]):
        value |= (byte & 0x7F) << 7 * shift
        if byte < 0x80:
            return value, at + shift + 1
    raise DataError("tokenizer.model is broken off, expected a whole SentencePiece model")


def _rows(ids: Iterable[object], where: str) -> int:
    """The largest id + 1; 0 without ids."""
    rows = 0
    for token_id in ids:
        if type(token_id) is not int or token_id < 0:
            raise DataError(f"{where} has the token id {token_id!r}, expected whole numbers")
        rows = max(rows, token_id + 1)
    return rows


_FORMS: dict[str, Callable[[bytes], int]] = {
    "tokenizer.json": _count_fast_tokenizer,
    "tokenizer.model": _count_pieces,
    "vocab.json": _count_vocabulary,
    "vocab.txt": _count_lines,
}
