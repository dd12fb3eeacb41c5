"""The demo's training run, at a size that takes seconds."""

import errno
import math
import multiprocessing
import os
import signal
from itertools import pairwise
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from a360.demo.data_order import choose_documents
from a360.demo.text import Document
from a360.demo.train import TrainingRecord, TrainSettings, checkpoint_steps, train_demo
from a360.errors import ConfigError, TransientError

TINY = TrainSettings(
    vocab_size=400,
    hidden_size=32,
    layers=1,
    heads=2,
    max_positions=64,
    window_tokens=16,
    windows_per_step=4,
    steps=30,
    checkpoints=4,
    first_step=3,
    warmup_steps=2,
    threads=1,
)
STEPS = (0, 3, 9, 30)
DOCUMENTS = tuple(
    Document(
        source=source,
        name=f"{source}{number}",
        text=f"def step_{number}(value):\n    return value + {number}\n" * 6,
    )
    for source in ("stdlib-source", "docstrings")
    for number in range(9)
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("training")
    train_demo(target, TINY, documents=DOCUMENTS)
    return target


@pytest.fixture
def record(trained: Path) -> TrainingRecord:
    return TrainingRecord.model_validate_json((trained / "training.json").read_bytes())


def bytes_below(directory: Path) -> dict[str, bytes]:
    """Every file but the two that hold times."""
    return {
        path.relative_to(directory).as_posix(): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file() and path.name != "training.json"
    }


def test_checkpoints_are_at_equal_ratios_from_step_zero() -> None:
    assert checkpoint_steps(TINY) == STEPS
    steps = checkpoint_steps(TrainSettings())
    assert len(steps) == 10
    assert steps[0] == 0
    assert steps[-1] == TrainSettings().steps
    ratios = [math.log(after / before) for before, after in pairwise(steps[4:])]
    assert max(ratios) - min(ratios) < 0.1


def test_two_checkpoints_are_the_first_and_the_last() -> None:
    assert checkpoint_steps(TINY.model_copy(update={"checkpoints": 2})) == (0, 30)


@pytest.mark.parametrize("changes", [{"checkpoints": 31}, {"first_step": 31}])
def test_checkpoints_that_do_not_fit_are_refused(tmp_path: Path, changes: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match="checkpoints do not fit between step"):
        train_demo(tmp_path, TINY.model_copy(update=changes), documents=DOCUMENTS)
    assert not list(tmp_path.iterdir())


def test_a_checkpoint_loads_as_any_other_and_computes(trained: Path) -> None:
    for step in STEPS:
        directory = trained / f"step_{step:06d}"
        model = AutoModelForCausalLM.from_pretrained(directory)
        tokenizer = AutoTokenizer.from_pretrained(directory)
        assert model.config.max_position_embeddings == tokenizer.model_max_length == 64
        assert (tokenizer.bos_token_id, tokenizer.eos_token_id) == (0, 1)
        assert (model.config.bos_token_id, model.config.eos_token_id) == (0, 1)
        text = "def f(x):\n    return  x · ∞\n"
        ids = tokenizer(text)["input_ids"]
        assert ids[0] != tokenizer.bos_token_id
        assert tokenizer.decode(ids) == text
        assert torch.isfinite(model(torch.tensor([ids])).logits).all()


def test_the_loss_falls_and_later_checkpoints_know_more(trained: Path, record: TrainingRecord) -> None:
    assert record.losses[0] == pytest.approx(math.log(400), abs=0.3)
    assert sum(record.losses[-3:]) / 3 < record.losses[0] - 2
    losses = []
    for step in STEPS:
        model = AutoModelForCausalLM.from_pretrained(trained / f"step_{step:06d}")
        tokenizer = AutoTokenizer.from_pretrained(trained / f"step_{step:06d}")
        ids = tokenizer(DOCUMENTS[0].text[:60], return_tensors="pt")["input_ids"]
        losses.append(model(ids, labels=ids).loss.item())
    assert losses == sorted(losses, reverse=True)


def test_the_record_says_what_was_trained(trained: Path, record: TrainingRecord) -> None:
    assert record.checkpoints == tuple(f"step_{step:06d}" for step in STEPS)
    assert record.tokens_per_step == 16 * 4
    assert len(record.losses) == 30
    model = AutoModelForCausalLM.from_pretrained(trained / "step_000000")
    assert record.parameters == sum(weight.numel() for weight in model.parameters())
    assert {path.name for path in trained.iterdir()} == {
        *record.checkpoints,
        "data_order.parquet",
        "settings.json",
        "training.json",
    }


def test_the_data_order_holds_the_tokens_of_every_step(trained: Path, record: TrainingRecord) -> None:
    table = pq.read_table(trained / "data_order.parquet").to_pylist()
    assert [(row["step"], row["row"]) for row in table] == [(s, r) for s in range(1, 31) for r in range(4)]
    tokenizer = AutoTokenizer.from_pretrained(trained / "step_000000")
    chosen = choose_documents(DOCUMENTS, document_chars=TINY.document_chars, source_chars=TINY.source_chars)
    encoded = {(each.source, each.name): [0, *tokenizer(each.text)["input_ids"], 1] for each in chosen}
    stream = [token for each in chosen for token in encoded[each.source, each.name]]
    assert record.corpus_tokens == len(stream)
    starts, at = {}, 0
    for each in chosen:
        starts[each.source, each.name] = at
        at += len(encoded[each.source, each.name])
    for row in table:
        begin = starts[row["source"], row["document"]] + row["offset"]
        assert row["offset"] < len(encoded[row["source"], row["document"]])
        assert row["tokens"] == stream[begin : begin + 16]
    windows = len(stream) // 16
    first_pass = [(row["source"], row["document"], row["offset"]) for row in table[:windows]]
    assert len(set(first_pass)) == windows < len(table)


def test_the_first_loss_is_that_of_the_recorded_tokens(trained: Path, record: TrainingRecord) -> None:
    table = pq.read_table(trained / "data_order.parquet").to_pylist()
    for step, rows in ((1, table[:4]), (4, table[12:16])):
        model = AutoModelForCausalLM.from_pretrained(trained / f"step_{step - 1:06d}")
        ids = torch.tensor([row["tokens"] for row in rows])
        assert model(ids, labels=ids).loss.item() == pytest.approx(record.losses[step - 1], abs=1e-5)


def test_two_steps_are_two_updates_of_adamw(tmp_path: Path) -> None:
    settings = TINY.model_copy(update={"steps": 2, "checkpoints": 2, "warmup_steps": 1})
    train_demo(tmp_path, settings, documents=DOCUMENTS)
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "step_000000")
    table = pq.read_table(tmp_path / "data_order.parquet").to_pylist()
    optimizer = torch.optim.AdamW(model.parameters(), betas=(0.9, 0.95), weight_decay=0.1)
    for rows, rate in ((table[:4], 3e-3), (table[4:], 3e-4)):
        ids = torch.tensor([row["tokens"] for row in rows])
        logits = model(ids).logits[:, :-1]
        loss = torch.nn.functional.cross_entropy(logits.reshape(-1, 400), ids[:, 1:].reshape(-1))
        gradients = torch.autograd.grad(loss, list(model.parameters()))
        norm = torch.stack([gradient.norm() for gradient in gradients]).norm().item()
        for weight, gradient in zip(model.parameters(), gradients, strict=True):
            weight.grad = gradient / max(norm, 1.0)
        optimizer.param_groups[0]["lr"] = rate
        optimizer.step()
    trained = AutoModelForCausalLM.from_pretrained(tmp_path / "step_000002")
    for expected, found in zip(model.parameters(), trained.parameters(), strict=True):
        torch.testing.assert_close(found, expected, atol=2e-5, rtol=0)


