"""The perplexity evaluator on real models: closed form, a plain script, any batch size, any bad input."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tokenizers.processors import TemplateProcessing

from a360.benchmarks import Benchmark, Texts, find_benchmark
from a360.datasets.texts import Document, read_texts
from a360.errors import DataError, TransientError
from a360.evaluators.harness import Outcome, load_model
from a360.evaluators.journaled_lm import MeasuringHFLM
from a360.evaluators.perplexity import evaluate_perplexity
from a360.results.journal import Journal
from a360.storage import open_store
from tests.bigram_model import loglikelihood, write_bigram
from tests.documents import make_protocol
from tests.tiny_model import write_checkpoint
from tests.unit.test_perplexity_metrics import row

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
POSITIONS = 64
METRICS = ("token_perplexity", "word_perplexity", "byte_perplexity", "bits_per_byte", "document_perplexity")

LETTERS = ["a b c", "o", "c c a b o n m " * 30, "d e f g h i j k " * 12, "a a a a b"]
TEXTS = [
    Document(
        "water iron gold day night, " * (n * 5 % 23 + 1) + f"é {n}\n", "even" if n % 2 else "odd", f"t:{n}"
    )
    for n in range(19)
]


@pytest.fixture(scope="module")
def tiny_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("tiny"), seed=5, positions=POSITIONS)


@pytest.fixture(scope="module")
def bigram_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bigram(tmp_path_factory.mktemp("bigram"), positions=POSITIONS)


def load(model_dir: Path, batch_size: int = 4, dtype: str = "float32") -> MeasuringHFLM:
    protocol = make_protocol("t", dtype=dtype)
    return load_model(model_dir, protocol, device="cpu", batch_size=batch_size, threads=1)


def open_journal(directory: Path, attempt: str = "one") -> Journal:
    journal = Journal(open_store(str(directory / "store")), "0" * 16, attempt, flush_requests=1)
    journal.load()
    return journal


def evaluate(
    model: MeasuringHFLM, documents: list[Document], texts: Texts, directory: Path, **changes: object
) -> Outcome:
    journal = changes.pop("journal", None) or open_journal(directory)
    protocol = make_protocol("t", **changes)
    assert isinstance(journal, Journal)
    return evaluate_perplexity(row(texts), protocol, documents, model, journal, lambda done, total: None)


def values(outcome: Outcome) -> dict[tuple[str, str, str], float | None]:
    return {(m.task, m.metric, m.aggregation): m.value for m in outcome.metrics}


def pooled(outcome: Outcome) -> dict[str, float | None]:
    return {metric: values(outcome)["t", metric, "micro"] for metric in METRICS}


@pytest.mark.parametrize(
    "texts", [Texts(), Texts(stride=7), Texts(window=16, stride=16), Texts(window=5, stride=1)], ids=str
)
def test_a_hand_made_bigram_model_gives_the_closed_form(
    texts: Texts, bigram_dir: Path, tmp_path: Path
) -> None:
    documents = [Document(text, None, str(n)) for n, text in enumerate(LETTERS)]
    found = pooled(evaluate(load(bigram_dir, dtype="float64"), documents, texts, tmp_path))
    words = [text.split() for text in LETTERS]
    lls = [loglikelihood(each) for each in words]
    tokens = [len(each) for each in words]
    n_bytes, total = sum(map(len, LETTERS)), math.fsum(lls)
    # A space at the end of a text separates one more, empty, word.
    n_words = sum(len(text.split(" ")) for text in LETTERS)
    expected = {
        "token_perplexity": math.exp(-total / sum(tokens)),
        "word_perplexity": math.exp(-total / n_words),
        "byte_perplexity": math.exp(-total / n_bytes),
        "bits_per_byte": -total / n_bytes / math.log(2),
        "document_perplexity": sum(math.exp(-ll / n) for ll, n in zip(lls, tokens, strict=True)) / len(lls),
    }
    assert found == pytest.approx(expected, rel=1e-9)


def test_without_a_prefix_the_first_token_is_not_scored(bigram_dir: Path, tmp_path: Path) -> None:
    documents = [Document("a b c d e", None, "0")]
    texts = Texts(prefix="none", window=2, stride=2)
    outcome = evaluate(load(bigram_dir, dtype="float64"), documents, texts, tmp_path)
    expected = math.exp(-loglikelihood(["b", "c", "d", "e"], first="a") / 4)
    assert pooled(outcome)["token_perplexity"] == pytest.approx(expected, rel=1e-9)
    assert outcome.tokens_scored == 4


@pytest.fixture(scope="module")
def one_by_one(tiny_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[Texts, Outcome]:
    """At batch size 1 nothing is ever padded."""
    model = load(tiny_dir, batch_size=1)
    return {
        texts: evaluate(model, TEXTS, texts, tmp_path_factory.mktemp("store"))
        for texts in (DISJOINT, STRIDED)
    }


DISJOINT = Texts(group="g")
STRIDED = Texts(group="g", window=48, stride=10)


def with_padding_side(tiny_dir: Path, side: str, target_dir: Path) -> Path:
    subprocess.run(["cp", "-r", str(tiny_dir), str(target_dir)], check=True)
    path = target_dir / "tokenizer_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "padding_side": side}))
    return target_dir


@pytest.mark.parametrize("texts", [DISJOINT, STRIDED], ids=["disjoint", "strided"])
@pytest.mark.parametrize("side", ["left", "right"])
def test_fact_7_perplexity_depends_neither_on_the_batch_size_nor_on_the_padding_side(
    side: str, texts: Texts, tiny_dir: Path, one_by_one: dict[Texts, Outcome], tmp_path: Path
) -> None:
    """Analysis360's new evaluator gave 100.24, 10.01, 3.16 and 1.78 for batch sizes 1, 2, 4 and 8."""
    model = load(with_padding_side(tiny_dir, side, tmp_path / "model"))
    assert model.tokenizer.padding_side == side
    expected = values(one_by_one[texts])
    assert len(expected) == 5 * 4
    for batch_size in (1, 2, 7, 16):
        model.batch_size_per_gpu = batch_size
        found = values(evaluate(model, TEXTS, texts, tmp_path / str(batch_size)))
        assert found == pytest.approx(expected, rel=1e-5), batch_size


