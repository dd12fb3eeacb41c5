"""What goes into the container that runs model-written code, and what comes out of it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, TypeVar, get_args

from pydantic import Field

from a360.errors import DataError
from a360.identity import hash_value
from a360.records import Record

Document = TypeVar("Document", bound=Record)

VerdictName = Literal["passed", "failed", "timed_out", "resource", "broken", "refused"]
"""``resource``: memory, disk, output. ``broken``: does not compile. ``refused``: gave what is no plain data
within the limits of ``codec``."""

VERDICTS: tuple[VerdictName, ...] = get_args(VerdictName)


class Program(Record):
    """One sample of a model, whole, with the tests of its problem."""

    id: str
    program: str
    """Python source of the candidate: what runs confined and decides nothing."""
    helpers: str = ""
    """The prompt, whose own functions the tests may use."""
    tests: str
    """With an entry point they define ``check(candidate)``, else they are assertions."""
    entry_point: str | None = None


class Limits(Record):
    """What one program may use."""

    timeout_seconds: float = Field(default=3.0, gt=0)
    memory_mib: int = Field(default=1024, ge=256)
    disk_mib: int = Field(default=16, ge=1)
    output_kib: int = Field(default=1024, ge=1)


class Programs(Record):
    """All programs of a benchmark and a checkpoint."""

    schema_name: Literal["a360.programs/1"] = "a360.programs/1"
    limits: Limits = Limits()
    allow_weak_sandbox: bool = False
    programs: tuple[Program, ...]


class Attestation(Record):
    """What confined the programs, as the self-test found it."""

    layer: Literal["kernel", "bubblewrap"]
    """``kernel``: seccomp, Landlock and limits alone; ``bubblewrap``: namespaces around them."""
    landlock_abi: int
    seccomp: bool
    bubblewrap: bool
    holds: bool
    """False only where the suite allows a weak sandbox."""
    escapes: tuple[str, ...] = ()
    """What the self-test could do and should not."""


class Verdict(Record):
    """How one program ended."""

    id: str
    verdict: VerdictName
    detail: str = ""
    """In words; may come from the program, so it is never shown as anything but text."""


class Verdicts(Record):
    """The answer to a ``Programs`` document."""

    schema_name: Literal["a360.verdicts/1"] = "a360.verdicts/1"
    programs_hash: str
    attestation: Attestation
    verdicts: tuple[Verdict, ...]


class ProgramsOfGroup(Record):
    """The programs of every pair of a group that is to be graded."""

    schema_name: Literal["a360.group-programs/1"] = "a360.group-programs/1"
    source_hash: str
    """Of the grader that the plan names: whoever judges has to have the same sources."""
    pairs: dict[str, Programs]


class VerdictsOfGroup(Record):
    """The answer to a ``ProgramsOfGroup`` document."""

    schema_name: Literal["a360.group-verdicts/1"] = "a360.group-verdicts/1"
    pairs: dict[str, Verdicts]


def read_document(path: Path, kind: type[Document]) -> Document:
    """A document that another process has written.

    Raises:
        DataError: it is not there, cut off or another one.
    """
    try:
        return kind.model_validate_json(path.read_bytes())
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(
            f"{path} cannot be read: {reason}, expected a {kind.__name__} document",
            hint="The step before this one writes it: retry the workflow.",
        ) from error


def verify_verdicts(programs: Programs, verdicts: Verdicts) -> None:
    """Nothing where the second document answers exactly the first.

    Raises:
        DataError: it answers another one, or not every program once and in order, or weakly without leave.
    """
    expected = hash_value(programs)
    if verdicts.programs_hash != expected:
        raise DataError(
            f"verdicts are of the programs {verdicts.programs_hash}, expected those of {expected}"
        )
    _same_ids([v.id for v in verdicts.verdicts], [p.id for p in programs.programs])
    if not verdicts.attestation.holds and not programs.allow_weak_sandbox:
        raise DataError("verdicts come from a sandbox that did not hold, expected one that did")


def _same_ids(found: Sequence[str], expected: Sequence[str]) -> None:
    if list(found) != list(expected):
        pairs = zip(found, expected, strict=False)
        place = next((n for n, (a, b) in enumerate(pairs) if a != b), min(len(found), len(expected)))
        raise DataError(
            f"verdicts do not answer the programs: {len(found)} verdicts for {len(expected)} programs, "
            f"the first difference is at {place}"
        )
