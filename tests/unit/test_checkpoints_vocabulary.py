from collections.abc import Mapping

import pytest

from a360.checkpoints.vocabulary import Rows, embedding_rows, tokenizer_rows
from a360.errors import DataError
from tests.fakes import as_json, tokenizer_json

CONFIGURED = Rows(8, "config.json's vocab_size")


def sentencepiece_model(pieces: int) -> bytes:
    """Field 1 is a piece of (text, score); field 2, the trainer's settings, is longer than 127 bytes."""
    piece = b"\x0a\x08" + b"\x0a\x01a\x15\0\0\0\0"
    return piece * pieces + b"\x12\xc8\x01" + b"x" * 200


def rows_of(**files: bytes) -> Rows:
    named = {name.replace("_json", ".json").replace("__", "."): data for name, data in files.items()}
    return tokenizer_rows(named, named.__getitem__)


def unigram(size: int) -> bytes:
    return as_json({"model": {"type": "Unigram", "vocab": [[f"t{n}", -1.0] for n in range(size)]}})


def test_the_largest_id_of_a_fast_tokenizer_counts_added_tokens_included() -> None:
    assert rows_of(tokenizer_json=tokenizer_json(32)) == Rows(32, "tokenizer.json")


def test_holes_between_ids_count() -> None:
    text = as_json({"model": {"vocab": {"a": 0, "b": 900}}, "added_tokens": None})
    assert rows_of(tokenizer_json=text).rows == 901


def test_a_unigram_vocabulary_counts_by_position() -> None:
    assert rows_of(tokenizer_json=unigram(7)).rows == 7


def test_the_pieces_of_a_sentencepiece_model_are_counted() -> None:
    assert rows_of(tokenizer__model=sentencepiece_model(300)) == Rows(300, "tokenizer.model")


def test_vocabulary_and_merges_are_a_tokenizer_and_a_vocabulary_alone_is_none() -> None:
    vocab = as_json({"a": 0, "b": 1})
    assert rows_of(vocab_json=vocab, merges__txt=b"a b").rows == 2
    with pytest.raises(DataError, match=r"no tokenizer; expected tokenizer.json"):
        rows_of(vocab_json=vocab)


def test_lines_of_a_plain_vocabulary_are_counted() -> None:
    assert rows_of(vocab__txt=b"[UNK]\na\nb\n").rows == 3


def test_added_tokens_beside_a_slow_tokenizer_count() -> None:
    added = as_json({"<pad>": 300})
    assert rows_of(tokenizer__model=sentencepiece_model(300), added_tokens_json=added).rows == 301
    assert rows_of(tokenizer_json=tokenizer_json(8), added_tokens_json=added).rows == 8


@pytest.mark.parametrize(
    ("files", "complaint"),
    [
        ({"tokenizer_json": b"<html>busy</html>"}, "tokenizer.json is an HTML or XML page"),
        ({"tokenizer_json": tokenizer_json(8)[:50]}, "tokenizer.json is broken off"),
        ({"tokenizer_json": as_json([1])}, "tokenizer.json holds a JSON list"),
        ({"tokenizer_json": as_json({"model": {}})}, "no model.vocab"),
        ({"tokenizer_json": as_json({"model": {"vocab": {}}})}, "tokenizer.json holds no tokens"),
        ({"tokenizer_json": as_json({"model": {"vocab": {"a": -1}}})}, "token id -1"),
        ({"tokenizer_json": as_json({"model": {"vocab": {"a": True}}})}, "token id True"),
        ({"tokenizer_json": as_json({"model": {"vocab": {"a": 0}}, "added_tokens": [{}]})}, "token id None"),
        ({"tokenizer_json": as_json({"model": {"vocab": {}}, "added_tokens": ["x"]})}, "no list of obj"),
        ({"tokenizer__model": b"<!DOCTYPE html>"}, "tokenizer.model is an HTML or XML page"),
        ({"tokenizer__model": sentencepiece_model(3)[:-1]}, "expected a SentencePiece model"),
        ({"tokenizer__model": b"\xff" * 40}, "tokenizer.model is broken off"),
        ({"tokenizer__model": b"\x08\x01"}, "expected a SentencePiece model"),
        ({"vocab_json": as_json({"a": "0"}), "merges__txt": b"x"}, "vocab.json has the token id '0'"),
    ],
)  # fmt: skip
def test_a_damaged_tokenizer_has_its_reason(files: dict[str, bytes], complaint: str) -> None:
    with pytest.raises(DataError, match=complaint):
        rows_of(**files)


@pytest.mark.parametrize(
    ("config", "shapes", "expected"),
    [
        ({"vocab_size": 8}, {"model.embed_tokens.weight": (8, 4)}, Rows(8, "model.embed_tokens.weight")),
        ({}, {"transformer.wte.weight": (8, 4)}, Rows(8, "transformer.wte.weight")),
        ({"vocab_size": 8}, {}, CONFIGURED),
        ({"text_config": {"vocab_size": 9}}, {}, Rows(9, "config.json's vocab_size")),
        ({"vocab_size": 8}, {"wte.weight": (8, 4), "b.wte.weight": (3, 4)}, CONFIGURED),
        ({}, {"model.norm.weight": (4,)}, None),
    ],
)  # fmt: skip
def test_rows_come_from_the_only_embedding_or_else_the_configuration(
    config: Mapping[str, object], shapes: Mapping[str, tuple[int, ...]], expected: Rows | None
) -> None:
    assert embedding_rows(config, shapes) == expected


def test_an_embedding_of_another_size_than_configured_is_refused() -> None:
    with pytest.raises(DataError, match=r"vocab_size 32,000, but gpt_neox.embed_in.weight has 32,032 rows"):
        embedding_rows({"vocab_size": 32000}, {"gpt_neox.embed_in.weight": (32032, 4)})
