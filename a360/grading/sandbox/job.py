"""What a supervisor gets: one program, its tests and its limits; standard library only."""

import json
from dataclasses import asdict, dataclass

from a360.grading.sandbox.lockdown import MIB


@dataclass(frozen=True, kw_only=True)
class Job:
    """One program to be judged."""

    program: dict[str, str | None]
    """Fields of ``documents.Program``."""
    scratch: str
    """Where private directories are made."""
    bubblewrap: str | None
    """The executable of the outer layer; None without it."""
    timeout_seconds: float = 3.0
    memory_bytes: int = 1024 * MIB
    disk_bytes: int = 16 * MIB
    output_bytes: int = MIB
    weak: bool = False
    without: tuple[str, ...] = ()
    """Protections that a test leaves out."""

    def to_json(self) -> str:
        """For a pipe."""
        return json.dumps(asdict(self))

    @staticmethod
    def from_json(text: str) -> "Job":
        """What ``to_json`` wrote."""
        fields = json.loads(text)
        return Job(**{**fields, "without": tuple(fields["without"])})
