"""The demo's training run: a small Llama from scratch, with real checkpoints and a known data order.

Deterministic for the same settings, text and library versions, so a training that was killed starts again
and arrives at the same checkpoints; those that are already there are kept. ``training.json`` is written
last: a directory with it is finished.

    <target>/settings.json                            what the directory belongs to, written first
    <target>/data_order.parquet                       which tokens each step sees
    <target>/step_000000/{config.json, model.safetensors, tokenizer.json, …}
    <target>/training.json
"""

import math
import platform
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import numpy as np
import tokenizers
import torch
import transformers
from pydantic import Field, ValidationError
from tokenizers import Tokenizer
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from a360.demo.data_order import (
    BOS,
    EOS,
    DataOrder,
    choose_documents,
    order_windows,
    train_tokenizer,
    write_order,
)
from a360.demo.text import Document, read_documents, split_documents
from a360.errors import ConfigError
from a360.identity import hash_value
from a360.records import Record
from a360.storage.os_errors import os_failure

RECORD_NAME = "training.json"
STARTED_NAME = "settings.json"
DATA_ORDER_NAME = "data_order.parquet"
CHECKPOINT_NAME = "step_{step:06d}"

Progress = Callable[[int, int, float], None]
"""Called after every step with (step, last step, loss in nats per token)."""


class TrainSettings(Record):
    """Everything a training run depends on besides the text and the library versions."""

    vocab_size: int = Field(default=4096, le=2**16)
    hidden_size: int = 192
    layers: int = 4
    heads: int = 6
    max_positions: int = 2048
    window_tokens: int = 128
    windows_per_step: int = Field(default=8, ge=1)
    steps: int = Field(default=800, ge=1)
    checkpoints: int = Field(default=10, ge=2)
    first_step: int = Field(default=4, ge=1)
    """Step of the second checkpoint; the first is step 0, the others follow at equal ratios."""
    warmup_steps: int = Field(default=20, ge=1)
    peak_learning_rate: float = 3e-3
    document_chars: int = 20_000
    """The beginning of a document that is read: many modules teach more than a few long ones."""
    source_chars: int = 1_500_000
    """The most text that is taken of one source."""
    seed: int = 1234
    threads: int = Field(default=2, ge=1)


class TrainingStart(Record):
    """What a training directory belongs to."""

    schema_name: Literal["a360.demo-training-start/1"] = "a360.demo-training-start/1"
    settings: TrainSettings
    packages: dict[str, str]
    corpus: str
    """Hash of the documents."""


class TrainingRecord(Record):
    """What a finished training run was. ``losses[i]`` is the loss of step i + 1 in nats per token."""

    schema_name: Literal["a360.demo-training/1"] = "a360.demo-training/1"
    start: TrainingStart
    settings_hash: str
    """Of ``start``: settings, packages and text."""
    parameters: int
    corpus_tokens: int
    tokens_per_step: int
    checkpoints: tuple[str, ...]
    losses: tuple[float, ...]
    finished_at: str
    wall_seconds: float


def checkpoint_steps(settings: TrainSettings) -> tuple[int, ...]:
    """Step 0, then ``checkpoints - 1`` steps at equal ratios from ``first_step`` to the last one.

    Raises:
        ConfigError: two checkpoints would fall on one step.
    """
    backwards = np.geomspace(settings.steps, settings.first_step, settings.checkpoints - 1)
    steps = (0, *(int(step) for step in np.rint(backwards[::-1])))
    if list(steps) != sorted(set(steps)):
        raise ConfigError(
            f"{settings.checkpoints} checkpoints do not fit between step {settings.first_step} and "
            f"step {settings.steps}",
            hint="train for more steps or save fewer checkpoints",
        )
    return steps


def train_demo(
    target_dir: Path,
    settings: TrainSettings,
    on_progress: Progress | None = None,
    *,
    documents: Sequence[Document] | None = None,
) -> TrainingRecord:
    """The record of the training run in ``target_dir``, trained now unless it is finished already.

    ``documents`` None reads the train side of the running interpreter's text.

    Raises:
        ConfigError: the directory holds another training run.
        TransientError: no space is left.
    """
    checkpoint_steps(settings)
    documents = split_documents(read_documents())[0] if documents is None else documents
    documents = choose_documents(
        documents, document_chars=settings.document_chars, source_chars=settings.source_chars
    )
    start = TrainingStart(settings=settings, packages=_packages(), corpus=_hash_documents(documents))
    with _disk(target_dir):
        if finished := _claim_directory(target_dir, start):
            return finished
        began = time.monotonic()
        tokenizer = train_tokenizer(documents, settings.vocab_size)
        order = order_windows(
            documents,
            tokenizer,
            window_tokens=settings.window_tokens,
            windows=settings.windows_per_step * settings.steps,
            seed=settings.seed,
        )
        write_order(order, target_dir / DATA_ORDER_NAME, windows_per_step=settings.windows_per_step)
        model = _new_model(settings, tokenizer)
        losses = _train(model, order, settings, _Checkpoints(target_dir, model, tokenizer), on_progress)
        record = TrainingRecord(
            start=start,
            settings_hash=hash_value(start),
            parameters=sum(weight.numel() for weight in model.parameters()),
            corpus_tokens=order.corpus_tokens,
            tokens_per_step=settings.window_tokens * settings.windows_per_step,
            checkpoints=tuple(CHECKPOINT_NAME.format(step=step) for step in checkpoint_steps(settings)),
            losses=tuple(losses),
            finished_at=datetime.now(UTC).isoformat(timespec="seconds"),
            wall_seconds=round(time.monotonic() - began, 3),
        )
        _write_json(target_dir / RECORD_NAME, record)
    return record


