"""How a suite names a benchmark: one of the catalogue with its settings, or texts of somebody's own."""

import difflib
from collections import Counter
from typing import Annotated, NamedTuple, Self

from pydantic import Field, field_validator, model_validator

from a360.benchmarks.benchmark import Benchmark, Headline
from a360.benchmarks.catalogue import CATALOGUE, UnknownBenchmarkError, find_benchmark
from a360.benchmarks.texts import GroupSubset, Texts
from a360.records import Record


class Chosen(NamedTuple):
    """A benchmark of a suite, and how many documents of each task it is limited to."""

    benchmark: Benchmark
    limit: int | None


class AverageGroups(Record):
    """Groups of texts over whose documents one more average is taken, for a list that is only assumed."""

    label: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")] | None = None
    """What tables and pages call it; by default ``assumed-`` and the number of groups."""
    groups: Annotated[tuple[str, ...], Field(min_length=1)]
    """Values of the group field, as the rows spell them."""

    @field_validator("groups")
    @classmethod
    def _each_once(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        twice = [group for group, count in Counter(value).items() if count > 1]
        if twice:
            raise ValueError(f"{twice[0]!r} is named twice")
        return value

    def subset(self) -> GroupSubset:
        """The groups under their label."""
        return GroupSubset(label=self.label or f"assumed-{len(self.groups)}", groups=self.groups)


class BenchmarkChoice(Record):
    """One benchmark of the suite; a plain id in YAML is the same as ``{id: …}``."""

    id: str
    limit: int | None = Field(default=None, ge=1)
    """Only the first documents of every task: another protocol, for trying things out."""
    average_groups: AverageGroups | None = None
    """In the place of the groups that the catalogue assumes: another protocol."""

    @field_validator("id")
    @classmethod
    def _exists(cls, value: str) -> str:
        try:
            find_benchmark(value)
        except UnknownBenchmarkError as error:
            raise ValueError(str(error)) from None
        return value

    @model_validator(mode="after")
    def _has_the_groups(self) -> Self:
        known = find_benchmark(self.id).groups
        if self.average_groups and not known:
            raise ValueError(f"average_groups of {self.id}, whose documents have no groups")
        for group in self.average_groups.groups if self.average_groups else ():
            if group not in known:
                near = difflib.get_close_matches(group, known, n=1, cutoff=0.3) or known
                raise ValueError(f"{self.id} has no group {group!r}, expected such as {near[0]!r}")
        return self

    def benchmark(self) -> Benchmark:
        """The row of the catalogue, with what is chosen here."""
        row = find_benchmark(self.id)
        return row.averaged(self.average_groups.subset()) if self.average_groups else row


class OwnTexts(Record):
    """Texts of somebody's own as a benchmark: their perplexity, per group and together.

    The id needs no mention in ``benchmarks``. Fields may be dotted: ``meta.source``.
    """

    id: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
    data: Annotated[str, Field(pattern=r"^[^/]+(/[^/]+)*$")]
    """Their place in the mirror: a repository or a folder of one, with JSONL or parquet files."""
    text: str = "text"
    group: str | None = None
    window: int | None = Field(default=None, ge=2)
    """Tokens that the model sees at once, by default as many as it can."""
    stride: int | None = Field(default=None, ge=1)
    """Tokens by which a window moves, by default the whole window."""
    average_groups: AverageGroups | None = None
    """Groups for one more average; one that has no documents leaves it without a value, by name."""
    limit: int | None = Field(default=None, ge=1)

    @field_validator("id")
    @classmethod
    def _is_new(cls, value: str) -> str:
        if value in CATALOGUE:
            raise ValueError(f"{value!r} is a benchmark of the catalogue, expected another id")
        return value

    @model_validator(mode="after")
    def _settings_fit(self) -> Self:
        if self.window and self.stride and self.stride > self.window:
            raise ValueError(f"stride is {self.stride}, expected at most the window's {self.window}")
        if self.average_groups and not self.group:
            raise ValueError("average_groups without group, expected the field that divides the documents")
        return self

    def benchmark(self) -> Benchmark:
        """The row that the texts would be in the catalogue."""
        return Benchmark(
            id=self.id,
            title=self.id,
            kind="perplexity",
            evaluator="perplexity",
            task=self.id,
            folder=None,
            texts=Texts(
                text=self.text,
                group=self.group,
                window=self.window,
                stride=self.stride,
                average_groups=self.average_groups.subset() if self.average_groups else None,
            ),
            shots=None,
            data=(self.data,),
            headline=Headline(metric="bits_per_byte", aggregation="micro"),
            direction="lower",
            cost=100.0,
            source="",
            stand_in=True,  # nobody takes own texts for a known benchmark: any mirror may hold them
        )
