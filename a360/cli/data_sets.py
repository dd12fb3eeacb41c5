"""What the commands of ``a360 data`` do and show."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.filesize import decimal
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from a360.benchmarks import Texts, UnknownBenchmarkError, find_benchmark
from a360.cli.output import note, notes, print_table, print_text
from a360.cli.progress import busy
from a360.datasets.bundle import write_bundle
from a360.datasets.convert import OwnData, add_texts, convert_data
from a360.datasets.generated import generate_long_eval
from a360.datasets.mirror import MirrorManifest
from a360.datasets.sequences import Draw, chunk_folders, draw_sequences
from a360.datasets.target import FillProgress, MirrorTarget
from a360.datasets.unbundle import read_bundle
from a360.datasets.verify import verify_mirror
from a360.errors import ConfigError, DataError
from a360.storage import StoreSettings, open_store
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
        from a360.datasets.fill import benchmark_data

        if sum(map(bool, (self.suite, self.benchmarks, self.repositories))) != 1:
            raise ConfigError(
                "found none or several of --suite, --benchmark and --repository, expected one of them",
                hint="--benchmark and --repository may be given several times",
            )
        if self.suite:
            suite = load_suite(self.suite)
            return benchmark_data(chosen.benchmark for chosen in suite.chosen()), suite.data.s3
        try:
            return self.repositories or benchmark_data(map(find_benchmark, self.benchmarks)), None
        except UnknownBenchmarkError as error:
            raise ConfigError(str(error)) from None


def mirror_data(uri: str, choice: Choice, revisions: Sequence[str], workers: int) -> None:
    """Fills a mirror from the hub and says what is there.

    Raises:
        ConfigError: some of it is gated, or the hub does not serve it; the rest is in the mirror.
    """
    # The other commands need no hub, and its package need not be installed for them.
    from a360.datasets.fill import fill_mirror, parse_revisions
    from a360.datasets.hub import Hub

    data, settings = choice.data()
    pinned = parse_revisions(revisions)
    target = MirrorTarget(uri, settings)
    with watch_bytes("mirroring") as show:
        filled = fill_mirror(target, data, Hub(), revisions=pinned, workers=workers, on_progress=show)
    for name, commit in filled.revisions.items():
        print_text(f"{name} at {commit}")
    pulled = f"{_count(filled.pulled_files, 'file')} new ({decimal(filled.pulled_bytes)})"
    print_text(f"{target.store.uri}: {pulled}, {filled.kept_files:,} were there")
    filled.raise_refused()


def convert_files(kind: str, sources: Sequence[Path], uri: str) -> None:
    """Converts, and says what was counted in each file."""
    with busy("converting"):
        converted = convert_data(MirrorTarget(uri), kind, sources)
    columns = ["file", "rows", "duplicates", "contradictions"]
    rows = [
        [place, f"{counts.rows:,}", f"{counts.duplicates:,}", f"{counts.contradictions:,}"]
        for place, counts in converted.counts.items()
    ]
    print_table(columns, rows, numbers=columns[1:])
    print_text(f"{converted.repository} at {converted.revision}")


def add_files(uri: str, name: str, files: Sequence[Path], texts: Texts) -> None:
    """Adds, and says how many rows each file has."""
    with busy("adding"):
        added = add_texts(MirrorTarget(uri), name, files, texts)
    _print_rows(added)


def make_long_eval(uri: str, lengths: Mapping[str, str], cases: int, seed: int) -> None:
    """Makes cases of each kind, and says how many rows each file has.

    Raises:
        ConfigError: lengths that are no numbers separated by commas, or none at all.
    """
    wanted = {kind: _parse_lengths(kind, text) for kind, text in lengths.items() if text != "none"}
    if not wanted:
        raise ConfigError("found none for both --lines and --topics, expected lengths for one of them")
    for kind, numbers in wanted.items():
        with busy(f"making {kind}"):
            made = generate_long_eval(MirrorTarget(uri), kind, numbers, cases=cases, seed=seed)
        _print_rows(made)


def _parse_lengths(kind: str, text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise ConfigError(f"--{kind} is {text!r}, expected numbers such as 10,20,40, or none") from None


def _print_rows(data: OwnData) -> None:
    rows = [[place, f"{counts.rows:,}"] for place, counts in data.counts.items()]
    print_table(["file", "rows"], rows, numbers=["rows"])
    print_text(f"{data.repository} at {data.revision}")


def draw_chunks(uri: str, name: str, chunks: list[Path], sequences: int, seed: int) -> None:
    """Draws from every chunk and says how many there were."""
    folders = chunk_folders(chunks)
    with busy("drawing"):
        drawn = draw_sequences(MirrorTarget(uri), name, folders, Draw(sequences=sequences, seed=seed))
    rows = [
        [folder, f"{found.lines:,}", f"{found.sequences:,}", ", ".join(sorted(found.sources))]
        for folder, found in drawn.items()
    ]
    print_table(["chunk", "lines", "drawn", "sources"], rows, numbers=["lines", "drawn"])


def bundle_mirror(uri: str, archive: Path, suite_name: str | None) -> None:
    """Writes the archive and says what is in it."""
    suite = load_suite(suite_name) if suite_name else None
    store = open_store(uri, suite.data.s3 if suite else None)
    data = [place for chosen in suite.chosen() for place in chosen.benchmark.places()] if suite else None
    with watch_files("bundling") as show:
        manifest = write_bundle(store, archive, data, show)
    _print_repositories(manifest)
    print_text(f"bundle: {archive} ({decimal(archive.stat().st_size)})")


def unbundle_mirror(archive: Path, uri: str) -> None:
    """Unpacks the archive and says what was in it."""
    with watch_files("unbundling") as show:
        manifest = read_bundle(archive, uri, on_file=show)
    _print_repositories(manifest)
    print_text(f"mirror: {uri}")


def verify_files(uri: str) -> None:
    """Names every defect of a mirror on stdout.

    Raises:
        DataError: there is one.
    """
    store = open_store(uri)
    with watch_files("verifying") as show:
        verified = verify_mirror(store, show)
    for defect in verified.defects:
        print_text(defect)
    defects = _count(len(verified.defects), "defect")
    print_text(f"{_count(verified.files, 'file')}, {decimal(verified.bytes)}, {defects}")
    if verified.defects:
        raise DataError(
            f"{store.uri} is damaged: {defects}",
            hint="a360 data mirror brings files of the hub again; remove what is not in the manifest",
        )


def _print_repositories(manifest: MirrorManifest) -> None:
    for name, repository in manifest.repositories.items():
        size = decimal(sum(file.bytes for file in repository.files.values()))
        print_text(f"{name} at {repository.revision}: {_count(len(repository.files), 'file')}, {size}")


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


@contextmanager
def watch_files(title: str) -> Iterator[Callable[[int, int, str], None]]:
    """A function to be called with (bytes done, bytes in all, the file that is done)."""
    with watch_bytes(title) as show:
        yield lambda done, total, path: show(FillProgress(done, total, f"{title} {path}"))


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