@pytest.mark.parametrize("texts", [DISJOINT, STRIDED], ids=["disjoint", "strided"])
def test_every_number_is_that_of_a_plain_script(
    texts: Texts, tiny_dir: Path, one_by_one: dict[Texts, Outcome], tmp_path: Path
) -> None:
    (tmp_path / "documents.json").write_text(json.dumps([[d.group, d.text] for d in TEXTS]))
    window = texts.window or POSITIONS
    command = [sys.executable, "-P", str(ROOT / "tests" / "plain_perplexity.py"), str(tiny_dir)]
    arguments = [str(tmp_path / "documents.json"), str(window), str(texts.stride or window)]
    plain = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, env=plain, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    assert not {"a360", "lm_eval"} & set(said["modules"])
    assert "transformers" in said["modules"]
    outcome = one_by_one[texts]
    for group, numbers in said["numbers"].items():
        likelihoods = numbers.pop("loglikelihoods")
        way = ("item", group) if group else ("micro", "t")
        found = {m: values(outcome)[way[1], m, way[0]] for m in METRICS}
        assert found == pytest.approx(numbers, rel=1e-5)
        if group:
            items = [r for r in outcome.items.to_pylist() if r["task"] == group]
            assert [r["loglikelihoods"][0] for r in items] == pytest.approx(likelihoods, rel=1e-5)


def test_disjoint_windows_are_lm_evals_rolling_log_likelihood(
    tiny_dir: Path, one_by_one: dict[Texts, Outcome]
) -> None:
    from lm_eval.api.instance import Instance

    model = load(tiny_dir, batch_size=1)
    texts = [d.text for d in TEXTS if d.group == "odd"]
    requests = [Instance("loglikelihood_rolling", {}, (text,), 0) for text in texts]
    items = [r for r in one_by_one[DISJOINT].items.to_pylist() if r["task"] == "odd"]
    assert [r["loglikelihoods"][0] for r in items] == pytest.approx(
        model.loglikelihood_rolling(requests), rel=1e-7
    )


class Cut(Exception):  # noqa: N818
    """Ends an evaluation after some windows."""


