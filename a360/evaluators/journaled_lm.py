"""lm-eval's HFLM behind the journal: answers known requests, records every new answer as it comes.

HFLM reports each finished request through its cache hook, so its batching stays untouched. Rolling
perplexity is reported at the end of a call only; it is asked in slices that end on a batch border,
so that every batch holds the windows it would hold without slices.
"""

import math
import re
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lm_eval.api.instance import Instance
from lm_eval.api.model import LM
from lm_eval.models.huggingface import HFLM
from transformers import LogitsProcessorList

from a360.errors import DataError, TransientError
from a360.evaluators.continuation import continue_greedily
from a360.evaluators.sampling import Batch, DrawnToken, Sampling, TotalTokens
from a360.results.journal import Answer, Journal, Response, request_hash

ROLLING_SLICE = 16
"""Documents of rolling perplexity between two reports, at least."""

CONTINUED_PER_BATCH = 8
"""Short sequences without padding that take the place of one prompt in a batch."""

Key = tuple[bytes, int]

_OLD_BUFFERS = re.compile(r"(rotary_emb\.inv_freq|(attn|attention)\.(masked_)?bias)$")
"""Tables that transformers computes now and older checkpoints store."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What an evaluation asked of a model."""

    prompts: int
    truncated_prompts: int
    tokens_scored: int
    requests_from_journal: int


class MeasuringHFLM(HFLM):  # type: ignore[misc]  # lm-eval is untyped
    """HFLM that remembers how long each request was and whether its left side was cut."""

    _model: Any  # HFLM's; while it is made, the model and what was loaded

    def __init__(self, **arguments: object) -> None:
        super().__init__(**arguments)
        self.logits_cache: bool
        self.measured: dict[object, tuple[int, bool]] = {}

    def _create_model(self, **options: object) -> None:
        """Loads the weights, and refuses those that are not the whole model: HFLM would draw the rest.

        Raises:
            DataError: the model's tensors and the checkpoint's are not the same.
        """
        super()._create_model(**options, output_loading_info=True)
        self._model, loaded = self._model
        refuse_other_weights(Path(str(options["pretrained"])).name, loaded)

    def loglikelihood(self, requests: list[Instance], disable_tqdm: bool = False) -> list[Response]:
        """(log-likelihood, is greedy) of every request, in order.

        Raises:
            DataError: a continuation has no token. HFLM looks at the first one where there is no context.
        """
        for context, continuation in (request.args for request in requests):
            if not context and not self.tok_encode(continuation, add_special_tokens=False):
                raise _empty_continuation(context)
        answers: list[Response] = super().loglikelihood(requests, disable_tqdm=disable_tqdm)
        return answers

    def _loglikelihood_tokens(
        self, requests: Sequence[tuple[tuple[str, str] | None, list[int], list[int]]], **options: object
    ) -> list[tuple[float, bool]]:
        for texts, context, continuation in requests:
            if texts is not None:
                if not continuation:
                    raise _empty_continuation(texts[0])
                length = len(context) + len(continuation)
                cut = length > self.max_length + 1
                self.measured[tuple(texts)] = (min(length, self.max_length + 1), cut)
        answers: list[tuple[float, bool]] = super()._loglikelihood_tokens(
            requests, **{**options, "disable_tqdm": True}
        )
        return answers

    def loglikelihood_windows(self, requests: Sequence[Instance], disable_tqdm: bool = True) -> None:
        """Tells the cache hook the log-likelihood (nats) of windows of token ids, batch by batch.

        A request's arguments are its name, the tokens that are shown and those behind them that are scored.

        Raises:
            DataError: a window is longer than the model can see, so its left side would be cut.
        """
        longest_first = sorted(requests, key=lambda request: -len(request.args[1]) - len(request.args[2]))
        # Sharing logits between requests would score windows of the same tokens with other borders wrongly.
        shares, self.logits_cache = self.logits_cache, False
        try:
            while longest_first:
                batch = longest_first[: self.batch_size]
                del longest_first[: self.batch_size]
                self._report_windows(batch)
        finally:
            self.logits_cache = shares

    def _report_windows(self, batch: Sequence[Instance]) -> None:
        windows = [(None, list(request.args[1]), list(request.args[2])) for request in batch]
        length = max(len(context) + len(continuation) for _, context, continuation in windows)
        if length > self.max_length + 1:
            raise DataError(
                f"window of {length} tokens would be truncated: found beside its prefix or context, "
                f"expected at most {self.max_length + 1}"
            )
        answers = self._loglikelihood_tokens(windows, override_bs=len(windows))
        for request, (loglikelihood, _) in zip(batch, answers, strict=True):
            self.measured[request.args[0]] = (len(request.args[2]), False)
            self.cache_hook.add_partial("loglikelihood_windows", request.args, loglikelihood)

    def tok_batch_encode(
        self, strings: Sequence[str], left_truncate_len: int | None = None, **options: object
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The token ids and attention mask of contexts to generate from, as HFLM makes them."""
        for text in strings:
            length = len(self.tok_encode(text))
            longest = left_truncate_len or length
            self.measured[text] = (min(length, longest), length > longest)
        encoded: tuple[torch.Tensor, torch.Tensor] = super().tok_batch_encode(
            strings, left_truncate_len=left_truncate_len, **options
        )
        return encoded

    def continue_tokens(self, requests: Sequence[Instance], disable_tqdm: bool = True) -> None:
        """Tells the cache hook the tokens with which the model goes on, greedily, batch by batch.

        A request's arguments are its name, the tokens that are shown (as many in every request, so nothing
        is padded), how many are asked for, and whether the end of text stops: then what follows is -1.
        """
        left = list(requests)
        while left:
            batch = left[: self.batch_size * CONTINUED_PER_BATCH]
            del left[: len(batch)]
            (count, stops), *_ = ((request.args[2], request.args[3]) for request in batch)
            shown_BT = torch.tensor([request.args[1] for request in batch], device=self.device)
            said_BT = continue_greedily(self.model, shown_BT, count, self.eot_token_id if stops else None)
            for request, said in zip(batch, said_BT.tolist(), strict=True):
                self.measured[request.args[0]] = (len(request.args[1]) + count - 1, False)
                self.cache_hook.add_partial("continue_tokens", request.args, " ".join(map(str, said)))

    def _model_generate(
        self, context: torch.Tensor, max_length: int, stop: list[str], **arguments: Any
    ) -> torch.Tensor:
        """HFLM's, with a sampler whose draws do not depend on the batch (a360/evaluators/sampling.py)."""
        sampling, total = arguments.pop("sampling", None), arguments.pop("total_tokens", None)
        batch = Batch.without_padding(context, arguments["attention_mask"])
        processors = LogitsProcessorList()
        if sampling is not None:
            processors.append(DrawnToken(Sampling(*sampling), batch, max_length - batch.width))
        if total is not None:
            processors.append(TotalTokens(total, batch, self.eot_token_id))
        generated: torch.Tensor = super()._model_generate(
            context, max_length, stop, logits_processor=processors, **arguments
        )
        return generated


