"""Means over benchmarks, as the cards of the original models print them."""

from collections.abc import Collection
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Average:
    """The unweighted mean of the headlines of some benchmarks; one needs all of them."""

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
"""Source: the card of CrystalCoder."""

AVERAGES = (LANGUAGE, LANGUAGE.demo())


def averages_of(benchmarks: Collection[str]) -> list[Average]:
    """The averages whose parts are all among these benchmarks."""
    return [average for average in AVERAGES if set(average.parts) <= set(benchmarks)]