def test_a_second_attempt_asks_for_the_missing_windows_only(
    tiny_dir: Path, one_by_one: dict[Texts, Outcome], tmp_path: Path
) -> None:
    model, asked = load(tiny_dir, batch_size=1), 0

    def stop(done: int, total: int) -> None:
        nonlocal asked
        asked = done
        if done == 9:
            raise Cut

    protocol = make_protocol("t")
    with pytest.raises(Cut):
        evaluate_perplexity(row(STRIDED), protocol, TEXTS, model, open_journal(tmp_path), stop)
    calls, call = 0, model._model_call

    def count(inputs: torch.Tensor, **options: object) -> torch.Tensor:
        nonlocal calls
        calls += inputs.shape[0]
        logits: torch.Tensor = call(inputs, **options)
        return logits

    model._model_call = count
    again = evaluate(model, TEXTS, STRIDED, tmp_path, journal=open_journal(tmp_path, "two"))
    assert again.requests_from_journal == asked == 9
    assert calls == again.prompts - 9 > 0
    assert values(again) == values(one_by_one[STRIDED])


def test_equal_documents_are_requests_of_their_own(tiny_dir: Path, tmp_path: Path) -> None:
    twins = [TEXTS[7], TEXTS[7], TEXTS[7]]
    outcome = evaluate(load(tiny_dir), twins, DISJOINT, tmp_path)
    assert outcome.requests_from_journal == 0
    likelihoods = [r["loglikelihoods"][0] for r in outcome.items.to_pylist()]
    assert likelihoods[1:] == likelihoods[:1] * 2


def test_windows_of_the_same_tokens_with_other_borders_are_not_mixed_up(
    bigram_dir: Path, tmp_path: Path
) -> None:
    """HFLM's sharing of logits between requests would give the second document the wrong rows."""
    # The last window of the first text shows exactly the second text and scores only its end.
    documents = [Document("a b c d e f", None, "0"), Document("c d e f", None, "1")]
    texts = Texts(prefix="none", window=3, stride=1)
    outcome = evaluate(load(bigram_dir, dtype="float64"), documents, texts, tmp_path)
    found = [r["loglikelihoods"][0] for r in outcome.items.to_pylist()]
    expected = [loglikelihood(list("bcdef"), first="a"), loglikelihood(list("def"), first="c")]
    assert found == pytest.approx(expected, rel=1e-9)


def test_a_window_that_would_be_truncated_is_refused(tiny_dir: Path) -> None:
    from lm_eval.api.instance import Instance

    model = load(tiny_dir)
    request = Instance("loglikelihood", {}, ("0:0", (0,) * (POSITIONS + 1), (1,)), 0)
    with pytest.raises(DataError, match=r"window of 66 tokens would be truncated: .* at most 65"):
        model.loglikelihood_windows([request])


def test_an_exhausted_device_halves_the_batch_of_windows(
    tiny_dir: Path, one_by_one: dict[Texts, Outcome], tmp_path: Path
) -> None:
    model, sizes = load(tiny_dir, batch_size=8), []
    call = model._model_call

    def call_on_a_small_card(inputs: torch.Tensor, **options: object) -> torch.Tensor:
        sizes.append(inputs.shape[0])
        if inputs.shape[0] > 2:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        logits: torch.Tensor = call(inputs, **options)
        return logits

    model._model_call = call_on_a_small_card
    found = values(evaluate(model, TEXTS, DISJOINT, tmp_path))
    assert sizes[:3] == [8, 4, 2]
    assert found == pytest.approx(values(one_by_one[DISJOINT]), rel=1e-5)
    model._model_call = lambda inputs, **options: (_ for _ in ()).throw(torch.OutOfMemoryError("CUDA"))
    with pytest.raises(TransientError, match="batch size 1"):
        evaluate(model, TEXTS, DISJOINT, tmp_path / "other")


def without_tokens(tiny_dir: Path, target_dir: Path, *names: str) -> Path:
    subprocess.run(["cp", "-r", str(tiny_dir), str(target_dir)], check=True)
    path = target_dir / "tokenizer_config.json"
    settings = json.loads(path.read_text())
    path.write_text(json.dumps({key: value for key, value in settings.items() if key not in names}))
    return target_dir


