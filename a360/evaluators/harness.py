"""The harness evaluator: lm-eval's Python API on a loaded model, one benchmark at a time.

Called by a360/evaluate.py in a process whose working directory is the mirror. lm-eval's own response
cache stays off: it is not keyed by model.
"""

import logging
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError

import numpy as np
import pyarrow as pa
import torch
from lm_eval.api.model import CacheHook
from lm_eval.evaluator import evaluate
from pydantic import JsonValue

from a360.benchmarks import Benchmark
from a360.errors import ConfigError, DataError
from a360.evaluators.journaled_lm import Asked, JournaledLM, MeasuringHFLM
from a360.evaluators.metrics import HarnessResults, metric_records
from a360.evaluators.rows import UNFIT
from a360.evaluators.tasks import LoadedTasks, load_tasks, verify_lock
from a360.records import Metric, Protocol
from a360.results.items import item_table
from a360.results.journal import Journal


@dataclass(frozen=True, kw_only=True)
class Outcome(Asked):
    """What an evaluator hands to the commit."""

    metrics: tuple[Metric, ...]
    items: pa.Table
    raw: dict[str, JsonValue]


@dataclass(frozen=True, kw_only=True)
class Device:
    """Where a model runs."""

    name: str
    gpu: str | None
    threads: int


def describe_device(model: MeasuringHFLM) -> Device:
    """The device of a loaded model."""
    gpu = torch.cuda.get_device_name(model.device) if model.device.type == "cuda" else None
    return Device(name=str(model.device), gpu=gpu, threads=torch.get_num_threads())


def load_model(
    model_dir: Path, protocol: Protocol, *, device: str, batch_size: int, threads: int
) -> MeasuringHFLM:
    """The checkpoint as an lm-eval model that gives finite logits; ``device`` is auto, cpu or cuda.

    Raises:
        DataError: the weights cannot be loaded, or give NaN, or no token can stand before a text.
    """
    for library in ("lm_eval", "transformers"):
        logging.getLogger(library).setLevel(logging.ERROR)
    torch.set_num_threads(threads)
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    elif device == "cuda" and not torch.cuda.is_available():
        raise ConfigError(
            "no CUDA device is visible: run.device is cuda", hint="Set run.device: auto or cpu."
        )
    try:
        model = MeasuringHFLM(
            pretrained=str(model_dir),
            device=device,
            dtype=protocol.dtype,
            softmax_dtype=protocol.softmax_dtype,
            batch_size=batch_size,
            max_length=protocol.max_length,
            add_bos_token=protocol.add_bos_token,
            trust_remote_code=False,
        )
    except UnpicklingError:
        raise DataError(
            f"checkpoint cannot be loaded: {model_dir.name}: its pickled weights are damaged or hold "
            "more than tensors, which loading would execute",
            hint="Where the checkpoint was made, save its weights as safetensors.",
        ) from None
    except (ValueError, RuntimeError, KeyError, OSError) as error:
        if _is_devices_fault(error):
            raise
        raise DataError(
            f"checkpoint cannot be loaded: {model_dir.name}: {_first_line(error)}",
            hint="Load it with transformers' AutoModelForCausalLM on its own to see the whole error.",
        ) from None
    _verify_prefix(model, model_dir)
    _verify_logits(model, model_dir)
    return model


def _is_devices_fault(error: Exception) -> bool:
    """Whether a device or a disk failed, not the checkpoint."""
    exhausted = isinstance(error, torch.OutOfMemoryError) or "allocate memory" in str(error)
    return exhausted or "CUDA" in str(error) or (isinstance(error, OSError) and error.errno is not None)


def _verify_prefix(model: MeasuringHFLM, model_dir: Path) -> None:
    """lm-eval puts BOS, else EOS, before what has no context, and fails somewhere where there is neither."""
    if model.prefix_token_id is None:
        raise DataError(
            f"tokenizer has neither BOS nor EOS: {model_dir.name}: expected one to put before a text",
            hint="Name it in the checkpoint's tokenizer_config.json.",
        )


def _verify_logits(model: MeasuringHFLM, model_dir: Path) -> None:
    tokens = model.tok_encode("The quick brown fox jumps over the lazy dog.")[:16] or [model.prefix_token_id]
    logits = model._model_call(torch.tensor([tokens], device=model.device))
    if not bool(torch.isfinite(logits).all()):
        raise DataError(
            f"model gives NaN or infinite logits: {model_dir.name}: expected finite numbers",
            hint="The checkpoint diverged or its dtype overflows; try model.dtype: float32.",
        )