class _Checkpoints:
    """Writes the checkpoints; each gets its name when it is whole, and one that has it is kept."""

    def __init__(self, target_dir: Path, model: LlamaForCausalLM, tokenizer: Tokenizer) -> None:
        self._target_dir = target_dir
        self._model = model
        self._tokenizer = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
            tokenizer_object=tokenizer,
            bos_token=BOS,
            eos_token=EOS,
            model_max_length=model.config.max_position_embeddings,
            clean_up_tokenization_spaces=False,
        )

    def save(self, step: int) -> None:
        target = self._target_dir / CHECKPOINT_NAME.format(step=step)
        if target.is_dir():
            return
        part = target.with_name(f".{target.name}.part")
        shutil.rmtree(part, ignore_errors=True)
        # One bar per shard would break into the caller's own.
        transformers.utils.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        self._model.save_pretrained(part)
        self._tokenizer.save_pretrained(part)
        part.rename(target)


def _new_model(settings: TrainSettings, tokenizer: Tokenizer) -> LlamaForCausalLM:
    torch.manual_seed(settings.seed)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=settings.vocab_size,
            hidden_size=settings.hidden_size,
            intermediate_size=settings.hidden_size * 8 // 3 // 16 * 16,
            num_hidden_layers=settings.layers,
            num_attention_heads=settings.heads,
            num_key_value_heads=settings.heads,
            max_position_embeddings=settings.max_positions,
            bos_token_id=tokenizer.token_to_id(BOS),
            eos_token_id=tokenizer.token_to_id(EOS),
            tie_word_embeddings=True,
        )
    )


def _train(
    model: LlamaForCausalLM,
    order: DataOrder,
    settings: TrainSettings,
    checkpoints: _Checkpoints,
    on_progress: Progress | None,
) -> list[float]:
    """The loss of every step; checkpoints are saved on the way."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.0, betas=(0.9, 0.95), weight_decay=0.1)
    windows = torch.from_numpy(order.tokens.astype(np.int64))
    steps_to_save = set(checkpoint_steps(settings))
    losses = []
    checkpoints.save(0)
    with _threads(settings.threads):
        for step, batch in enumerate(torch.split(windows, settings.windows_per_step), start=1):
            optimizer.param_groups[0]["lr"] = _learning_rate(settings, step)
            loss = model(input_ids=batch, labels=batch, use_cache=False).loss
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
            losses.append(loss.item())
            if step in steps_to_save:
                checkpoints.save(step)
            if on_progress:
                on_progress(step, settings.steps, losses[-1])
    return losses


def _learning_rate(settings: TrainSettings, step: int) -> float:
    """Linear warm-up to the peak, then a cosine down to a tenth of it."""
    if step < settings.warmup_steps:
        return settings.peak_learning_rate * step / settings.warmup_steps
    done = (step - settings.warmup_steps) / max(settings.steps - settings.warmup_steps, 1)
    return settings.peak_learning_rate * (0.55 + 0.45 * math.cos(math.pi * done))


def _claim_directory(target_dir: Path, start: TrainingStart) -> TrainingRecord | None:
    """The record of a finished training run; None when it has to be trained, its start then noted."""
    target_dir.mkdir(parents=True, exist_ok=True)
    noted = target_dir / STARTED_NAME
    if noted.exists() and not _same_start(noted, start):
        raise ConfigError(
            f"{target_dir} holds a training run with other settings, text or packages than asked for",
            hint="remove the directory to train again, or choose another one",
        )
    record_path = target_dir / RECORD_NAME
    if record_path.exists():
        return TrainingRecord.model_validate_json(record_path.read_bytes())
    _write_json(noted, start)
    return None


def _same_start(path: Path, start: TrainingStart) -> bool:
    try:
        return TrainingStart.model_validate_json(path.read_bytes()) == start
    except ValidationError:
        return False


def _write_json(path: Path, record: Record) -> None:
    part = path.with_name(f".{path.name}.part")
    part.write_text(record.model_dump_json(indent=1) + "\n")
    part.replace(path)


def _hash_documents(documents: Sequence[Document]) -> str:
    return hash_value([[document.source, document.name, document.text] for document in documents])


def _packages() -> dict[str, str]:
    """Versions that the weights depend on; Python's decides the text too, which has its own hash."""
    return {
        "python": platform.python_version(),
        "tokenizers": tokenizers.__version__,
        "torch": torch.__version__,
        "transformers": transformers.__version__,
    }


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Sums in another order give other weights, so the number of threads belongs to the settings."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def _disk(target_dir: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise os_failure(error, str(error.filename or target_dir)) from error
