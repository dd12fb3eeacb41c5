"""What the commands of ``a360 data`` do and show."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from rich.filesize import decimal
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from a360.cli.output import note, notes, print_text
from a360.datasets.fill import FillProgress, benchmark_data, fill_mirror, parse_revisions
from a360.datasets.target import MirrorTarget
from a360.errors import ConfigError
from a360.storage import StoreSettings
from a360.suite import load_suite


@dataclass(frozen=True, kw_only=True)
class Choice:
    """Which data sets a command is about."""

    suite: str | None = None
    benchmarks: tuple[str, ...] = ()
    repositories: tuple[str, ...] = ()

    def data(self) -> tuple[tuple[str, ...], StoreSettings | None]:
        """The data ids, and how the suite reaches its mirror.

        Raises:
            ConfigError: nothing was chosen, or more than one way at a time.
        """
        if sum(map(bool, (self.suite, self.benchmarks, self.repositories))) != 1:
            raise ConfigError(
                "found none or several of --suite, --benchmark and --repository, expected one of them",
                hint="--benchmark and --repository may be given several times",
            )
        if self.suite:
            suite = load_suite(self.suite)
            return benchmark_data(choice.id for choice in suite.benchmarks), suite.data.s3
        return self.repositories or benchmark_data(self.benchmarks), None


def mirror_data(uri: str, choice: Choice, revisions: Sequence[str], workers: int) -> None:
    """Fills a mirror from the hub and says what is there.

    Raises:
        ConfigError: some of it is gated, or the hub does not serve it; the rest is in the mirror.
    """
    data, settings = choice.data()
    pinned = parse_revisions(revisions)
    target = MirrorTarget(uri, settings)
    from a360.datasets.hub import Hub  # after everything that can be refused without a network

    with watch_bytes("mirroring") as show:
        filled = fill_mirror(target, data, Hub(), revisions=pinned, workers=workers, on_progress=show)
    for name, commit in filled.revisions.items():
        print_text(f"{name} at {commit}")
    pulled = f"{filled.pulled_files:,} files new ({decimal(filled.pulled_bytes)})"
    print_text(f"{target.store.uri}: {pulled}, {filled.kept_files:,} were there")
    filled.raise_refused()


@contextmanager
def watch_bytes(title: str) -> Iterator[Callable[[FillProgress], None]]:
    """A function to be called with all progress: a bar on a terminal, a line per file elsewhere."""
    if not notes.is_terminal:

        def tell(progress: FillProgress) -> None:
            if progress.remark:
                share = 100 * progress.done_bytes // max(progress.total_bytes, 1)
                note(f"{progress.remark} ({share} % of {decimal(progress.total_bytes)})")

        yield tell
        return
    columns = (
        TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn(),
        TimeRemainingColumn(compact=True),
    )  # fmt: skip
    with Progress(*columns, console=notes, transient=True) as bars:
        task = bars.add_task(title, total=None)

        def show(progress: FillProgress) -> None:
            bars.update(task, completed=progress.done_bytes, total=progress.total_bytes)

        yield show