def test_training_twice_gives_the_same_bytes(trained: Path, record: TrainingRecord, tmp_path: Path) -> None:
    again = train_demo(tmp_path, TINY, documents=DOCUMENTS[::-1])
    assert bytes_below(tmp_path) == bytes_below(trained)
    assert again.losses == record.losses
    other = train_demo(tmp_path / "other", TINY.model_copy(update={"seed": 2}), documents=DOCUMENTS)
    assert other.settings_hash != record.settings_hash
    assert other.losses != record.losses


def test_a_finished_training_is_not_repeated(trained: Path, record: TrainingRecord) -> None:
    def fail(step: int, steps: int, loss: float) -> None:
        raise AssertionError("trained again")

    assert train_demo(trained, TINY, fail, documents=DOCUMENTS) == record


@pytest.mark.parametrize("change", ["settings", "text", "damaged"])
def test_another_training_s_directory_is_left_alone(trained: Path, tmp_path: Path, change: str) -> None:
    settings = TINY.model_copy(update={"steps": 40}) if change == "settings" else TINY
    (tmp_path / "settings.json").write_text(
        "{" if change == "damaged" else (trained / "settings.json").read_text()
    )
    documents = DOCUMENTS[1:] if change == "text" else DOCUMENTS
    with pytest.raises(ConfigError, match="holds a training run with other settings, text or packages"):
        train_demo(tmp_path, settings, documents=documents)
    assert [path.name for path in tmp_path.iterdir()] == ["settings.json"]


