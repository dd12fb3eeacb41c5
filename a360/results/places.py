"""Keys to places: the one module that knows the layout of the store below ``v1/``."""

from typing import NamedTuple

ROOT = "v1"
REPORTS = f"{ROOT}/reports"


class CommitName(NamedTuple):
    """What the name of a commit or failure says without reading it."""

    benchmark: str
    checkpoint: str
    key: str


def plan_place(plan_id: str) -> str:
    """The place of a plan."""
    return f"{ROOT}/plans/{plan_id}.json"


def commits_prefix(model: str) -> str:
    """The prefix of a model's commits; planning lists it and reads nothing."""
    return f"{ROOT}/commits/{model}/"


def commit_place(model: str, name: CommitName) -> str:
    """The place of a commit marker."""
    return f"{commits_prefix(model)}{name.benchmark}/{name.checkpoint}@{name.key}.json"


def parse_commit(model: str, place: str) -> CommitName | None:
    """The inverse of ``commit_place``; None for an object that is no commit."""
    return _parse(place.removeprefix(commits_prefix(model)))


def generations_prefix(model: str) -> str:
    """The prefix of a model's generations; planning lists it and reads nothing."""
    return f"{ROOT}/generations/{model}/"


def generations_place(model: str, name: CommitName) -> str:
    """The place of a committed generation; the key of its name is the generation key."""
    return f"{generations_prefix(model)}{name.benchmark}/{name.checkpoint}@{name.key}.json"


def parse_generations(model: str, place: str) -> CommitName | None:
    """The inverse of ``generations_place``; None for an object that is no generation."""
    return _parse(place.removeprefix(generations_prefix(model)))


def answers_place(generation_key: str, sha256: str) -> str:
    """The place of what a checkpoint answered; the content hash keeps two racing writers apart."""
    return f"{ROOT}/objects/{generation_key}/answers-{sha256[:16]}.parquet"


def items_place(key: str, sha256: str) -> str:
    """The place of per-item outcomes; the content hash keeps two racing writers apart."""
    return f"{ROOT}/objects/{key}/items-{sha256[:16]}.parquet"


def journal_prefix(generation_key: str) -> str:
    """The prefix under which every attempt at a generation keeps its responses."""
    return f"{ROOT}/journal/{generation_key}/"


def journal_place(generation_key: str, attempt: str, sequence: int) -> str:
    """The place of one flush of one attempt."""
    return f"{journal_prefix(generation_key)}{attempt}/{sequence:06d}.parquet"


def failures_prefix(model: str, name: CommitName | None = None) -> str:
    """The prefix of a model's failures, or of those of one pair."""
    pair = f"{name.benchmark}/{name.checkpoint}@{name.key}/" if name else ""
    return f"{ROOT}/failures/{model}/{pair}"


def failure_place(model: str, name: CommitName, attempt: str) -> str:
    """The place of one failed attempt."""
    return f"{failures_prefix(model, name)}{attempt}.json"


def parse_failure(model: str, place: str) -> tuple[CommitName, str] | None:
    """The inverse of ``failure_place``: the pair and the attempt."""
    folder, _, attempt = place.rpartition("/")
    name = _parse(f"{folder.removeprefix(failures_prefix(model))}.json")
    return (name, attempt.removesuffix(".json")) if name else None


def index_place(model: str) -> str:
    """The place of the derived index."""
    return f"{ROOT}/index/{model}.parquet"


def _parse(rest: str) -> CommitName | None:
    """The name in ``<benchmark>/<checkpoint>@<key>.json``."""
    benchmark, _, file = rest.partition("/")
    checkpoint, at, key = file.removesuffix(".json").rpartition("@")
    return CommitName(benchmark, checkpoint, key) if at and file.endswith(".json") else None
