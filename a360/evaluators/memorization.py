"""The memorization evaluator: does a model go on with a training sequence as it stood there?

The first tokens of a sequence are shown, and as many are asked for greedily. Exactly so many come back: the
end of text is a token like any other, since it stands inside of training sequences too, unless the protocol
says that it stops. A sequence is one request of the journal. Called by a360/evaluate.py with sequences that
a360/datasets/sequences.py has drawn.
"""

from collections.abc import Callable, Iterable

from lm_eval.api.instance import Instance
from lm_eval.api.model import CacheHook

from a360.benchmarks import Benchmark, Memorization
from a360.datasets.sequences import TrainingSequence
from a360.errors import ConfigError, DataError
from a360.evaluators.harness import Outcome
from a360.evaluators.journaled_lm import JournaledLM, MeasuringHFLM
from a360.evaluators.memorization_metrics import Continued, memorization_items, memorization_records
from a360.records import Protocol
from a360.results.headline import mark_headline
from a360.results.journal import Journal


def evaluate_memorization(
    benchmark: Benchmark,
    protocol: Protocol,
    sequences: Iterable[TrainingSequence],
    model: MeasuringHFLM,
    journal: Journal,
    on_progress: Callable[[int, int], None],
) -> Outcome:
    """Metrics and items of one group of chunks. ``on_progress`` gets (sequences answered, sequences).

    Raises:
        ConfigError: the model sees fewer tokens than are shown and asked for.
        DataError: there is no sequence, or one has a token that the model does not know.
    """
    asked = benchmark.memorization or Memorization()
    chosen = _choose(benchmark, asked, sequences, model, protocol.limit)
    lm = JournaledLM(model, journal, on_progress)
    requests = [
        Instance(
            request_type="generate_until",
            doc={},
            arguments=(
                sequence.place,
                list(sequence.tokens[: asked.shown_tokens]),
                asked.asked_tokens,
                asked.end_of_text == "stops",
            ),
            idx=0,
        )
        for sequence in chosen
    ]
    try:
        answers = lm.continue_tokens(requests)
    finally:
        model.set_cache_hook(CacheHook(None))  # else a cycle of references keeps the weights
    continued = [
        Continued.compare(sequence, asked, [int(token) for token in str(answer).split()])
        for sequence, answer in zip(chosen, answers, strict=True)
    ]
    counts = [0] * (asked.asked_tokens + 1)
    for each in continued:
        counts[sum(each.matches)] += 1
    return Outcome(
        metrics=mark_headline(benchmark, memorization_records(benchmark.task, continued)),
        items=memorization_items(continued),
        raw={"sequences_by_matches": list(counts), "end_of_text": asked.end_of_text},
        **lm.asked(),
    )


def _choose(
    benchmark: Benchmark,
    asked: Memorization,
    sequences: Iterable[TrainingSequence],
    model: MeasuringHFLM,
    limit: int | None,
) -> list[TrainingSequence]:
    wanted = asked.shown_tokens + asked.asked_tokens
    if wanted > model.max_length:
        raise ConfigError(
            f"benchmark {benchmark.id} shows and asks for {wanted} tokens, the model sees at most "
            f"{model.max_length}",
            hint="Raise model.max_length.",
        )
    known = int(model.model.get_input_embeddings().num_embeddings)
    counts: dict[str, int] = {}
    chosen = []
    for sequence in sequences:
        highest = max(sequence.tokens)
        if highest >= known:
            raise DataError(
                f"token {highest} is none of the model's: {sequence.place}, expected less than {known}",
                hint="Were the sequences made with this model's tokenizer?",
            )
        counts[sequence.chunk] = counts.get(sequence.chunk, 0) + 1
        if limit is None or counts[sequence.chunk] <= limit:
            chosen.append(sequence)
    if not chosen:
        raise DataError(f"no sequences: benchmark {benchmark.id}: {', '.join(benchmark.data)} have no row")
    return chosen
