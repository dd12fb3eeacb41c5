"""The memorization evaluator on real models: one that has learnt some sequences by heart, and random ones."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from lm_eval.api.instance import Instance
from transformers import AutoModelForCausalLM

from a360.benchmarks import Benchmark
from a360.benchmarks.choices import OwnSequences
from a360.datasets.sequences import TrainingSequence
from a360.errors import ConfigError, DataError
from a360.evaluators.harness import Outcome, load_model
from a360.evaluators.journaled_lm import MeasuringHFLM
from a360.evaluators.memorization import evaluate_memorization
from a360.records import Protocol
from a360.results.journal import Journal
from a360.storage import open_store
from tests.documents import make_checkpoint, make_result
from tests.tiny_model import write_checkpoint

pytestmark = pytest.mark.integration

EOS = 1
VOCABULARY = 400
OWN = OwnSequences(id="mem", data="d", chunks=2, chunks_per_group=2, first_seen_step=0, steps_per_chunk=1)
STOPS = OwnSequences(**{**OWN.model_dump(), "end_of_text": "stops"})


def known_sequences() -> list[tuple[int, ...]]:
    """Eight sequences that a model is trained on; two have an end of text inside of what is asked for."""
    generator = torch.Generator().manual_seed(7)
    drawn = torch.randint(2, VOCABULARY, (8, 64), generator=generator)
    drawn[0, 40] = drawn[1, 32] = EOS
    return [tuple(row.tolist()) for row in drawn]


def unknown_sequences() -> list[tuple[int, ...]]:
    generator = torch.Generator().manual_seed(8)
    return [tuple(row.tolist()) for row in torch.randint(2, VOCABULARY, (8, 64), generator=generator)]


@pytest.fixture(scope="module")
def checkpoint_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny Llama that was trained on the known sequences until it gives them back."""
    directory = write_checkpoint(tmp_path_factory.mktemp("memorization") / "model", seed=3)
    model: Any = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32)
    torch.manual_seed(0)
    batch = torch.tensor(known_sequences())
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(300):
        loss = model(input_ids=batch, labels=batch).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.save_pretrained(directory)
    return directory


def protocol(benchmark: Benchmark) -> Protocol:
    base = make_result(benchmark.id, make_checkpoint(1), "k" * 16).protocol
    return base.model_copy(
        update={"dtype": "float32", "max_length": None, "limit": None, "softmax_dtype": None}
    )


def load(directory: Path, batch_size: int = 1) -> MeasuringHFLM:
    [row] = OWN.benchmarks()
    return load_model(directory, protocol(row), device="cpu", batch_size=batch_size, threads=1)


def sequences() -> list[TrainingSequence]:
    """Known ones in chunk 0 and unknown ones in chunk 1."""
    both = [("chunk-000", tokens) for tokens in known_sequences()]
    both += [("chunk-001", tokens) for tokens in unknown_sequences()]
    return [
        TrainingSequence(chunk, line, ("c4", "book")[line % 2], tokens, f"d/{chunk}/s:{line}")
        for line, (chunk, tokens) in enumerate(both, start=1)
    ]


def journal(directory: Path, attempt: str = "one", **settings: Any) -> Journal:
    return Journal(open_store(str(directory / "store")), "k" * 16, attempt, **settings)


def evaluate(
    model: MeasuringHFLM,
    kept: Journal,
    own: OwnSequences = OWN,
    asked: Sequence[TrainingSequence] | None = None,
) -> Outcome:
    [row] = own.benchmarks()
    return evaluate_memorization(
        row, protocol(row), sequences() if asked is None else asked, model, kept, lambda done, total: None
    )


def matches(outcome: Outcome) -> dict[tuple[str, int], str]:
    return {(row["task"], row["doc_id"]): row["prediction"] for row in outcome.items.to_pylist()}


def plain_matches(directory: Path, *, stops: bool = False) -> dict[tuple[str, int], str]:
    """Position by position without a cache: the whole text again for every token."""
    model: Any = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32)
    found = {}
    for sequence in sequences():
        text, ended, bits = list(sequence.tokens[:32]), False, ""
        for right in sequence.tokens[32:]:
            with torch.inference_mode():
                token = int(model(input_ids=torch.tensor([text])).logits[0, -1].argmax())
            bits += "01"[token == right and not ended]
            ended = ended or (stops and token == EOS)
            text.append(token)
        found[sequence.chunk, sequence.line] = bits
    return found


def value(outcome: Outcome, metric: str, task: str = "mem", subset: str | None = None) -> float | None:
    [found] = [m for m in outcome.metrics if (m.metric, m.task, m.subset) == (metric, task, subset)]
    return found.value