def _empty_continuation(context: str) -> DataError:
    return DataError(f"continuation is empty: after {context[-60:]!r}, expected at least one token")


def refuse_other_weights(name: str, loaded: Mapping[str, Collection[object]]) -> None:
    """Compares what a model needs with what a checkpoint holds, from transformers' loading info.

    Raises:
        DataError: tensors are missing, or have no place in the model. (Of another shape they do not load.)
    """
    unexpected = [key for key in map(str, loaded["unexpected_keys"]) if not _OLD_BUFFERS.search(key)]
    faults = {
        "missing": sorted(map(str, loaded["missing_keys"])),
        "without a place in the model": sorted(unexpected),
    }
    if found := [f"{len(keys)} {what} ({', '.join(keys[:3])})" for what, keys in faults.items() if keys]:
        raise DataError(
            f"weights are not those of the model in config.json: {name}: tensors {'; '.join(found)}",
            hint="Compare the names of the weights with architecture and layers in config.json.",
        )


class JournaledLM(LM):  # type: ignore[misc]
    """An LM that asks the model only what the journal does not know."""

    def __init__(
        self, model: MeasuringHFLM, journal: Journal, on_progress: Callable[[int, int], None]
    ) -> None:
        super().__init__()
        self.model = model
        self.journal = journal
        self.prompts = 0
        self.truncated = 0
        self.from_journal = 0
        self.tokens_scored = 0
        self._on_progress = on_progress
        self._expected = 0
        self._answered = 0
        model.set_cache_hook(self)  # HFLM calls only add_partial

    def __getattr__(self, name: str) -> object:
        # Reached for what LM itself does not have: tokenizer, max_length, device, get_model_info, …
        if name == "model":
            raise AttributeError(name)
        return getattr(self.model, name)

    @property
    def tokenizer_name(self) -> str:
        """Name of the tokenizer, for lm-eval's request cache (which stays off)."""
        return str(self.model.tokenizer_name)

    def apply_chat_template(
        self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True
    ) -> str:
        """The chat as one prompt."""
        return str(self.model.apply_chat_template(chat_history, add_generation_prompt))

    def loglikelihood(self, requests: list[Instance]) -> list[Response]:
        """(log-likelihood, is greedy) of every request, in order."""
        return self._answer("loglikelihood", requests, lambda pending: [pending])

    def loglikelihood_rolling(self, requests: list[Instance]) -> list[Response]:
        """Log-likelihood of every whole text, in order."""
        return self._answer("loglikelihood_rolling", requests, self._rolling_slices)

    def loglikelihood_windows(self, requests: list[Instance]) -> list[float]:
        """Log-likelihood of every window of token ids, in order."""
        answers = self._answer("loglikelihood_windows", requests, lambda pending: [pending])
        return [answer for answer in answers if isinstance(answer, float)]

    def continue_tokens(self, requests: list[Instance]) -> list[Response]:
        """The tokens with which the model goes on, as numbers in a text, in order."""
        return self._answer("continue_tokens", requests, lambda pending: [pending])

    def generate_until(self, requests: list[Instance]) -> list[Response]:
        """The generated text of every request, in order."""
        return self._answer("generate_until", requests, lambda pending: [pending])

    def asked(self) -> dict[str, int]:
        """The fields of ``Asked`` so far."""
        return {
            "prompts": self.prompts,
            "truncated_prompts": self.truncated,
            "tokens_scored": self.tokens_scored,
            "requests_from_journal": self.from_journal,
        }

    def add_partial(self, kind: str, arguments: Sequence[object], response: Response) -> None:
        """Takes one answer from HFLM.

        Raises:
            DataError: the log-likelihood is not a finite number.
        """
        value = response[0] if isinstance(response, tuple) else response
        if isinstance(value, float) and not math.isfinite(value):
            raise DataError(
                f"model gives a log-likelihood of {value}: {kind} of {str(arguments[0])[-60:]!r}",
                hint="The weights hold NaN or overflow in this dtype; try model.dtype: float32.",
            )
        measured = self.model.measured
        tokens, truncated = measured.get(
            tuple(arguments) if kind == "loglikelihood" else arguments[0], (0, False)
        )
        self.tokens_scored += tokens
        self.journal.add(request_hash(kind, arguments), Answer(response, tokens, truncated))
        self._answered += 1
        self._on_progress(self._answered, self._expected)

    def _answer(
        self, kind: str, requests: list[Instance], cut: Callable[[list[Instance]], list[list[Instance]]]
    ) -> list[Response]:
        keys = self._keys(kind, requests)
        pending = self._pending(requests, keys)
        self.from_journal += len(requests) - len(pending)
        self._expected += len(requests)
        self._answered += len(requests) - len(pending)
        while pending:
            try:
                for part in cut(pending):
                    getattr(self.model, kind)(part, disable_tqdm=True)
            except torch.OutOfMemoryError as error:
                self._halve_batch(error)
                pending = self._pending(requests, keys)
                continue
            pending = self._pending(requests, keys)
            if pending:
                raise DataError(
                    f"model left {len(pending)} of {len(requests)} requests without an answer: {kind}"
                )
        self.model.measured.clear()
        answers = [answer for key in keys if (answer := self.journal.known(*key)) is not None]
        self.prompts += len(answers)
        self.truncated += sum(answer.truncated for answer in answers)
        return [answer.response for answer in answers]

    def _keys(self, kind: str, requests: list[Instance]) -> list[Key]:
        seen: Counter[bytes] = Counter()
        keys = []
        for request in requests:
            digest = request_hash(kind, request.args)
            keys.append((digest, seen[digest]))
            seen[digest] += 1
        return keys

    def _pending(self, requests: list[Instance], keys: list[Key]) -> list[Instance]:
        return [
            request for request, key in zip(requests, keys, strict=True) if self.journal.known(*key) is None
        ]

    def _rolling_slices(self, pending: list[Instance]) -> list[list[Instance]]:
        slices: list[list[Instance]] = [[]]
        windows = 0
        for request in pending:
            tokens = len(self.model.tok_encode(request.args[0]))
            self.model.measured[request.args[0]] = (tokens, False)
            windows += math.ceil(tokens / self.model.max_length)
            slices[-1].append(request)
            if len(slices[-1]) >= ROLLING_SLICE and windows % self.model.batch_size == 0:
                slices.append([])
        return [part for part in slices if part]

    def _halve_batch(self, error: torch.OutOfMemoryError) -> None:
        if self.model.batch_size_per_gpu <= 1:
            raise TransientError(
                f"device memory is exhausted at batch size 1: {str(error).splitlines()[0]}",
                hint="Use a larger card or a smaller model.max_length.",
            ) from None
        self.model.batch_size_per_gpu //= 2
        torch.cuda.empty_cache()
