"""The graders by name, and the hash of everything in their sources that determines a verdict.

A planner takes the hash from ``benchmarks/lock.json``; a grade job computes it anew and stops where it
differs, so another grader is always another key. Graders are imported when needed: some bring torch.
"""

from importlib import import_module, resources
from typing import TYPE_CHECKING

from a360.errors import ConfigError
from a360.identity import hash_value
from a360.records import Grading

if TYPE_CHECKING:
    from a360.grading.task import Grade  # brings what the sandbox's image lacks

_SANDBOX = (
    "bubblewrap",
    "candidate",
    "checker",
    "codec",
    "denied",
    "documents",
    "job",
    "judge",
    "kernel",
    "landlock",
    "lockdown",
    "names",
    "private_directory",
    "remote",
    "seccomp",
    "selftest",
    "start",
    "supervisor",
    "users",
    "wire",
)
"""Its modules: each of them can turn a verdict."""

GRADERS: dict[str, tuple[str, ...]] = {
    "bold": ("grading.bold", "results.means"),
    "code": (
        "grading.code",
        "grading.pass_at_k",
        *(f"grading.sandbox.{module}" for module in _SANDBOX),
        "results.means",
    ),
    "last_number": ("grading.last_number", "grading.lengths", "results.means"),
    "mt_bench": ("grading.mt_bench", "grading.ratings", "results.means"),
    "next_word": ("grading.next_word", "results.means"),
    "topics": ("grading.topics", "grading.ratings", "grading.lengths", "results.means"),
    "toxicity": ("grading.toxicity", "results.means"),
    "toxigen": ("grading.toxigen", "grading.classifiers", "results.means"),
}
"""Grader -> the modules of a360 that determine its verdicts; the first one has a function ``grade``."""


def find_grader(grading: Grading) -> "Grade":
    """The function of a grader whose sources are those of the plan.

    Raises:
        ConfigError: there is no such grader here, or its sources are others.
    """
    if grading.grader not in GRADERS:
        raise ConfigError(
            f"no grader {grading.grader!r}: expected one of {', '.join(GRADERS)}",
            hint="Grade with the version of a360 that planned.",
        )
    found = source_hash(grading.grader)
    if found != grading.source_hash:
        raise ConfigError(
            f"lock mismatch: grader {grading.grader!r} has the sources {found} here, "
            f"the plan expects {grading.source_hash}",
            hint="Grade with the version of a360 that planned; after a deliberate change: make lock.",
        )
    module = import_module(f"a360.{GRADERS[grading.grader][0]}")
    grade: Grade = module.grade
    return grade


def source_hash(grader: str) -> str:
    """16 hex digits of a grader's sources, read without importing them."""
    root = resources.files("a360")

    def source(module: str) -> str:
        *folders, name = module.split(".")
        return root.joinpath(*folders, f"{name}.py").read_text(encoding="utf-8")

    return hash_value({module: source(module) for module in GRADERS[grader]})
