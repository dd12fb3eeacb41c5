"""Windows of a text's tokens: what the model is shown, and which of it is scored. Pure.

Of a window of W tokens and a stride of S: the first window scores its W tokens after the prefix, each later
one the next S tokens (the last one what is left) behind as much of the text before them as fits. Every
token is scored once. With S = W this is lm-eval's rolling log-likelihood.
Source: lm_eval/utils.py of 0.4.13, ``get_rolling_token_windows``; strides as in Hugging Face's "Perplexity of
fixed-length models".
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from lm_eval.utils import get_rolling_token_windows, make_disjoint_window

from a360.benchmarks import Texts
from a360.errors import ConfigError


class Window(NamedTuple):
    """Token ids: the context is shown, the continuation is scored."""

    context: tuple[int, ...]
    continuation: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Cut:
    """How tokens are cut for one model; ``prefix`` None makes a text's first token mere context."""

    window: int
    stride: int
    prefix: int | None

    def windows(self, tokens: list[int]) -> Iterator[Window]:
        """The windows of a text's tokens, in order; none where no token would be scored."""
        first, scored = (self.prefix, tokens) if self.prefix is not None else (tokens[0], tokens[1:])
        kept = self.window - self.stride + 1
        for pair in get_rolling_token_windows(scored, first, self.window, kept):
            context, continuation = make_disjoint_window(pair)
            yield Window(tuple(context), tuple(continuation))

    def scored_tokens(self, tokens: int) -> int:
        """How many of a text's tokens are scored."""
        return tokens if self.prefix is not None else max(0, tokens - 1)

    def count(self, tokens: int) -> int:
        """How many windows a text of so many tokens has."""
        scored = self.scored_tokens(tokens)
        return bool(scored) + max(0, -(-(scored - self.window) // self.stride))


def make_cut(texts: Texts, max_length: int, prefix: int) -> Cut:
    """The cut that a row asks for on a model of a maximal length, with its BOS (else EOS) as prefix.

    Raises:
        ConfigError: the window is larger than that, or the stride larger than the window.
    """
    window = texts.window or max_length
    stride = texts.stride or window
    if window > max_length:
        raise ConfigError(
            f"window is too large: {window} tokens, the model sees at most {max_length}",
            hint="Choose a smaller window, or none: then it is the model's maximal length.",
        )
    if stride > window:
        raise ConfigError(f"stride is too large: {stride} tokens, expected at most the window's {window}")
    return Cut(window=window, stride=stride, prefix=prefix if texts.prefix == "bos" else None)
