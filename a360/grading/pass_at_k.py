"""pass@k: the chance that one at least of k samples of a problem passes. Pure."""

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

from a360.errors import ConfigError


class Tally(NamedTuple):
    """The samples of one problem, and those of them that passed."""

    samples: int
    passed: int


def pass_at_k(tally: Tally, k: int) -> float:
    """1 - C(n - c, k) / C(n, k), computed exactly: unbiased, unlike 1 - (1 - c/n)^k.

    Source: https://arxiv.org/abs/2107.03374, section 2.1.

    Raises:
        ConfigError: k is not between 1 and the number of samples, or more passed than there are.
    """
    n, c = tally
    if not 1 <= k <= n:
        raise ConfigError(
            f"pass@{k} of {n} samples, expected at least {max(k, 1)} samples and k of at least 1",
            hint="Generate more samples per problem, or ask for a smaller k.",
        )
    if not 0 <= c <= n:
        raise ConfigError(f"{c} of {n} samples passed, expected between 0 and {n}")
    return float(1 - Fraction(math.comb(n - c, k), math.comb(n, k)))


def estimates(tallies: Sequence[Tally], k: int) -> list[float]:
    """pass@k of every problem; mean and standard error are over problems.

    Raises:
        ConfigError: a problem has fewer than k samples.
    """
    return [pass_at_k(tally, k) for tally in tallies]
