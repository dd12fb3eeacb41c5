"""How a suite names a benchmark: one of the catalogue with its settings, or data of somebody's own."""

import difflib
from collections import Counter
from typing import Annotated, Literal, NamedTuple, Self

from pydantic import Field, field_validator, model_validator

from a360.benchmarks.benchmark import Benchmark, Headline
from a360.benchmarks.catalogue import CATALOGUE, UnknownBenchmarkError, find_benchmark
from a360.benchmarks.memorization import Memorization
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


class OwnSequences(Record):
    """Sequences that a model was trained on, in the order of its training: how many does it know by heart?

    ``a360 data draw`` puts some of every chunk of the training data into the mirror. Chunks are evaluated in
    groups, each a benchmark of its own, so that a new chunk leaves finished ones alone.
    """

    id: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,46}$")]
    data: Annotated[str, Field(pattern=r"^[^/]+(/[^/]+)*$")]
    """Their place in the mirror, with the folders ``chunk-000``, ``chunk-001``, …"""
    chunks: int = Field(ge=1)
    chunks_per_group: int = Field(default=1, ge=1)
    first_seen_step: int = Field(ge=0)
    """The step of a checkpoint that has seen chunk 0, and nothing after it."""
    steps_per_chunk: int = Field(ge=1)
    include: Literal["seen", "all"] = "seen"
    """Whether a checkpoint is asked for chunks only that it has seen."""
    control: bool = False
    """Whether a folder ``control`` holds sequences that are never seen; all checkpoints are asked."""
    end_of_text: Literal["ordinary", "stops"] = "ordinary"

    def benchmarks(self) -> tuple[Benchmark, ...]:
        """One row for each group of chunks, and one for the control."""
        rows = []
        for first in range(0, self.chunks, self.chunks_per_group):
            last = min(first + self.chunks_per_group, self.chunks) - 1
            name = f"{first:03d}" if first == last else f"{first:03d}-{last:03d}"
            folders = tuple(f"{self.data}/chunk-{chunk:03d}" for chunk in range(first, last + 1))
            seen_from_step = self.first_seen_step + last * self.steps_per_chunk
            rows.append(self._row(name, f"chunks {name}", folders, seen_from_step))
        if self.control:
            rows.append(self._row("control", "never seen", (f"{self.data}/control",), None))
        return tuple(rows)

    def _row(self, name: str, title: str, data: tuple[str, ...], seen_from_step: int | None) -> Benchmark:
        return Benchmark(
            id=f"{self.id}-{name}",
            title=f"Memorization, {title}",
            evaluator="memorization",
            task=self.id.replace("-", "_"),
            folder=None,
            memorization=Memorization(
                end_of_text=self.end_of_text,
                seen_from_step=seen_from_step,
                asks_unseen=self.include == "all",
            ),
            shots=None,
            data=data,
            headline=Headline(metric="token_match", aggregation="micro"),
            direction="lower",
            cost=64.0 * len(data),
            source="https://arxiv.org/abs/2304.11158",
            stand_in=True,  # nobody takes own sequences for a known benchmark: any mirror may hold them
        )


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
