"""The sandbox job: ``python -P -m jobs.sandbox --generations FILE --verdicts FILE --work-dir DIR``.

Runs the programs that jobs/grade.py has written down, each confined, and writes a verdict on each. It has no
store, no suite and no credentials.
"""

import argparse
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from a360.errors import ConfigError
from a360.grading.graders import source_hash
from a360.grading.sandbox.documents import ProgramsOfGroup, Verdicts, VerdictsOfGroup, read_document
from a360.grading.sandbox.judge import judge_programs
from jobs import run_job
from jobs.progress import throttled


def main() -> int:
    """Judges every program of a group of pairs."""
    parser = argparse.ArgumentParser(prog="jobs.sandbox", description=__doc__)
    parser.add_argument("--generations", type=Path, required=True, help="what jobs.grade --fetch has written")
    parser.add_argument("--verdicts", type=Path, required=True, help="where the verdicts are written")
    parser.add_argument("--work-dir", type=Path, help="where programs get their directories")
    arguments = parser.parse_args()
    if arguments.work_dir:
        arguments.work_dir.mkdir(parents=True, exist_ok=True)
        tempfile.tempdir = str(arguments.work_dir.resolve())
    group = read_document(arguments.generations, ProgramsOfGroup)
    if (here := source_hash("code")) != group.source_hash:
        raise ConfigError(
            f"sandbox has the sources {here}, the plan's grader {group.source_hash}",
            hint="Use images of one version of a360.",
        )
    total, write = sum(len(programs.programs) for programs in group.pairs.values()), throttled()
    verdicts: dict[str, Verdicts] = {}
    for pair, programs in group.pairs.items():
        before = sum(len(each.verdicts) for each in verdicts.values())
        verdicts[pair] = judge_programs(programs, on_progress=partial(_write, write, before, total))
    arguments.verdicts.write_text(VerdictsOfGroup(pairs=verdicts).model_dump_json())
    return 0


def _write(write: Callable[[int, int], None], before: int, total: int, done: int, _: int) -> None:
    write(before + done, total)


if __name__ == "__main__":
    run_job(main)
