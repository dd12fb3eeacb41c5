"""Cutting tokens: every token is scored once, behind as much context as the window holds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from a360.benchmarks import Texts
from a360.errors import ConfigError
from a360.evaluators.windows import Cut, make_cut

BOS = 99


@given(
    count=st.integers(1, 60),
    window=st.integers(1, 20),
    part=st.floats(0, 1),
    prefix=st.sampled_from([BOS, None]),
)
def test_every_token_is_scored_once_behind_all_that_fits(
    count: int, window: int, part: float, prefix: int | None
) -> None:
    stride = max(1, round(part * window))
    tokens = list(range(count))
    cut = Cut(window=window, stride=stride, prefix=prefix)
    windows = list(cut.windows(tokens))
    sequence = tokens if prefix is None else [BOS, *tokens]
    assert [token for w in windows for token in w.continuation] == sequence[1:]
    assert len(windows) == cut.count(count)
    assert cut.scored_tokens(count) == len(sequence) - 1
    done = 1
    for number, (context, continuation) in enumerate(windows):
        assert len(continuation) <= (stride if number else window)
        end = done + len(continuation)
        shown = [*context, *continuation]
        assert shown == sequence[max(0, end - window - 1) : end]
        assert len(shown) <= window + 1
        done = end


def test_disjoint_windows_of_a_long_text() -> None:
    windows = list(Cut(window=4, stride=4, prefix=BOS).windows(list(range(10))))
    assert windows == [((BOS,), (0, 1, 2, 3)), ((3,), (4, 5, 6, 7)), ((5, 6, 7), (8, 9))]


def test_a_stride_of_half_a_window_keeps_half_of_it_as_context() -> None:
    windows = list(Cut(window=4, stride=2, prefix=BOS).windows(list(range(8))))
    assert windows == [((BOS,), (0, 1, 2, 3)), ((1, 2, 3), (4, 5)), ((3, 4, 5), (6, 7))]


@pytest.mark.parametrize(
    ("texts", "window", "stride"),
    [
        (Texts(), 64, 64),
        (Texts(window=32), 32, 32),
        (Texts(stride=16), 64, 16),
        (Texts(window=64, stride=64), 64, 64),
    ],
)
def test_what_a_row_leaves_open_is_the_models(texts: Texts, window: int, stride: int) -> None:
    assert make_cut(texts, 64, BOS) == Cut(window=window, stride=stride, prefix=BOS)


def test_without_a_prefix_the_first_token_is_only_context() -> None:
    cut = make_cut(Texts(prefix="none"), 64, BOS)
    assert list(cut.windows([1, 2, 3])) == [((1,), (2, 3))]
    assert (list(cut.windows([1])), cut.count(1), cut.count(0)) == ([], 0, 0)


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (Texts(window=65), "window is too large: 65 tokens, the model sees at most 64"),
        (Texts(window=32, stride=33), "stride is too large: 33 tokens, expected at most the window's 32"),
        (Texts(stride=65), "stride is too large: 65 tokens"),
    ],
)
def test_windows_that_do_not_fit_the_model_are_a_configuration_error(texts: Texts, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        make_cut(texts, 64, BOS)
