"""The journalled model: known requests are not asked, batches are HFLM's, NaN is refused."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from lm_eval.api.instance import Instance

from a360.errors import DataError, TransientError
from a360.evaluators.journaled_lm import ROLLING_SLICE, JournaledLM, MeasuringHFLM
from a360.results.journal import Journal
from a360.storage import open_store
from tests.tiny_model import write_checkpoint

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def checkpoint_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("model"), seed=5, positions=64)


def load(checkpoint_dir: Path, batch_size: int = 4) -> MeasuringHFLM:
    torch.set_num_threads(1)
    return MeasuringHFLM(pretrained=str(checkpoint_dir), device="cpu", dtype="float32", batch_size=batch_size)


def journal(tmp_path: Path, attempt: str = "one", flush_requests: int = 1) -> Journal:
    return Journal(open_store(str(tmp_path / "store")), "0" * 16, attempt, flush_requests=flush_requests)


def requests(kind: str, arguments: Sequence[tuple[object, ...]]) -> list[Instance]:
    return [
        Instance(request_type=kind, doc={}, arguments=a, idx=0, metadata=("t", n, 1))
        for n, a in enumerate(arguments)
    ]


CHOICES = requests(
    "loglikelihood", [(f"question {n} answer:", f" {word}") for n in range(6) for word in ("yes", "no")]
)
TEXTS = requests(
    "loglikelihood_rolling", [("water iron gold day night " * (n % 7 * 3 + 1),) for n in range(40)]
)
PROMPTS = requests(
    "generate_until", [(f"question {n}:", {"until": ["\n"], "max_gen_toks": 8}) for n in range(5)]
)


@pytest.mark.parametrize(
    ("kind", "asked"),
    [("loglikelihood", CHOICES), ("loglikelihood_rolling", TEXTS), ("generate_until", PROMPTS)],
)
def test_answers_are_hflms_own_and_a_second_attempt_asks_nothing(
    kind: str, asked: list[Instance], checkpoint_dir: Path, tmp_path: Path
) -> None:
    plain = load(checkpoint_dir)
    expected = getattr(plain, kind)(asked)
    first = JournaledLM(load(checkpoint_dir), journal(tmp_path), lambda done, total: None)
    assert getattr(first, kind)(asked) == expected

    model = load(checkpoint_dir)
    model._model_call = None
    model._model_generate = None  # type: ignore[assignment, method-assign]
    known = journal(tmp_path, "two")
    known.load()
    second = JournaledLM(model, known, lambda done, total: None)
    assert getattr(second, kind)(asked) == expected
    assert (second.from_journal, first.from_journal) == (len(asked), 0)


def test_only_unanswered_requests_are_asked_again(checkpoint_dir: Path, tmp_path: Path) -> None:
    first = JournaledLM(load(checkpoint_dir), journal(tmp_path), lambda done, total: None)
    first.loglikelihood(CHOICES[:5])
    known = journal(tmp_path, "two")
    known.load()
    progress: list[tuple[int, int]] = []
    second = JournaledLM(load(checkpoint_dir, 1), known, lambda done, total: progress.append((done, total)))
    assert len(second.loglikelihood(CHOICES)) == 12
    assert progress == [(done, 12) for done in range(6, 13)]


def test_rolling_slices_end_on_batch_borders(checkpoint_dir: Path, tmp_path: Path) -> None:
    lm = JournaledLM(load(checkpoint_dir, batch_size=3), journal(tmp_path), lambda done, total: None)
    windows = [-(-len(lm.model.tok_encode(text.args[0])) // 64) for text in TEXTS]
    slices = lm._rolling_slices(TEXTS)
    assert len(slices) > 1
    assert [request for part in slices for request in part] == TEXTS
    assert max(windows) > 1
    done = 0
    for part in slices[:-1]:
        assert len(part) >= ROLLING_SLICE
        done += len(part)
        assert sum(windows[:done]) % 3 == 0


def test_truncated_prompts_are_counted_also_from_the_journal(checkpoint_dir: Path, tmp_path: Path) -> None:
    asked = requests("loglikelihood", [("water " * 80, " yes"), ("water", " yes"), ("iron " * 70, " no")])
    first = JournaledLM(load(checkpoint_dir), journal(tmp_path), lambda done, total: None)
    first.loglikelihood(asked)
    generated = JournaledLM(load(checkpoint_dir), journal(tmp_path, "g"), lambda done, total: None)
    generated.generate_until(
        requests("generate_until", [("day " * 70, {"until": ["\n"], "max_gen_toks": 8})])
    )
    known = journal(tmp_path, "two")
    known.load()
    second = JournaledLM(load(checkpoint_dir), known, lambda done, total: None)
    second.loglikelihood(asked)
    assert (first.prompts, first.truncated) == (second.prompts, second.truncated) == (3, 2)
    assert generated.truncated == 1


def test_nan_log_likelihoods_are_refused_by_name(checkpoint_dir: Path, tmp_path: Path) -> None:
    model = load(checkpoint_dir)
    model.model.lm_head.weight.data[:] = float("nan")
    lm = JournaledLM(model, journal(tmp_path), lambda done, total: None)
    with pytest.raises(DataError, match="log-likelihood of nan"):
        lm.loglikelihood(CHOICES)
    assert journal(tmp_path, "two").load() == 0


@pytest.mark.parametrize("context", ["context", ""])
def test_an_empty_continuation_is_refused(context: str, checkpoint_dir: Path, tmp_path: Path) -> None:
    lm = JournaledLM(load(checkpoint_dir), journal(tmp_path), lambda done, total: None)
    with pytest.raises(DataError, match=r"continuation is empty: after .* expected at least one token"):
        lm.loglikelihood(requests("loglikelihood", [(context, "")]))


def test_an_exhausted_device_halves_the_batch_and_keeps_what_was_answered(
    checkpoint_dir: Path, tmp_path: Path
) -> None:
    model = load(checkpoint_dir, batch_size=4)
    call, sizes = model._model_call, []

    def call_on_a_small_card(inputs: torch.Tensor, **options: object) -> torch.Tensor:
        sizes.append(inputs.shape[0])
        if inputs.shape[0] > 2:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        logits: torch.Tensor = call(inputs, **options)
        return logits

    model._model_call = call_on_a_small_card
    lm = JournaledLM(model, journal(tmp_path), lambda done, total: None)
    answers = lm.loglikelihood(CHOICES)
    assert len(answers) == 12
    assert sizes[0] == 4
    assert set(sizes[1:]) == {2}

    model._model_call = lambda inputs, **options: (_ for _ in ()).throw(
        torch.OutOfMemoryError("CUDA out of memory.")
    )
    model.batch_size_per_gpu = 1
    empty = JournaledLM(model, journal(tmp_path / "other"), lambda done, total: None)
    with pytest.raises(TransientError, match="batch size 1"):
        empty.loglikelihood(CHOICES)
