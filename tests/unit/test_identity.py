"""Keys never change for what was committed, and always change for what determines a number."""

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from a360.identity import (
    IDENTITY_VERSION,
    SUPPORTED_VERSIONS,
    canonical_json,
    generation_key,
    hash_value,
    result_key,
)
from a360.records import Grading, Protocol

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests/golden/identity.json"
TABLE: dict[str, dict[str, Any]] = json.loads(GOLDEN.read_text())
"""IDENTITY_VERSION -> documents with no field at its default, and their keys. Rows are only added."""

ROW = TABLE[max(TABLE, key=int)]
PROTOCOL = Protocol.model_validate(ROW["protocol"])
GRADING = Grading.model_validate(ROW["grading"])

OTHER_PROTOCOL: dict[str, object] = {
    "benchmark": "mmlu-0shot",
    "benchmark_version": 3,
    "task_hash": "3f1c0a9d5b7e2469",
    "data_revision": "c30699e8356da337",
    "shots": None,
    "seeds": {"fewshot": 1234, "random": 8},
    "limit": None,
    "decoding": {},
    "max_length": None,
    "dtype": "float32",
    "softmax_dtype": None,
    "chat_template": None,
    "tokenizer": None,
    "add_bos_token": False,
    "truncation_side": "left",
    "numerics": "hflm-1",
}
OTHER_GRADING: dict[str, object] = {
    "grader": "classifier",
    "source_hash": "71f0c4de92ab3587",
    "classifier_digest": None,
    "judge_model": None,
    "prompt_hash": None,
}

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


def reversed_keys(value: object) -> object:
    """The same JSON value, with every object's keys in the opposite order."""
    if isinstance(value, dict):
        return {key: reversed_keys(value[key]) for key in reversed(value)}
    if isinstance(value, list):
        return [reversed_keys(item) for item in value]
    return value


def row_for(version: int) -> dict[str, Any]:
    """The newest row's documents with the keys of a version; new fields get their values by hand."""
    generation = generation_key(ROW["digest"], PROTOCOL, version)
    keys = {"generation_key": generation, "key": result_key(generation, GRADING, version)}
    return {**ROW, **keys, "key_without_grading": result_key(generation, None, version)}


@pytest.mark.golden
@pytest.mark.parametrize("version", SUPPORTED_VERSIONS)
def test_keys_of_every_version_are_the_frozen_ones(version: int) -> None:
    row = TABLE[str(version)]
    generation = generation_key(row["digest"], Protocol.model_validate(row["protocol"]), version)
    assert generation == row["generation_key"]
    assert result_key(generation, Grading.model_validate(row["grading"]), version) == row["key"]
    assert result_key(generation, None, version) == row["key_without_grading"]


@pytest.mark.golden
def test_the_newest_version_comes_first_and_has_a_row() -> None:
    if os.environ.get("A360_GOLDEN") == "write" and str(IDENTITY_VERSION) not in TABLE:
        GOLDEN.write_text(
            json.dumps({**TABLE, str(IDENTITY_VERSION): row_for(IDENTITY_VERSION)}, indent=2) + "\n"
        )
        pytest.fail(f"a row for version {IDENTITY_VERSION} was added to {GOLDEN.name}: read it, run again")
    assert SUPPORTED_VERSIONS[0] == IDENTITY_VERSION
    assert list(SUPPORTED_VERSIONS) == sorted(SUPPORTED_VERSIONS, reverse=True)
    assert {int(version) for version in TABLE} == set(SUPPORTED_VERSIONS)


def test_the_frozen_row_leaves_no_field_at_its_default() -> None:
    for record in (PROTOCOL, GRADING):
        for name, field in type(record).model_fields.items():
            value = getattr(record, name)
            assert value not in (None, {}, (), ""), name
            assert field.is_required() or value != field.get_default(), name


def test_an_unknown_version_is_refused() -> None:
    with pytest.raises(ValueError, match="identity version 99"):
        generation_key(ROW["digest"], PROTOCOL, 99)
    with pytest.raises(ValueError, match="identity version 0"):
        result_key(ROW["generation_key"], None, 0)


def test_every_field_of_a_protocol_changes_the_key() -> None:
    assert OTHER_PROTOCOL.keys() == Protocol.model_fields.keys()
    keys = {generation_key(ROW["digest"], PROTOCOL)}
    for name, value in OTHER_PROTOCOL.items():
        keys.add(generation_key(ROW["digest"], Protocol.model_validate({**ROW["protocol"], name: value})))
    assert len(keys) == 1 + len(OTHER_PROTOCOL)


def test_every_field_of_a_grading_changes_the_key() -> None:
    assert OTHER_GRADING.keys() == Grading.model_fields.keys()
    keys = {result_key(ROW["generation_key"], grading) for grading in (GRADING, None)}
    for name, value in OTHER_GRADING.items():
        keys.add(result_key(ROW["generation_key"], Grading.model_validate({**ROW["grading"], name: value})))
    assert len(keys) == 2 + len(OTHER_GRADING)


def test_digest_and_generation_change_the_key() -> None:
    one, other = generation_key("0" * 16, PROTOCOL), generation_key("1" * 16, PROTOCOL)
    assert one != other
    assert result_key(one, GRADING) != result_key(other, GRADING)


@given(st.dictionaries(st.text(), json_values, max_size=6))
def test_canonical_json_does_not_depend_on_the_order_of_keys(value: dict[str, object]) -> None:
    text = canonical_json(value)
    assert canonical_json(reversed_keys(value)) == text
    assert json.loads(text) == value


def test_canonical_json_is_compact_ascii() -> None:
    assert canonical_json({"b": [1, 2.5, None], "a": "é\n"}) == '{"a":"\\u00e9\\n","b":[1,2.5,null]}'


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_numbers_that_json_does_not_know_are_refused(number: float) -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        canonical_json({"deep": [number]})


def test_values_that_json_does_not_know_are_refused() -> None:
    with pytest.raises(TypeError, match="not JSON serializable"):
        canonical_json({"when": {1, 2}})


def test_a_record_and_its_document_hash_the_same() -> None:
    assert hash_value(PROTOCOL) == hash_value(ROW["protocol"])
    assert re.fullmatch("[0-9a-f]{16}", hash_value(PROTOCOL))


def test_the_example_of_the_architecture_page_has_the_key_it_prints() -> None:
    page = (ROOT / "ARCHITECTURE.md").read_text()
    text = re.search(r"```json\n(\{.*\})\n```", page)
    key = re.search(r"generation key: `([0-9a-f]{16})`", page)
    assert text is not None
    assert key is not None
    document = json.loads(text[1])
    assert canonical_json(document) == text[1]
    assert document["identity_version"] == IDENTITY_VERSION
    assert generation_key(document["digest"], Protocol.model_validate(document["protocol"])) == key[1]
