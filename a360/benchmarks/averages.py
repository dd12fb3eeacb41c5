"""Means over benchmarks, as the cards of the original models print them."""

from collections.abc import Collection
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Average:
    """The unweighted mean of the headlines of benchmarks, or of earlier averages; one needs all of them."""

    id: str
    title: str
    parts: tuple[str, ...]

    def demo(self) -> "Average":
        """The same mean over the ``demo-`` twins."""
        return Average(
            id=f"demo-{self.id}",
            title=f"{self.title} (demo rows)",
            parts=tuple(f"demo-{part}" for part in self.parts),
        )


LANGUAGE = Average(
    id="average-language",
    title="Language average",
    parts=("arc-challenge-25shot", "hellaswag-10shot", "mmlu-5shot", "truthfulqa-mc2"),
)
CODE = Average(id="average-code", title="Coding average", parts=("humaneval-t02", "mbpp-t01"))
OVERALL = Average(id="average-overall", title="Overall average", parts=(LANGUAGE.id, CODE.id))
"""Source of all three: the card of CrystalCoder."""

_REAL = (LANGUAGE, CODE, OVERALL)
AVERAGES = (*_REAL, *(average.demo() for average in _REAL))


def averages_of(benchmarks: Collection[str]) -> list[Average]:
    """The averages whose parts are all among these benchmarks, and the averages of such."""
    found: dict[str, Average] = {}
    for average in AVERAGES:
        if set(average.parts) <= {*benchmarks, *found}:
            found[average.id] = average
    return list(found.values())