def evaluate_benchmark(
    benchmark: Benchmark,
    protocol: Protocol,
    model: MeasuringHFLM,
    journal: Journal,
    on_progress: Callable[[int, int], None],
) -> Outcome:
    """Metrics and items of one benchmark.

    Raises:
        ConfigError: the task is not the locked one, or pins another number of shots.
        DataError: rows do not fit the task, or the model gives NaN.
    """
    tasks = _load(benchmark)
    verify_lock(benchmark, tasks, protocol.task_hash)
    _verify_shots(benchmark, tasks)
    _verify_room(benchmark, tasks, model)
    lm = JournaledLM(model, journal, on_progress)
    try:
        _set_seeds_and_shots(tasks, protocol)
        results = evaluate(lm, {"tasks": tasks.leaves, "groups": tasks.groups}, limit=protocol.limit)
    except UNFIT as error:
        raise _unfit_rows(benchmark, error) from error
    finally:
        model.set_cache_hook(CacheHook(None))  # else a cycle of references keeps the weights
        for task in tasks.leaves.values():
            task._instances = None  # prompts and answers; the tasks themselves stay for the next checkpoint
    return Outcome(
        metrics=metric_records(benchmark, results),
        items=item_table(results["samples"]),
        raw={**_raw(results), "prefix": prefix_token(model)},
        **lm.asked(),
    )


def _set_seeds_and_shots(tasks: LoadedTasks, protocol: Protocol) -> None:
    """What ``simple_evaluate`` does before it evaluates, without its ten seconds of looking at the machine.

    Source: lm_eval/evaluator.py of 0.4.13, ``simple_evaluate``; tests/integration/test_equality.py compares.
    """
    random.seed(protocol.seeds["random"])
    np.random.seed(protocol.seeds["numpy"])
    torch.manual_seed(protocol.seeds["torch"])
    for task in tasks.leaves.values():
        pinned = task.get_config("num_fewshot")
        if protocol.shots is not None and pinned != 0:
            task.set_config(key="num_fewshot", value=protocol.shots)
        elif pinned is None:
            task.set_config(key="num_fewshot", value=0)
        task.set_fewshot_seed(seed=protocol.seeds["fewshot"])


def _load(benchmark: Benchmark) -> LoadedTasks:
    try:
        return load_tasks(benchmark)
    except (*UNFIT, FileNotFoundError, ConnectionError, RuntimeError) as error:
        raise _unfit_rows(benchmark, error) from error


def _verify_shots(benchmark: Benchmark, tasks: LoadedTasks) -> None:
    """lm-eval silently ignores a number of shots where the task pins 0."""
    pinned = sorted(name for name, task in tasks.leaves.items() if task.get_config("num_fewshot") == 0)
    if pinned and benchmark.shots:
        raise ConfigError(
            f"benchmark {benchmark.id} asks for {benchmark.shots} shots: "
            f"task {pinned[0]} pins 0 and lm-eval would ignore it"
        )


def _verify_room(benchmark: Benchmark, tasks: LoadedTasks, model: MeasuringHFLM) -> None:
    """lm-eval keeps room for the longest answer and has to put something of the prompt before it."""
    for name, task in tasks.leaves.items():
        if task.OUTPUT_TYPE == "generate_until":
            wanted = task.get_config("generation_kwargs").get("max_gen_toks", model.max_gen_toks)
            if wanted >= model.max_length:
                raise DataError(
                    f"no room for a prompt: benchmark {benchmark.id}, task {name}: found {model.max_length} "
                    f"positions, expected more than the {wanted} tokens of an answer",
                    hint="Raise model.max_length where the model allows it, or leave the benchmark out.",
                )


def prefix_token(model: MeasuringHFLM) -> dict[str, JsonValue]:
    """The token before what has no context: BOS, or EOS where the tokenizer has none."""
    token = model.prefix_token_id
    return {"token": "bos" if token == model.tokenizer.bos_token_id else "eos", "id": token}


def _unfit_rows(benchmark: Benchmark, error: Exception) -> DataError:
    places = ", ".join(benchmark.data)
    return DataError(
        f"rows do not fit the task: benchmark {benchmark.id}, data {places}: {_first_line(error)}",
        hint="A row lacks a field or a split is missing; compare the mirror with the data set's schema.",
    )


def _raw(results: HarnessResults) -> dict[str, JsonValue]:
    """lm-eval's results and versions, without samples and without what only describes the machine."""
    kept = ("results", "groups", "group_subtasks", "versions", "n-shot", "higher_is_better", "n-samples")
    raw: dict[str, JsonValue] = {}
    for name in kept:
        if name in results:
            raw[name] = _plain(results[name])  # type: ignore[literal-required]
    return raw


def _plain(value: object) -> JsonValue:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, str | bool | int):
        return value
    if hasattr(value, "__float__"):
        number = float(value)
        return number if number == number and abs(number) != float("inf") else str(number)
    return str(value)


def _first_line(error: Exception) -> str:
    text = str(error).strip()
    return f"{type(error).__name__}: {text.splitlines()[0] if text else 'no message'}"
