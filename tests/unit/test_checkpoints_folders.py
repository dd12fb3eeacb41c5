from pathlib import Path

import pytest

from a360.checkpoints.folders import Folder, group_folders, select_files
from a360.storage import Entry
from a360.storage.file_store import FileStore

ENTRY = Entry("ckpt_1/config.json", 10, "v1", 0.0)


def grouped(*keys: str) -> tuple[dict[str, list[str]], list[str]]:
    entries = [Entry(key, 1, "v", 0.0) for key in keys]
    folders, others = group_folders(FileStore(Path("/nowhere")), entries, lambda name: "step" in name)
    return {folder.name: list(folder.files) for folder in folders}, others


def fingerprint(name: str = "ckpt_1", **files: Entry) -> str:
    return Folder(source=FileStore(Path("/nowhere")), name=name, files=files).fingerprint


def test_keys_are_grouped_by_the_folder_that_matches() -> None:
    found, others = grouped(
        "README.md",
        "logs/a.txt",
        "step1/config.json",
        "step1/tokenizer.json",
        "run/step2/config.json",
        "step3/old/step1/config.json",
    )
    assert found == {"step1": ["config.json", "tokenizer.json"], "run/step2": ["config.json"], "step3": []}
    assert others == ["README.md", "logs"]


def test_only_files_of_a_model_are_kept() -> None:
    assert select_files(
        [
            "README.md",
            "config.json",
            "optimizer.pt",
            "trainer_state.json",
            "tokenizer.model",
            "model.safetensors",
            "model.safetensors.part",
            "original/config.json",
        ]
    ) == ["config.json", "model.safetensors", "tokenizer.model"]


@pytest.mark.parametrize(
    ("names", "kept"),
    [
        (["model.safetensors", "pytorch_model.bin"], ["model.safetensors"]),
        (
            ["model.safetensors", "model.safetensors.index.json", "model-1-of-1.safetensors"],
            ["model.safetensors"],
        ),
        (
            ["model.safetensors.index.json", "model-1-of-1.safetensors", "pytorch_model.bin"],
            ["model-1-of-1.safetensors", "model.safetensors.index.json"],
        ),
        (["model-1-of-2.safetensors", "pytorch_model.bin"], ["model-1-of-2.safetensors"]),
        (["adapter.safetensors", "pytorch_model.bin"], ["pytorch_model.bin"]),
        (
            ["pytorch_model.bin", "pytorch_model.bin.index.json", "pytorch_model-1-of-1.bin"],
            ["pytorch_model.bin"],
        ),
        (["pytorch_model.bin.index.json", "pytorch_model-1-of-1.bin", "training_args.bin"],
         ["pytorch_model-1-of-1.bin", "pytorch_model.bin.index.json"]),
    ],
)  # fmt: skip
def test_only_the_weights_that_transformers_loads_are_kept(names: list[str], kept: list[str]) -> None:
    assert select_files(names) == kept


@pytest.mark.parametrize(
    "changed",
    [
        {"name": "ckpt_2", "config": ENTRY},
        {"config": ENTRY._replace(bytes=11)},
        {"config": ENTRY._replace(version="v2")},
        {"tokenizer": ENTRY},
        {"config": ENTRY, "tokenizer": ENTRY},
    ],
)
def test_folder_names_names_sizes_and_versions_make_the_fingerprint(changed: dict[str, object]) -> None:
    assert fingerprint(**changed) != fingerprint(config=ENTRY)  # type: ignore[arg-type]


def test_modification_times_alone_do_not_change_the_fingerprint() -> None:
    assert fingerprint(config=ENTRY._replace(modified=5.0)) == fingerprint(config=ENTRY)