def test_a_tokenizer_without_bos_gets_eos_before_each_document(tiny_dir: Path, tmp_path: Path) -> None:
    model = load(without_tokens(tiny_dir, tmp_path / "model", "bos_token"))
    outcome = evaluate(model, TEXTS, DISJOINT, tmp_path)
    settings = outcome.raw["texts"]
    assert isinstance(settings, dict)
    assert settings["prefix"] == model.tokenizer.eos_token_id == 1


def test_a_tokenizer_with_neither_bos_nor_eos_is_refused(tiny_dir: Path, tmp_path: Path) -> None:
    model_dir = without_tokens(tiny_dir, tmp_path / "model", "bos_token", "eos_token")
    with pytest.raises(DataError, match="tokenizer has neither BOS nor EOS: model: expected one") as raised:
        load(model_dir)
    assert raised.value.hint


def test_special_tokens_that_the_tokenizer_adds_are_not_scored(
    tiny_dir: Path, one_by_one: dict[Texts, Outcome], tmp_path: Path
) -> None:
    """Llama's tokenizer puts BOS before a text, which the prefix would make a second one."""
    model = load(tiny_dir, batch_size=1)
    model.tokenizer._tokenizer.post_processor = TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", 0)]
    )
    assert model.tokenizer("water")["input_ids"][0] == 0
    assert values(evaluate(model, TEXTS, DISJOINT, tmp_path)) == values(one_by_one[DISJOINT])


def test_documents_without_tokens_are_counted_and_named(bigram_dir: Path, tmp_path: Path) -> None:
    blank = [Document(" " * (n + 1), None, f"a.jsonl:{n + 2}") for n in range(5)]
    said = r"documents without a token to score: benchmark demo-t: 5 of 6: a.jsonl:2, a.jsonl:3, a.jsonl:4, …"
    with pytest.raises(DataError, match=said):
        evaluate(load(bigram_dir), [Document("a b", None, "a.jsonl:1"), *blank], Texts(), tmp_path)
    with pytest.raises(DataError, match="1 of 1: x"):
        evaluate(load(bigram_dir), [Document("a", None, "x")], Texts(prefix="none"), tmp_path)


def test_no_documents_and_too_many_groups_are_refused(bigram_dir: Path, tmp_path: Path) -> None:
    model = load(bigram_dir)
    with pytest.raises(DataError, match="no documents: benchmark demo-t: the files of t have no row"):
        evaluate(model, [], Texts(), tmp_path)
    many = [Document("a", str(n), str(n)) for n in range(501)]
    with pytest.raises(DataError, match="501 groups, expected at most 500"):
        evaluate(model, many, Texts(group="g"), tmp_path)


def test_a_limit_takes_the_first_documents_of_every_group(bigram_dir: Path, tmp_path: Path) -> None:
    documents = [Document("a b", group, f"{group}{n}") for n in range(3) for group in ("x", "y")]
    outcome = evaluate(load(bigram_dir), documents, Texts(group="g"), tmp_path, limit=2)
    assert [item["target"] for item in outcome.items.to_pylist()] == ["x0", "x1", "y0", "y1"]


def test_weights_that_give_nan_are_refused(tiny_dir: Path, tmp_path: Path) -> None:
    model = load(tiny_dir)
    model.model.lm_head.weight.data[:] = float("nan")
    with pytest.raises(DataError, match="log-likelihood of nan"):
        evaluate(model, TEXTS, DISJOINT, tmp_path)


def test_fact_5_the_pile_needs_no_loading_script(tmp_path: Path) -> None:
    """EleutherAI/pile is a script, which ``datasets`` 4 and later refuse; its rows are read as files."""
    from datasets import load_dataset

    folder = tmp_path / "pile"
    folder.mkdir()
    (folder / "pile.py").write_text("raise AssertionError('a loading script was run')\n")
    line = {"text": "water", "meta": {"pile_set_name": "ArXiv"}}
    (folder / "test.jsonl").write_text(json.dumps(line) + "\n")
    with pytest.raises(RuntimeError, match="scripts are no longer supported"):
        load_dataset(str(folder), "all")
    benchmark: Benchmark = find_benchmark("pile")
    assert benchmark.texts
    documents = list(read_texts(tmp_path, ["pile/pile.py", "pile/test.jsonl"], benchmark.texts))
    assert documents == [Document("water", "ArXiv", "pile/test.jsonl:1")]
