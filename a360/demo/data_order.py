"""Which tokens the demo's training sees, and when: tokenizer, windows, order.

Everything is fixed before the first step, so the record of the order is written before it too. It is what
memorization is measured against.

Shape suffixes: N windows in the order they are seen, T tokens of a window.
"""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from a360.datasets.sequences import KEPT_TOKENS, Draw
from a360.demo.questions import Row
from a360.demo.text import Document, name_hash
from a360.errors import ConfigError

BOS, EOS = "<s>", "</s>"


@dataclass(frozen=True, kw_only=True)
class DataOrder:
    """Windows of a stream of documents, in the order they are trained on."""

    tokens: npt.NDArray[np.uint16]
    """NT"""
    documents: tuple[Document, ...]
    begins_in: npt.NDArray[np.int32]
    """N: index of the document in which a window begins; a window may run on into the next one."""
    offsets: npt.NDArray[np.int32]
    """N: where a window begins, in tokens of its document, whose token 0 is BOS."""
    corpus_tokens: int


def choose_documents(
    documents: Sequence[Document], *, document_chars: int, source_chars: int
) -> tuple[Document, ...]:
    """The beginnings of documents, up to a length of text per source, ordered by a hash of their names."""
    chosen, taken_chars = [], dict.fromkeys((document.source for document in documents), 0)
    for document in sorted(documents, key=lambda each: (name_hash(each.name), each.source)):
        text = document.text[:document_chars]
        if taken_chars[document.source] + len(text) <= source_chars:
            taken_chars[document.source] += len(text)
            chosen.append(Document(source=document.source, name=document.name, text=text))
    return tuple(chosen)


def train_tokenizer(documents: Sequence[Document], vocab_size: int) -> Tokenizer:
    """A byte-level BPE tokenizer: no unknown tokens, BOS 0 and EOS 1, which it never adds by itself."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[BOS, EOS],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator((document.text for document in documents), trainer)
    return tokenizer


def order_windows(
    documents: Sequence[Document], tokenizer: Tokenizer, *, window_tokens: int, windows: int, seed: int
) -> DataOrder:
    """``windows`` windows: the documents end to end, cut, shuffled anew in every pass over them.

    Raises:
        ConfigError: the documents do not fill one window.
    """
    encoded = tokenizer.encode_batch([document.text for document in documents])
    bos, eos = tokenizer.token_to_id(BOS), tokenizer.token_to_id(EOS)
    pieces = [np.array([bos, *each.ids, eos], dtype=np.uint16) for each in encoded]
    stream = np.concatenate(pieces)
    if len(stream) < window_tokens:
        raise ConfigError(
            f"the text has {len(stream)} tokens, expected at least one window of {window_tokens}"
        )
    begins = np.cumsum([0, *map(len, pieces[:-1])])
    random = np.random.default_rng(seed)
    cut = len(stream) // window_tokens
    passes = [random.permutation(cut) for _ in range(-(-windows // cut))]
    start_N = np.concatenate(passes)[:windows] * window_tokens
    document_N = np.searchsorted(begins, start_N, side="right") - 1
    return DataOrder(
        tokens=stream[start_N[:, None] + np.arange(window_tokens)],
        documents=tuple(documents),
        begins_in=document_N.astype(np.int32),
        offsets=(start_N - begins[document_N]).astype(np.int32),
        corpus_tokens=len(stream),
    )


def draw_chunks(order_path: Path, *, steps: int, chunks: int, draw: Draw) -> dict[str, list[Row]]:
    """Folder -> drawn sequences of a chunk: the windows of so many steps, the first ones from step 1."""
    table = pq.read_table(order_path, columns=["step", "source", "tokens"])
    step = table["step"].to_numpy()
    drawn = {}
    for chunk in range(chunks):
        lines = np.flatnonzero((step > chunk * steps) & (step <= (chunk + 1) * steps))
        drawn[f"chunk-{chunk:03d}"] = _draw(table.take(lines), draw)
    return drawn


def draw_control(tokenizer: Tokenizer, documents: Sequence[Document], draw: Draw) -> list[Row]:
    """Drawn sequences that no step sees: windows of documents that are left out of the training."""
    rows = []
    for document in documents:
        ids = tokenizer.encode(document.text).ids
        for start in range(0, len(ids) - KEPT_TOKENS + 1, KEPT_TOKENS):
            rows.append({"tokens": ids[start : start + KEPT_TOKENS], "source": document.source})
    return _draw(pa.Table.from_pylist(rows), draw)


def _draw(windows: pa.Table, draw: Draw) -> list[Row]:
    lines = heapq.nsmallest(draw.sequences, range(1, len(windows) + 1), key=draw.rank)
    chosen = windows.take([line - 1 for line in sorted(lines)]).to_pylist()
    return [
        {"tokens": row["tokens"][:KEPT_TOKENS], "source": row["source"], "line": line}
        for row, line in zip(chosen, sorted(lines), strict=True)
    ]


def write_order(order: DataOrder, path: Path, *, windows_per_step: int) -> None:
    """Parquet, one row per window: step (from 1), row in the step, source, document, offset, tokens."""
    step, row = np.divmod(np.arange(len(order.tokens)), windows_per_step)
    documents = [order.documents[index] for index in order.begins_in]
    flat = pa.array(order.tokens.reshape(-1))
    table = pa.table(
        {
            "step": pa.array(step + 1, pa.int32()),
            "row": pa.array(row, pa.int32()),
            "source": pa.array([document.source for document in documents]).dictionary_encode(),
            "document": pa.array([document.name for document in documents]).dictionary_encode(),
            "offset": pa.array(order.offsets),
            "tokens": pa.FixedSizeListArray.from_arrays(flat, order.tokens.shape[1]),
        }
    )
    part = path.with_name(f".{path.name}.part")
    pq.write_table(table, part, compression="zstd")
    part.replace(path)
