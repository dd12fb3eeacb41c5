"""Breaks the code one line at a time and expects the test that is named for the line to fail.

``python tests/mutants/run.py [words]`` takes the entries of ``tests/mutants/*.yaml`` whose list, file or
test contains one of the words, all without words. Each patch is applied to a copy of the tree. Exit 1
when a mutant survives, a patch no longer applies, or a named test fails without any patch.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Queue
from typing import Literal, NamedTuple

import yaml

ROOT = Path(__file__).resolve().parents[2]
NOT_COPIED = shutil.ignore_patterns(
    ".git", "build", "dist", "wandb", "__pycache__", ".*_cache", ".hypothesis"
)
TEST_SECONDS = 300
WORKERS = 2
FAILED = 1
"""pytest's exit code for failed tests; 2 to 5 mean that it could not run them."""

Outcome = Literal["killed", "SURVIVED", "BROKEN", "HUNG", "STALE"]


class Mutant(NamedTuple):
    """One line of one file changed, and the test that must notice."""

    group: str
    file: str
    old: str
    new: str
    test: str

    def matches(self, words: list[str]) -> bool:
        return not words or any(word in text for word in words for text in (self.group, self.file, self.test))


def read_mutants(folder: Path) -> list[Mutant]:
    """Every entry of every list in a folder, in the order of names and lines."""
    return [
        Mutant(group=path.stem, **entry)
        for path in sorted(folder.glob("*.yaml"))
        for entry in yaml.safe_load(path.read_text())
    ]


def mutate(source: str, mutant: Mutant) -> str | None:
    """The patched source; None unless ``old`` is within exactly one line and ``new`` changes it."""
    lines = [line for line in source.splitlines() if mutant.old in line]
    once = len(lines) == 1 and source.count(mutant.old) == 1
    return source.replace(mutant.old, mutant.new) if once and mutant.old != mutant.new else None


def run_tests(tree: Path, arguments: list[str], show: bool = False) -> int | None:
    """pytest's exit code in a copy of the tree; None when it had to be stopped."""
    # No bytecode: a patch of equal length within the same second would be answered by the old .pyc.
    environment = os.environ | {"PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-x",
        "-q",
        "--no-header",
        "-p",
        "no:cacheprovider",
        *arguments,
    ]
    try:
        done = subprocess.run(
            command,
            cwd=tree,
            env=environment,
            stdout=None if show else subprocess.DEVNULL,
            timeout=TEST_SECONDS * len(arguments),
        )
    except subprocess.TimeoutExpired:
        return None
    return done.returncode


def try_mutant(tree: Path, mutant: Mutant) -> Outcome:
    """What the named test says to the patch; the tree is whole again afterwards."""
    path = tree / mutant.file
    source = path.read_text() if path.is_file() else ""
    patched = mutate(source, mutant)
    if patched is None:
        return "STALE"
    path.write_text(patched)
    try:
        code = run_tests(tree, [mutant.test])
    finally:
        path.write_text(source)
    if code is None:
        return "HUNG"
    return "killed" if code == FAILED else "SURVIVED" if code == 0 else "BROKEN"


def main(words: list[str]) -> int:
    """The exit code, after a line for every mutant and its end."""
    mutants = [mutant for mutant in read_mutants(ROOT / "tests" / "mutants") if mutant.matches(words)]
    if not mutants:
        print(f"no mutant matches {words}", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="a360-mutants-") as folder:
        trees = Queue[Path]()
        for number in range(WORKERS):
            trees.put(Path(shutil.copytree(ROOT, Path(folder) / f"tree-{number}", ignore=NOT_COPIED)))
        tests = sorted({mutant.test for mutant in mutants})
        print(f"the {len(tests)} named tests without any patch:", flush=True)
        parallel = ["-n", str(WORKERS), "--dist", "loadscope"]
        if run_tests(trees.queue[0], [*parallel, *tests], show=True) != 0:
            print("a named test fails without any patch", file=sys.stderr)
            return 1

        def outcome_of(mutant: Mutant) -> Outcome:
            tree = trees.get()
            outcome = try_mutant(tree, mutant)
            trees.put(tree)
            name = mutant.test.rpartition("::")[2]
            print(f"{outcome:8}  {mutant.file}  {name}\n{'':10}{mutant.old}  ->  {mutant.new}", flush=True)
            return outcome

        with ThreadPoolExecutor(WORKERS) as pool:
            outcomes = list(pool.map(outcome_of, mutants))
    print(f"{outcomes.count('killed')} of {len(outcomes)} mutants killed")
    return 0 if outcomes.count("killed") == len(outcomes) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