@pytest.fixture(scope="module")
def outcome(checkpoint_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    return evaluate(load(checkpoint_dir), journal(tmp_path_factory.mktemp("outcome")))


def test_what_was_learnt_by_heart_is_found_and_what_was_never_seen_is_not(outcome: Outcome) -> None:
    assert (value(outcome, "full_match", "chunk-000") or 0) >= 0.75
    assert value(outcome, "full_match", "chunk-001") == 0
    assert (value(outcome, "token_match", "chunk-001") or 0) < 0.2


def test_a_plain_loop_without_a_cache_finds_the_same_at_every_position(
    outcome: Outcome, checkpoint_dir: Path
) -> None:
    assert matches(outcome) == plain_matches(checkpoint_dir)


def test_the_end_of_text_neither_stops_nor_is_suppressed(outcome: Outcome) -> None:
    """37 to 47 of 1,000 true continuations have one; generate() would end there, min_new_tokens forbid it."""
    found = matches(outcome)
    assert found["chunk-000", 1] == found["chunk-000", 2] == "1" * 32


def test_the_historical_policy_is_another_protocol_where_nothing_behind_the_end_matches(
    checkpoint_dir: Path, tmp_path: Path
) -> None:
    outcome = evaluate(load(checkpoint_dir), journal(tmp_path), STOPS)
    found = matches(outcome)
    assert found == plain_matches(checkpoint_dir, stops=True)
    assert found["chunk-000", 1] == "1" * 9 + "0" * 23
    assert found["chunk-000", 2] == "1" + "0" * 31
    assert outcome.raw["end_of_text"] == "stops"


@pytest.mark.parametrize("batch_size", [2, 7])
def test_the_batch_size_changes_nothing(
    outcome: Outcome, checkpoint_dir: Path, batch_size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("a360.evaluators.journaled_lm.CONTINUED_PER_BATCH", 1)
    assert matches(evaluate(load(checkpoint_dir, batch_size), journal(tmp_path))) == matches(outcome)


def test_every_number_can_be_had_from_the_stored_outcomes(outcome: Outcome) -> None:
    rows = outcome.items.to_pylist()
    bits = [row["prediction"] for row in rows]
    assert value(outcome, "full_match") == sum(each == "1" * 32 for each in bits) / len(bits)
    assert value(outcome, "token_match") == pytest.approx(
        sum(each.count("1") for each in bits) / 32 / len(bits)
    )
    books = [row["prediction"] for row in rows if row["target"] == "book"]
    assert value(outcome, "full_match", subset="book") == sum(each == "1" * 32 for each in books) / len(books)
    counts = [sum(each.count("1") == matching for each in bits) for matching in range(33)]
    assert outcome.raw["sequences_by_matches"] == counts


def test_a_shifted_token_in_the_data_is_seen(outcome: Outcome, checkpoint_dir: Path, tmp_path: Path) -> None:
    shifted = [each._replace(tokens=(*each.tokens[:32], *each.tokens[33:], 5)) for each in sequences()]
    found = evaluate(load(checkpoint_dir), journal(tmp_path), asked=shifted)
    assert value(found, "full_match") == 0
    assert (value(found, "token_match") or 0) < (value(outcome, "token_match") or 0) / 2


def test_a_second_attempt_asks_only_what_was_not_flushed(
    outcome: Outcome, checkpoint_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("a360.evaluators.journaled_lm.CONTINUED_PER_BATCH", 1)
    first = journal(tmp_path, flush_requests=5)
    model = load(checkpoint_dir)
    evaluate(model, first, asked=sequences()[:12])  # 10 of them were flushed, 2 are lost with the process
    second = journal(tmp_path, "two")
    asked: list[Instance] = []
    second.load()
    whole = model.continue_tokens

    def counted(requests: Sequence[Instance], disable_tqdm: bool = True) -> None:
        asked.extend(requests)
        whole(requests, disable_tqdm)

    monkeypatch.setattr(model, "continue_tokens", counted)
    again = evaluate(model, second)
    assert (len(asked), again.requests_from_journal) == (6, 10)
    assert matches(again) == matches(outcome)


def test_what_cannot_be_asked_is_refused_by_name(checkpoint_dir: Path, tmp_path: Path) -> None:
    model = load(checkpoint_dir)
    unknown = [sequences()[0]._replace(tokens=(VOCABULARY, *range(63)))]
    with pytest.raises(DataError, match=rf"token {VOCABULARY} is none of the model's: d/chunk-000/s:1"):
        evaluate(model, journal(tmp_path), asked=unknown)
    with pytest.raises(DataError, match=r"no sequences: benchmark mem-000-001: d/chunk-000, d/chunk-001"):
        evaluate(model, journal(tmp_path), asked=[])
    short = write_checkpoint(tmp_path / "short", seed=1, positions=48)
    with pytest.raises(ConfigError, match="shows and asks for 64 tokens, the model sees at most 48"):
        evaluate(load(short), journal(tmp_path))