def train_and_die(target: Path, at_step: int) -> None:
    def die(step: int, steps: int, loss: float) -> None:
        if step == at_step:
            os.kill(os.getpid(), signal.SIGKILL)

    train_demo(target, TINY, die, documents=DOCUMENTS)


def test_a_training_that_was_killed_arrives_at_the_same_checkpoints(trained: Path, tmp_path: Path) -> None:
    process = multiprocessing.get_context("spawn").Process(target=train_and_die, args=(tmp_path, 10))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert not (tmp_path / "training.json").exists()
    kept = {path.name: path.stat().st_ino for path in tmp_path.glob("step_*")}
    assert sorted(kept) == ["step_000000", "step_000003", "step_000009"]
    (tmp_path / ".step_000030.part").mkdir()
    (tmp_path / ".step_000030.part" / ".tmp-of-a-writer").write_bytes(b"half")
    train_demo(tmp_path, TINY, documents=DOCUMENTS)
    assert bytes_below(tmp_path) == bytes_below(trained)
    assert {name: (tmp_path / name).stat().st_ino for name in kept} == kept


def test_a_full_disk_is_worth_another_try(tmp_path: Path) -> None:
    def fill(step: int, steps: int, loss: float) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(tmp_path / "x"))

    with pytest.raises(TransientError, match="ENOSPC"):
        train_demo(tmp_path, TINY, fill, documents=DOCUMENTS)
    assert not (tmp_path / "training.json").exists()


def test_text_shorter_than_a_window_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="expected at least one window of 16"):
        train_demo(tmp_path, TINY, documents=(Document(source="docstrings", name="x", text="x"),))


def test_long_documents_are_cut_and_no_source_takes_more_than_its_share() -> None:
    chosen = choose_documents(DOCUMENTS, document_chars=100, source_chars=450)
    assert {len(each.text) for each in chosen} == {100}
    assert sorted(each.source for each in chosen) == ["docstrings"] * 4 + ["stdlib-source"] * 4
    assert choose_documents(DOCUMENTS[::-1], document_chars=100, source_chars=450) == chosen


def test_the_number_of_threads_is_the_caller_s_again_afterwards(tmp_path: Path) -> None:
    before = torch.get_num_threads()
    during: set[int] = set()
    settings = TINY.model_copy(update={"threads": 2 if before == 1 else 1, "steps": 3, "checkpoints": 2})
    train_demo(tmp_path, settings, lambda *_: during.add(torch.get_num_threads()), documents=DOCUMENTS)
    assert during == {settings.threads}
    assert torch.get_num_threads() == before
