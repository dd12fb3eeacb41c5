import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from a360.errors import ConfigError
from a360.grading.pass_at_k import Tally, estimates, pass_at_k


@pytest.mark.parametrize(
    ("samples", "passed", "k", "expected"),
    [
        (20, 1, 10, 0.5),
        (16, 1, 10, 0.625),
        (20, 0, 10, 0.0),
        (20, 20, 1, 1.0),
        (10, 3, 10, 1.0),
        (10, 3, 1, 0.3),
    ],
)
def test_known_values(samples: int, passed: int, k: int, expected: float) -> None:
    assert pass_at_k(Tally(samples, passed), k) == expected


@given(st.integers(1, 8).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(1, n))))
def test_it_is_the_share_of_draws_with_a_pass(numbers: tuple[int, int, int]) -> None:
    n, c, k = numbers
    draws = list(itertools.combinations(range(n), k))
    share = sum(any(sample < c for sample in draw) for draw in draws) / len(draws)
    assert math.isclose(pass_at_k(Tally(n, c), k), share)


@given(st.integers(1, 12), st.floats(0, 1))
def test_it_is_unbiased(k: int, chance: float) -> None:
    n = 12
    weights = [math.comb(n, c) * chance**c * (1 - chance) ** (n - c) for c in range(n + 1)]
    mean = math.fsum(w * pass_at_k(Tally(n, c), k) for c, w in enumerate(weights))
    assert math.isclose(mean, 1 - (1 - chance) ** k, abs_tol=1e-9)


@pytest.mark.parametrize(("tally", "k"), [((5, 1), 6), ((5, 1), 0), ((0, 0), 1), ((5, 6), 1), ((5, -1), 1)])
def test_what_cannot_be_estimated_is_an_error(tally: tuple[int, int], k: int) -> None:
    with pytest.raises(ConfigError):
        pass_at_k(Tally(*tally), k)


def test_too_few_samples_name_both_numbers() -> None:
    with pytest.raises(ConfigError, match="pass@10 of 4 samples, expected at least 10"):
        estimates([Tally(20, 1), Tally(4, 1)], 10)
