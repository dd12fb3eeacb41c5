"""Every way in which a checkpoint can be half there, planted into one that is whole."""

import io
import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load, save

from a360.checkpoints.digest import hash_files
from a360.checkpoints.folders import Folder, group_folders
from a360.checkpoints.readiness import Proof, check_settled, prove_ready
from a360.errors import DataError
from a360.storage.file_store import FileStore
from tests.fakes import CountingStore, as_json, checkpoint_files, tokenizer_json, write_files

Files = dict[str, bytes]
FIRST, LAST = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"
LAST_BIN = "pytorch_model-00002-of-00002.bin"
INDEX = "model.safetensors.index.json"


def folder_with(tmp_path: Path, files: Files) -> Folder:
    write_files(tmp_path / "ckpt_1", files)
    store = CountingStore(FileStore(tmp_path))
    ((folder,), _) = group_folders(store, store.list(), lambda name: name == "ckpt_1")
    return folder


def prove(tmp_path: Path, files: Files) -> Proof:
    folder = folder_with(tmp_path, files)
    proof = prove_ready(folder)
    hash_files(folder, proof)
    return proof


def single_file() -> Files:
    files = checkpoint_files(seed=1)
    tensors = load(files.pop(FIRST)) | load(files.pop(LAST))
    del files[INDEX]
    return {**files, "model.safetensors": save(tensors)}


def torch_shards() -> Files:
    files = checkpoint_files(seed=1)
    index = json.loads(files.pop(INDEX))
    index["weight_map"] = {
        name: shard.replace("model-", "pytorch_model-").replace(".safetensors", ".bin")
        for name, shard in index["weight_map"].items()
    }
    for shard in (FIRST, LAST):
        buffer = io.BytesIO()
        tensors = load(files.pop(shard))
        torch.save({name: torch.from_numpy(tensor.copy()) for name, tensor in tensors.items()}, buffer)
        files[shard.replace("model-", "pytorch_model-").replace(".safetensors", ".bin")] = buffer.getvalue()
    return {**files, "pytorch_model.bin.index.json": as_json(index)}


def test_a_sharded_checkpoint_is_whole(tmp_path: Path) -> None:
    proof = prove(tmp_path, checkpoint_files(seed=1))
    assert proof.names == ("config.json", FIRST, LAST, INDEX, "tokenizer.json")
    assert proof.vocab_size == 16
    assert proof.parameters == 16 * 4 + 4 + 16 * 4
    assert proof.checks[1] == "2 safetensors headers account for every byte, 528 of them tensors"
    assert proof.checks[2] == (
        "tokenizer.json needs 16 embedding rows, model.embed_tokens.weight has 16"
    )  # fmt: skip


def test_a_checkpoint_in_one_file_is_whole(tmp_path: Path) -> None:
    assert prove(tmp_path, single_file()).names == ("config.json", "model.safetensors", "tokenizer.json")


def test_a_checkpoint_of_torch_shards_is_whole(tmp_path: Path) -> None:
    proof = prove(tmp_path, torch_shards())
    assert len(proof.names) == 5
    assert proof.parameters is None
    assert proof.checks[2].endswith("config.json's vocab_size has 16")


def test_the_proof_reads_headers_and_no_weights(tmp_path: Path) -> None:
    files = single_file()
    tensors = load(files["model.safetensors"])
    files["model.safetensors"] = save({**tensors, "large": np.ones(1 << 20, dtype="float32")})
    folder = folder_with(tmp_path, files)
    prove_ready(folder)
    assert isinstance(folder.source, CountingStore)
    assert 0 < folder.source.bytes_read("model.safetensors") < 1024


def test_weights_that_the_index_does_not_name_are_no_part_of_it(tmp_path: Path) -> None:
    files = {**checkpoint_files(seed=1), "consolidated.safetensors": b"whatever", "README.md": b"# hello"}
    assert prove(tmp_path, files).names == prove(tmp_path / "b", checkpoint_files(seed=1)).names


def test_a_tensor_of_zeros_among_others_is_fine(tmp_path: Path) -> None:
    files = single_file()
    tensors = load(files["model.safetensors"])
    tensors["lm_head.weight"] = np.zeros_like(tensors["lm_head.weight"])
    files["model.safetensors"] = save(tensors)
    assert prove(tmp_path, files).parameters == 132


def put(name: str, data: bytes) -> Callable[[Files], None]:
    return lambda files: files.update({name: data})


def drop(*names: str) -> Callable[[Files], None]:
    def plant(files: Files) -> None:
        for name in names:
            del files[name]

    return plant


def cut(name: str, keep: int) -> Callable[[Files], None]:
    return lambda files: files.update({name: files[name][:keep]})


def reindex(**changes: object) -> Callable[[Files], None]:
    return lambda files: files.update({INDEX: as_json({**json.loads(files[INDEX]), **changes})})


def zero_tensors(files: Files) -> None:
    header_end = 8 + int.from_bytes(files[LAST][:8], "little")
    files[LAST] = files[LAST][:header_end] + bytes(len(files[LAST]) - header_end)


def swap_shards(files: Files) -> None:
    files[FIRST], files[LAST] = files[LAST], files[FIRST]


