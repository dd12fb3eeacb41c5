"""Everything that the demo needs before it is a suite like any other: training run, mirror, suite file.

<dir>/checkpoints, mirror      made once, in a process of its own: this one never imports torch
<dir>/suite.yaml               the shipped suite ``demo`` with what the training run was filled in
<dir>/store, cache, report     come from ``a360 run``
<dir>/prepared.json            written last: what all of it was made from
"""

import hashlib
import json
import multiprocessing
import os
import platform
import re
import signal
from collections.abc import Callable, Mapping, Sequence
from importlib import resources
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from a360.datasets.mirror import MANIFEST_NAME
from a360.datasets.sequences import CONTROL, Draw
from a360.demo.questions import Row
from a360.demo.rows import write_mirror
from a360.demo.text import Document, read_documents, split_documents
from a360.errors import A360Error, TransientError
from a360.identity import canonical_json
from a360.records import Record
from a360.storage.os_errors import os_failure
from a360.suite import shipped_suite_text

PREPARED_NAME = "prepared.json"
SUITE_NAME = "suite.yaml"
TRAINING_RECORD = "training.json"

CHUNKS = 8
"""Parts of the training run of equal length, for memorization; the suite names as many."""
SEQUENCES = Draw(sequences=24)
FULL_CHECKPOINTS = 10
SHORT_BELOW = 10
SHORT_STEPS = 60
"""With fewer checkpoints than ``SHORT_BELOW`` the training run is so short: a try-out, a test."""

Progress = Callable[[int, int, str], None]
"""Called with (steps trained, steps in all, the loss in words)."""


class Prepared(Record):
    """What the demo's directory was made from."""

    schema_name: Literal["a360.demo/1"] = "a360.demo/1"
    settings: dict[str, int]
    sources: str
    """Hash of Python's version and of the code that makes text, rows and training run."""


def prepare_demo(directory: Path, settings: Mapping[str, int], on_progress: Progress | None = None) -> Path:
    """The suite file of the demo in ``directory``; trains and writes rows only where they are missing.

    ``settings`` are those of the trainer that are not its defaults.

    Raises:
        ConfigError: the directory holds a training run of other settings.
        TransientError: the disk is full, or the training process was ended from outside.
    """
    prepared = Prepared(settings=dict(settings), sources=_hash_sources())
    if not _is_prepared(directory, prepared):
        try:
            directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise os_failure(error, str(directory)) from error
        (directory / PREPARED_NAME).unlink(missing_ok=True)
        _in_own_process(directory, prepared.settings, on_progress or (lambda done, total, remark: None))
        _write(directory / PREPARED_NAME, canonical_json(prepared) + "\n")
    suite_path = directory / SUITE_NAME
    _write(suite_path, demo_suite_text(directory / "checkpoints" / TRAINING_RECORD))
    return suite_path


def training_settings(checkpoints: int | None) -> dict[str, int]:
    """What differs from the trainer's defaults, for a demo with so many checkpoints."""
    wanted = checkpoints or FULL_CHECKPOINTS
    if wanted == FULL_CHECKPOINTS:
        return {}
    return {"checkpoints": wanted} | ({"steps": SHORT_STEPS} if wanted < SHORT_BELOW else {})


def demo_suite_text(training_record: Path) -> str:
    """The shipped suite with the checkpoints and tokens per step of a training run.

    Expected checkpoints are listed so that one that is removed later shows as not uploaded.
    """
    record = json.loads(training_record.read_text())
    text = shipped_suite_text("demo").replace(
        "expected: []", f"expected: [{', '.join(record['checkpoints'])}]"
    )
    steps = len(record["losses"]) // CHUNKS
    for name, value in (
        ("tokens_per_step", record["tokens_per_step"]),
        ("first_seen_step", steps),
        ("steps_per_chunk", steps),
    ):
        text = re.sub(rf"{name}: \d+", f"{name}: {value}", text)
    return text


def _is_prepared(directory: Path, wanted: Prepared) -> bool:
    """Whether all of it is there and made from the same; ``prepared.json`` alone could outlive the rest."""
    made = (directory / "mirror" / MANIFEST_NAME, directory / "checkpoints" / TRAINING_RECORD)
    try:
        found = Prepared.model_validate_json((directory / PREPARED_NAME).read_bytes())
    except (OSError, ValidationError):
        return False
    return found == wanted and all(path.is_file() for path in made)


def _hash_sources() -> str:
    digest = hashlib.sha256(platform.python_version().encode())
    for item in sorted(resources.files("a360.demo").iterdir(), key=lambda item: item.name):
        if item.is_file():
            digest.update(item.name.encode() + item.read_bytes())
    return digest.hexdigest()[:16]


def _in_own_process(directory: Path, settings: dict[str, int], on_progress: Progress) -> None:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_make, args=(directory, settings, theirs))
    process.start()
    theirs.close()
    try:
        while True:
            message = ours.recv()
            if isinstance(message, A360Error):
                raise message
            on_progress(*message)
    except EOFError:
        process.join()
        if process.exitcode:
            raise TransientError(
                f"the demo's training process ended with {_how(process.exitcode)}: {directory}",
                hint="a360 demo starts it again; was memory short?",
            ) from None
    finally:
        process.terminate()
        process.join()


def _how(exit_code: int) -> str:
    return signal.Signals(-exit_code).name if exit_code < 0 else f"exit code {exit_code}"


def _make(directory: Path, settings: dict[str, int], pipe: Connection) -> None:
    """The child: trains, then writes the held-out texts and all other rows as a mirror."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what an interrupt means
    # Torch's threads wait for each other asleep: spinning, they take four times as long beside other work.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")  # bars for files of 10 MB, among ours
    try:
        pipe.send((0, 0, "reading the text"))
        train, heldout = split_documents(read_documents())
        from a360.demo.train import TrainSettings, train_demo

        train_demo(
            directory / "checkpoints",
            TrainSettings.model_validate(settings),
            lambda step, steps, loss: pipe.send((step, steps, f"loss {loss:.2f}")),
            documents=train,
        )
        write_mirror(directory / "mirror", heldout, _draw_sequences(directory / "checkpoints", heldout))
    except A360Error as error:
        pipe.send(error)


def _draw_sequences(checkpoints_dir: Path, heldout: Sequence[Document]) -> dict[str, list[Row]]:
    """Sequences of every chunk of the training run, and as many that it never saw."""
    from tokenizers import Tokenizer

    from a360.demo.data_order import draw_chunks, draw_control
    from a360.demo.train import DATA_ORDER_NAME

    record = json.loads((checkpoints_dir / TRAINING_RECORD).read_text())
    steps = len(record["losses"]) // CHUNKS
    drawn = draw_chunks(checkpoints_dir / DATA_ORDER_NAME, steps=steps, chunks=CHUNKS, draw=SEQUENCES)
    tokenizer = Tokenizer.from_file(str(checkpoints_dir / record["checkpoints"][0] / "tokenizer.json"))
    return {**drawn, CONTROL: draw_control(tokenizer, heldout, SEQUENCES)}


def _write(path: Path, text: str) -> None:
    """Puts a file in one step, unless it is there."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        if not (path.is_file() and path.read_text() == text):
            part.write_text(text)
            part.replace(path)
    except OSError as error:
        raise os_failure(error, str(path)) from error
