"""The mirror job: ``python -P -m jobs.mirror --suite PATH [--target URI] [--workers N]``.

Brings the data of a suite's benchmarks from the hub to where the suite looks for them.
"""

import argparse
import sys
from collections.abc import Callable

from a360.datasets.fill import benchmark_data, fill_mirror, parse_revisions
from a360.datasets.hub import Hub
from a360.datasets.target import FillProgress, MirrorTarget
from a360.suite import load_suite
from jobs import run_job
from jobs.progress import throttled


def main() -> int:
    """Fills the mirror; data that cannot be had is named at the end, the rest is there."""
    parser = argparse.ArgumentParser(prog="jobs.mirror", description=__doc__)
    parser.add_argument("--suite", required=True)
    parser.add_argument("--target", help="by default the suite's mirror")
    parser.add_argument("--revision", action="append", default=[], metavar="OWNER/NAME=SHA")
    parser.add_argument("--workers", type=int, default=4)
    arguments = parser.parse_args()
    suite = load_suite(arguments.suite)
    filled = fill_mirror(
        MirrorTarget(arguments.target or suite.data.mirror, suite.data.s3),
        benchmark_data(chosen.benchmark for chosen in suite.chosen()),
        Hub(),
        revisions=parse_revisions(arguments.revision),
        workers=arguments.workers,
        on_progress=_watch(),
    )
    print(f"{filled.pulled_files} files new ({filled.pulled_bytes} bytes), {filled.kept_files} were there")
    filled.raise_refused()
    return 0


def _watch() -> Callable[[FillProgress], None]:
    write = throttled()

    def take(progress: FillProgress) -> None:
        write(progress.done_bytes, progress.total_bytes)
        if progress.remark:
            counts = f"{progress.done_bytes}/{progress.total_bytes}"
            print(f"{progress.remark} {counts}", file=sys.stderr, flush=True)

    return take


if __name__ == "__main__":
    run_job(main)
