"""What the pages tell people to type exists, and what exists is told."""

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

import a360.cli
from a360.benchmarks import CATALOGUE
from a360.suite import parse_suite

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = ROOT / "docs/reference/cli.md"
PAGES = sorted({*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")} - {REFERENCE})
"""What people wrote; the reference is generated."""

FENCE = re.compile(r"^```(?:console|sh|bash|shell)\n(.*?)^```", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`((?:make|a360) [^`\n]+)`")


def commands_in(page: str) -> Iterator[list[str]]:
    """The words of every command line: ``$ …`` in code blocks, ``make …`` or ``a360 …`` in the text."""
    for block in FENCE.findall(page):
        for line in re.sub(r"\\\n\s*", "", block).splitlines():
            if line.startswith("$ "):
                yield shlex.split(line[2:], comments=True)
    for line in INLINE.findall(re.sub(r"```.*?```", "", page, flags=re.DOTALL)):
        yield shlex.split(line)


def suites_in(page: str) -> list[str]:
    """The YAML blocks of a page that are whole suites."""
    blocks: list[str] = re.findall(r"^```yaml\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    return [block for block in blocks if block.startswith(("name:", "schema:"))]


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def cli_commands() -> dict[str, Any]:
    """Every command that does something: its words after ``a360`` -> click's command."""
    found: dict[str, Any] = {}

    def walk(command: Any, words: tuple[str, ...]) -> None:
        inner = getattr(command, "commands", None)
        if inner is None or getattr(command, "invoke_without_command", False):
            found[" ".join(words)] = command
        for name, child in (inner or {}).items():
            walk(child, (*words, name))

    walk(typer.main.get_command(a360.cli.app), ())
    return found


def fault_of(words: list[str]) -> str | None:
    """What is wrong with a command line of a page, or None."""
    while words and re.fullmatch(r"[A-Z0-9_]+=.*", words[0]):
        words = words[1:]
    if not words:
        return None
    program = words[0].rpartition("/")[2]
    if program == "make":
        targets = [word for word in words[1:] if "=" not in word and not word.startswith("-")]
        unknown = set(targets) - make_targets()
        return f"make has no target {', '.join(sorted(unknown))}" if unknown else None
    return fault_of_a360(words[1:]) if program == "a360" else None


def fault_of_a360(words: list[str]) -> str | None:
    known = cli_commands()
    options = [word.partition("=")[0] for word in words if word.startswith("--") and word != "--help"]
    plain = [word for word in words if not word.startswith("-")]
    name = next((" ".join(plain[:n]) for n in (3, 2, 1) if " ".join(plain[:n]) in known), None)
    if name is None:
        return f"a360 has no command {' '.join(plain) or words}" if plain or options else None
    offered = {
        option for parameter in known[name].params for option in (*parameter.opts, *parameter.secondary_opts)
    }
    unknown = set(options) - offered
    return f"a360 {name} has no option {', '.join(sorted(unknown))}" if unknown else None


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_of_a_page_exists(page: Path) -> None:
    assert [fault for words in commands_in(page.read_text()) if (fault := fault_of(words))] == []


def test_every_suite_of_a_page_is_valid() -> None:
    suites = [block for page in PAGES for block in suites_in(page.read_text())]
    assert suites
    for block in suites:
        parse_suite(block, where="a page", base_dir=ROOT)


def test_the_readme_says_the_two_commands_of_a_fresh_clone() -> None:
    commands = list(commands_in((ROOT / "README.md").read_text()))
    assert ["make", "demo"] in commands
    assert ["make", "test"] in commands


def test_the_readme_shows_a_real_run_and_its_report() -> None:
    readme = (ROOT / "README.md").read_text()
    pictures = re.findall(r"!\[[^]]+\]\(([^)]+)\)", readme)
    assert pictures
    assert all((ROOT / picture).read_bytes().startswith(b"\x89PNG") for picture in pictures)
    assert re.search(r"\$ make demo\n(.*\n)+report: build/demo", readme)


def test_every_command_of_the_program_is_documented_by_hand() -> None:
    told = "\n".join(page.read_text() for page in PAGES)
    assert [name for name in cli_commands() if not re.search(rf"a360 {name}\b", told)] == []


def test_the_reference_of_the_commands_is_up_to_date() -> None:
    command = [sys.executable, "-m", "typer", "a360.cli", "utils", "docs", "--name", "a360"]
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert REFERENCE.read_text().strip() == printed.strip(), "run `make docs`"


def test_the_reference_of_the_benchmarks_is_up_to_date() -> None:
    command = [sys.executable, str(ROOT / "docs" / "benchmarks_page.py")]
    printed = subprocess.run(
        command, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True
    )
    page = ROOT / "docs" / "reference" / "benchmarks.md"
    assert page.read_text() == printed.stdout, "run `make docs`"
    for target in set(re.findall(r"\]\((\.\./[^)]+)\)", printed.stdout)):
        assert (page.parent / target).is_file()


def test_the_proof_of_every_benchmark_names_tests_that_compare_its_twin() -> None:
    page = (ROOT / "docs" / "reference" / "benchmarks.md").read_text()
    proofs = {
        cells[2].strip("` "): cells[7] for line in page.splitlines() if len(cells := line.split("|")) == 9
    }
    rows = {row.id: row for row in CATALOGUE.values() if not row.stand_in}
    assert rows.keys() == proofs.keys() - {"id", "---"}
    for name, row in rows.items():
        tests = re.findall(r"\]\(\.\./\.\./tests/integration/(\w+\.py)\)", proofs[name])
        assert tests, name
        for test in tests:
            # test_equality.py takes all rows of the harness from the catalogue.
            implied = test == "test_equality.py" and row.evaluator == "harness"
            text = (ROOT / "tests" / "integration" / test).read_text()
            assert implied or f'"demo-{name}"' in text, f"{test} does not compare demo-{name}"
        own = row.evaluator == "perplexity" or row.folder is None or bool(row.macros)
        assert ("a plain script" in proofs[name]) == own, name


@pytest.mark.parametrize(
    "line", ["make nothing-like-this", "a360 nothing", "a360 run --no-such-option", "X=1 make nope"]
)
def test_a_command_that_does_not_exist_is_seen(line: str) -> None:
    assert fault_of(shlex.split(line))


@pytest.mark.parametrize(
    "line", ["make", "make demo KILLS=10", "a360", "a360 --help", "git clone x", "A=1 make test"]
)
def test_a_command_that_exists_is_fine(line: str) -> None:
    assert fault_of(shlex.split(line)) is None


def names_of_tests_in(page: str) -> list[str]:
    return re.findall(r"`(test_\w+\.py::\w+)`", page)


def test_every_test_that_a_page_names_exists() -> None:
    there = {
        f"{path.name}::{name}"
        for path in ROOT.glob("tests/**/test_*.py")
        for name in re.findall(r"^def (test_\w+)", path.read_text(), re.MULTILINE)
    }
    named = [name for page in PAGES for name in names_of_tests_in(page.read_text())]
    assert len(named) >= 60
    assert sorted({*named} - there) == []
