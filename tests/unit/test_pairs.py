"""What an unforeseen exception of an evaluation means for the job's exit code."""

import errno

import pytest

from a360.errors import A360Error, ConfigError, DataError, TransientError
from a360.pairs import PairOutcome, as_a360_error, group_exit_code


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("raised", "kind", "said"),
    [
        (DataError("NaN"), DataError, "NaN"),
        (ImportError("no module named torch"), ConfigError, "a package is missing"),
        (RuntimeError("CUDA error: an illegal memory access"), TransientError, "illegal memory access"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), TransientError, "allocate memory"),
        (MemoryError(), TransientError, "MemoryError"),
        (OSError(errno.ENOSPC, "No space left on device"), TransientError, "No space left"),
        (
            caused(ValueError("could not write the data set"), OSError(errno.ENOSPC, "No space left")),
            TransientError,
            "No space left",
        ),
        (KeyError("passage"), DataError, "KeyError: 'passage'"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_an_exception_becomes_the_error_that_its_cause_calls_for(
    raised: Exception, kind: type[A360Error], said: str
) -> None:
    error = as_a360_error(raised)
    assert isinstance(error, kind)
    assert said in error.message


@pytest.mark.parametrize(("codes", "code"), [((), 0), ((0, 3), 3), ((3, 2), 2), ((2, 75, 3), 75)])
def test_a_group_ends_with_try_again_before_anything_else(codes: tuple[int, ...], code: int) -> None:
    outcomes = [PairOutcome(f"pair {c}", "failed" if c else "committed", c) for c in codes]
    assert group_exit_code(outcomes) == code
