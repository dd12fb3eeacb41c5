from pathlib import Path

import pytest
import yaml

from a360.benchmarks import CATALOGUE
from a360.errors import ConfigError
from a360.suite import Suite, load_suite, parse_suite, shipped_suite_text, shipped_suites, suite_schema

SUITE = """
name: tiny
model:
  name: tiny-llama
  root: checkpoints
  naming: {pattern: 'step_(?P<step>\\d+)'}
store: {uri: results}
data: {mirror: s3://bucket/mirror}
benchmarks: [boolq, wikitext]
"""


def parsed(text: str = SUITE, base_dir: Path = Path("/base")) -> Suite:
    return parse_suite(text, where="tiny.yaml", base_dir=base_dir)


def fault_of(text: str) -> ConfigError:
    with pytest.raises(ConfigError) as raised:
        parsed(text)
    return raised.value


def test_paths_are_relative_to_the_file_and_uris_stay() -> None:
    suite = parsed(SUITE.replace("root: checkpoints", "root: deep/checkpoints"))
    assert suite.model.root == "/base/deep/checkpoints"
    assert suite.store.uri == "/base/results"
    assert suite.run.cache_dir == "/base/cache"
    assert suite.publish.directory == "/base/report"
    assert suite.data.mirror == "s3://bucket/mirror"


def test_a_file_is_its_own_base_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "tiny.yaml").write_text(SUITE)
    monkeypatch.chdir(tmp_path)
    assert load_suite("sub/tiny.yaml").store.uri == str(tmp_path / "sub" / "results")


def test_a_plain_id_is_a_benchmark_without_limit() -> None:
    plain, spelt_out = parsed(), parsed(SUITE.replace("[boolq,", "[{id: boolq},"))
    limited = parsed(SUITE.replace("[boolq,", "[{id: boolq, limit: 3},"))
    assert plain == spelt_out
    assert limited.benchmarks[0].limit == 3


@pytest.mark.parametrize(
    ("old", "new", "place", "said"),
    [
        ("name: tiny\n", "name: tiny\nshards: 3\n", "shards", "unknown key"),
        ("{uri: results}", "{uri: results, url: x}", "store.url", "unknown key"),
        ("name: tiny\n", "name: Tiny Suite\n", "name", "pattern"),
        ("name: tiny\n", "name: 3\n", "name", "string"),
        ("  root: checkpoints\n", "", "model.root", "required"),
        ("[boolq, wikitext]", "[]", "suite", "at least 1"),
        ("[boolq, wikitext]", "[boolq, boolq]", "suite", "'boolq' is named twice"),
        (
            "  root: checkpoints\n",
            "  root: checkpoints\n  max_length: 1\n",
            "model.max_length",
            "greater than",
        ),
        (
            "store: {uri",
            "run: {pairs_per_group: 0}\nstore: {uri",
            "run.pairs_per_group.constrained-int",
            "than",
        ),
        ("[boolq, wikitext]", "[bolq]", "benchmarks.0.id", "did you mean boolq"),
        ("[boolq, wikitext]", "[{id: boolq, limit: 0}]", "benchmarks.0.limit", "greater than or equal to 1"),
        ("[boolq, wikitext]", "[{id: truthfulqa-mc2, shots: 5}]", "benchmarks.0.shots", "unknown key"),
        ("store: {uri", "run: {device: gpu}\nstore: {uri", "run.device", "'cuda'"),
    ],
)
def test_a_fault_names_its_place_and_what_was_expected(old: str, new: str, place: str, said: str) -> None:
    error = fault_of(SUITE.replace(old, new))
    assert "tiny.yaml" in error.message
    assert any(line.startswith(f"  {place}: ") and said in line for line in error.message.splitlines()), error
    assert error.hint
    assert error.exit_code == 2


def test_all_faults_are_named_at_once() -> None:
    message = fault_of(SUITE.replace("name: tiny\n", "name: tiny\nshards: 3\nrun: {workers: 0}\n")).message
    assert "shards" in message
    assert "run.workers" in message


@pytest.mark.parametrize(
    "text", ["name: [tiny", "name: tiny\n  x: 1", "a: *nowhere", "\tname: tiny", "a: 1\na: 2"]
)
def test_what_is_not_yaml_is_said_to_be_none(text: str) -> None:
    error = fault_of(text)
    assert error.message.startswith("suite is not YAML: tiny.yaml")
    assert "line " in error.message
    assert "<unicode string>" not in error.message


@pytest.mark.parametrize(("text", "found"), [("", "NoneType"), ("- name", "list"), ("just words", "str")])
def test_a_document_without_keys_is_no_suite(text: str, found: str) -> None:
    assert f"found {found}" in fault_of(text).message


@pytest.mark.parametrize("name", ["nowhere.yaml", "no/such/suite.yml", "dmo"])
def test_a_suite_that_does_not_exist_is_a_configuration_error(name: str) -> None:
    with pytest.raises(ConfigError, match=name) as raised:
        load_suite(name)
    assert raised.value.hint


def test_bytes_that_are_no_text_are_a_configuration_error(tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_bytes(b"name: \xff\xfe")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_suite(str(tmp_path / "tiny.yaml"))


def test_a_directory_is_no_suite(tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").mkdir()
    with pytest.raises(ConfigError, match="cannot be read"):
        load_suite(str(tmp_path / "tiny.yaml"))


def test_paths_of_a_shipped_suite_are_relative_to_the_working_directory() -> None:
    assert load_suite("demo").store.uri == str(Path.cwd() / "store")


def test_the_demo_evaluates_every_stand_in_in_the_catalogue() -> None:
    chosen = {choice.id for choice in load_suite("demo").benchmarks}
    # The demo has no judge, which is a service of somebody's.
    assert chosen == {row.id for row in CATALOGUE.values() if row.stand_in and row.judge != "needed"}


def test_the_schema_knows_every_key_and_benchmark_of_the_shipped_suites() -> None:
    schema = suite_schema()
    properties = schema["properties"]
    assert isinstance(properties, dict)
    for name in shipped_suites():
        document = yaml.safe_load(shipped_suite_text(name))
        assert document.keys() <= properties.keys()
        plain = properties["benchmarks"]["items"]["anyOf"][1]
        assert set(document["benchmarks"]) <= set(plain["enum"])
    assert schema["additionalProperties"] is False