DEFECTS: dict[str, tuple[Callable[[Files], None], str]] = {
    "truncated shard": (cut(LAST, 200), f"{LAST} is truncated: it has 200 bytes, its header promises 336"),
    "missing shard": (drop(LAST), f"1 of 2 shards in {INDEX} are missing: {LAST}"),
    "empty shard": (put(LAST, b""), f"{LAST} has 0 bytes"),
    "HTML as weights": (put(LAST, b"<!DOCTYPE html><h1>503</h1>"), f"{LAST} is an HTML or XML page"),
    "zero-filled shard": (put(LAST, bytes(336)), f"{LAST} is filled with zeros, expected a safetensors file"),
    "reserved, never filled": (zero_tensors, f"{LAST} holds only zeros where its tensors should be"),
    "Git LFS pointer": (put(LAST, b"version https://git-lfs.github.com/spec/v1\n"), "is a Git LFS pointer"),
    "no configuration": (drop("config.json"), "no config.json; found .* and 1 more"),
    "broken configuration": (cut("config.json", 20), "config.json is broken off or malformed"),
    "configuration of nothing": (put("config.json", b"{}"), "neither model_type nor architectures"),
    "no tokenizer": (drop("tokenizer.json"), "no tokenizer; expected tokenizer.json"),
    "tokenizer of another model": (
        put("tokenizer.json", tokenizer_json(17)),
        "wrong tokenizer size: tokenizer.json needs 17 embedding rows, model.embed_tokens.weight has 16",
    ),
    "empty tokenizer": (put("tokenizer.json", b""), "tokenizer.json has 0 bytes"),
    "broken tokenizer": (cut("tokenizer.json", 99), "tokenizer.json is broken off or malformed"),
    "configuration of another model": (
        put("config.json", as_json({"model_type": "llama", "vocab_size": 99})),
        "config.json says vocab_size 99, but model.embed_tokens.weight has 16 rows",
    ),
    "no index": (drop(INDEX), f"{FIRST}, {LAST} without an index; expected one of model.safetensors"),
    "index without a map": (reindex(weight_map={}), f"{INDEX} has no weight_map"),
    "index in HTML": (put(INDEX, b"<html>"), f"{INDEX} is an HTML or XML page"),
    "index of another size": (reindex(metadata={"total_size": 500}), "promises 500 bytes .* hold 528"),
    "index with NaN": (reindex(metadata={"total_size": float("nan")}), "promises nan bytes"),
    "shards swapped": (swap_shards, f"{FIRST} lacks 2 of 2 tensors of {INDEX}: model.embed"),
    "no weights": (drop(FIRST, LAST, INDEX), "no weights; found config.json, tokenizer.json"),
    "nothing at all": (dict.clear, "none of its files belongs to a model"),
    "bad generation settings": (put("generation_config.json", b"null"), "holds a JSON NoneType"),
}  # fmt: skip


@pytest.mark.parametrize("defect", DEFECTS)
def test_each_planted_defect_has_its_reason(tmp_path: Path, defect: str) -> None:
    plant, reason = DEFECTS[defect]
    files = checkpoint_files(seed=1)
    plant(files)
    with pytest.raises(DataError, match=reason):
        prove(tmp_path, {"README.md": b"# still here", **files})


@pytest.mark.parametrize(
    ("plant", "reason"),
    [
        (cut(LAST_BIN, 900), f"{LAST_BIN} is truncated"),
        (drop(LAST_BIN), f"1 of 2 shards in pytorch_model.bin.index.json are missing: {LAST_BIN}"),
        (drop("pytorch_model.bin.index.json"), "pytorch_model-00001-of-00002.bin, .* without an index"),
        (put("tokenizer.json", tokenizer_json(17)), "wrong tokenizer size: .* vocab_size has 16"),
    ],
)  # fmt: skip
def test_each_defect_of_torch_shards_has_its_reason(
    tmp_path: Path, plant: Callable[[Files], None], reason: str
) -> None:
    files = torch_shards()
    plant(files)
    with pytest.raises(DataError, match=reason):
        prove(tmp_path, files)


def test_a_file_that_shrinks_after_the_listing_is_seen(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, checkpoint_files(seed=1))
    (tmp_path / "ckpt_1" / "tokenizer.json").write_bytes(b"{}")
    with pytest.raises(DataError, match=r"tokenizer.json ends early: 2 bytes at offset 0"):
        prove_ready(folder)


@pytest.mark.parametrize(("age", "settled"), [(59, False), (60, True)])
def test_settled_means_nothing_was_written_for_the_settle_time(
    tmp_path: Path, age: float, settled: bool
) -> None:
    write_files(tmp_path / "ckpt_1", checkpoint_files(seed=1))
    os.utime(tmp_path / "ckpt_1" / "config.json", (1, 1))
    folder = folder_with(tmp_path, {})
    newest = max(entry.modified for entry in folder.files.values())
    if settled:
        check_settled(folder, newest + age, settle_seconds=60)
    else:
        with pytest.raises(DataError, match=r"still changing: .* was written 59 s ago, expected 60 s"):
            check_settled(folder, newest + age, settle_seconds=60)


def test_a_settle_time_of_zero_does_not_compare_clocks(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, checkpoint_files(seed=1))
    check_settled(folder, now=0.0, settle_seconds=0)


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, False),
        ({"tokenizer_config.json": as_json({"chat_template": "{{ messages }}"})}, True),
        ({"tokenizer_config.json": as_json({"chat_template": ""})}, False),
        ({"tokenizer_config.json": as_json({"chat_template": None})}, False),
        ({"tokenizer_config.json": as_json({"chat_template": [{"name": "default", "template": "x"}]})}, True),
        ({"tokenizer_config.json": as_json({"chat_template": [{"name": "tools", "template": "x"}]})}, False),
        ({"chat_template.jinja": b"{{ messages }}"}, True),
    ],
    ids=range(7),
)
def test_a_chat_template_is_in_the_tokenizers_configuration_or_a_file_of_its_own(
    tmp_path: Path, files: Files, expected: bool
) -> None:
    assert prove(tmp_path, checkpoint_files(seed=1) | files).chat_template is expected
