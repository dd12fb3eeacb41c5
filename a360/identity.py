"""Canonical JSON and the keys that are derived from it.

Two cells are comparable exactly when their protocols are equal; a result is addressed by what
produced it. A planner computes the same key as the evaluator without importing lm-eval.
"""

import hashlib
import json
from collections.abc import Mapping

from pydantic import BaseModel

from a360.records import Grading, Protocol

IDENTITY_VERSION = 1
SUPPORTED_VERSIONS = (1,)
"""Newest first. Plan accepts a commit under any of them before it calls a pair missing."""


def canonical_json(value: object) -> str:
    """The one text of a JSON value: sorted keys, no spaces, ASCII, finite numbers only.

    Raises:
        ValueError: for NaN and infinities.
        TypeError: for what JSON does not know.
    """
    if isinstance(value, BaseModel):
        value = value.model_dump(mode="json")
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def hash_value(value: object) -> str:
    """The first 16 hex digits of the sha256 of a value's canonical JSON."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:16]


def generation_key(digest: str, protocol: Protocol, version: int = IDENTITY_VERSION) -> str:
    """The key of what a model says under a protocol: 16 hex digits."""
    return hash_value(_versioned({"digest": digest, "protocol": protocol.model_dump(mode="json")}, version))


def result_key(generation: str, grading: Grading | None, version: int = IDENTITY_VERSION) -> str:
    """The key of a graded result; log-likelihood and inline scoring have no grading."""
    graded = grading.model_dump(mode="json") if grading else None
    return hash_value(_versioned({"generation_key": generation, "grading": graded}, version))


def _versioned(value: Mapping[str, object], version: int) -> dict[str, object]:
    if version not in SUPPORTED_VERSIONS:
        raise ValueError(f"identity version {version} is not one of {SUPPORTED_VERSIONS}")
    return {"identity_version": version, **value}
