"""Every value is described and typed, a misspelt one refused by its name; every example renders."""

import json
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from tests.chart import CHART, ChartError, render, run_helm
from workflows.settings import Settings

ROOT = CHART.parents[1]
VALUES = yaml.safe_load((CHART / "values.yaml").read_text())
SCHEMA = json.loads((CHART / "values.schema.json").read_text())
EXAMPLES = sorted((CHART / "ci").glob("*-values.yaml"))
OF_OTHERS = ("--api-versions", "kueue.x-k8s.io/v1beta1", "--api-versions", "monitoring.coreos.com/v1")


def schemas(node: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every schema within a schema, by its path."""
    if isinstance(node, dict):
        if "type" in node:
            yield path, node
        for key, inner in node.items():
            yield from schemas(inner, f"{path}/{key}")


def paths(values: dict[str, Any], above: str = "") -> Iterator[str]:
    for key, value in values.items():
        path = f"{above}.{key}" if above else key
        yield path
        if isinstance(value, dict) and key not in (
            "nodeSelector",
            "annotations",
            "labels",
            "suites",
            "resources",
        ):
            yield from paths(value, path)


def with_value(path: str, value: Any) -> dict[str, Any]:
    for key in reversed(path.split(".")):
        value = {key: value}
    return value  # type: ignore[no-any-return]


MAY_BE_ADDED = {"AWS_SESSION_TOKEN"}


def test_no_map_of_the_schema_takes_unknown_keys() -> None:
    open_maps = [
        path
        for path, schema in schemas(SCHEMA)
        if schema["type"] == "object" and schema.get("additionalProperties", True) in (True, {})
    ]
    assert open_maps == ["/properties/global"]


def test_the_default_values_fit_the_schema_and_the_schema_knows_no_others() -> None:
    jsonschema.Draft7Validator.check_schema(SCHEMA)
    jsonschema.validate(VALUES, SCHEMA)
    assert SCHEMA["properties"].keys() - {"global"} == VALUES.keys()
    for path in paths(VALUES):
        value: Any = VALUES
        for key in path.split("."):
            value = value[key]
        known = schema_at(path).get("properties", {}).keys() - MAY_BE_ADDED
        assert not known or known == value.keys(), path


def schema_at(path: str) -> dict[str, Any]:
    schema: dict[str, Any] = SCHEMA
    for key in path.split("."):
        schema = schema["properties"][key]
        if "$ref" in schema:
            schema = SCHEMA["definitions"][schema["$ref"].rpartition("/")[2]]
    return schema


def parents(schema: dict[str, Any] = SCHEMA, above: str = "") -> Iterator[str]:
    """Every map of the values that has named keys."""
    if "$ref" in schema:
        schema = SCHEMA["definitions"][schema["$ref"].rpartition("/")[2]]
    if "properties" in schema:
        yield above
        for key, inner in schema["properties"].items():
            yield from parents(inner, f"{above}.{key}" if above else key)


@pytest.mark.parametrize("path", list(parents()))
def test_a_misspelt_key_fits_no_map(path: str) -> None:
    values = with_value(f"{path}.paralelism".lstrip("."), 3)
    with pytest.raises(jsonschema.ValidationError, match="'paralelism' was unexpected"):
        jsonschema.validate(values, SCHEMA)


@pytest.mark.helm
@pytest.mark.parametrize("path", ["", "sweeps.", "pods.evaluate.", "networkPolicies.s3."])
def test_helm_refuses_a_wrong_key_by_its_name(path: str) -> None:
    wrong = (f"{path}paralelism").split(".")[0] if path == "sweeps." else "paralelism"
    with pytest.raises(ChartError, match=f"additional properties '{wrong}' not allowed"):
        render(values=with_value(f"{path}paralelism", 3))


@pytest.mark.helm
@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("parallelism", "16", "parallelism"),
        ("pods.evaluate.memory", "64 GB", "memory"),
        ("images.evaluator.digest", "sha256:abc", "digest"),
        ("cache.kind", "hostPath", "kind"),
        ("cache.kind", "claim", "claim"),
        ("labels", {"app.kubernetes.io/name": "x"}, "labels/app.kubernetes.io~1name"),
        ("schedules.suites", [{"suite": "amber"}], "schedules/suites/0"),
        ("s3.keys", {"AWS_SECRET_ACESS_KEY": "x"}, "s3/keys.*'AWS_SECRET_ACESS_KEY' not allowed"),
        ("suites", {"Amber": "name: Amber"}, "suites.*'Amber' not allowed"),
    ],
)
def test_helm_refuses_a_wrong_value_and_names_its_place(path: str, value: Any, message: str) -> None:
    with pytest.raises(ChartError, match=message):
        render(values=with_value(path, value))


@pytest.mark.helm
def test_values_for_all_charts_are_allowed() -> None:
    assert render(values={"global": {"anything": 1}}).objects


def test_the_readme_has_the_table_of_the_values() -> None:
    command = [sys.executable, str(ROOT / "docs" / "chart_page.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    readme = (CHART / "README.md").read_text()
    rows = [line.split("`")[1] for line in readme.splitlines() if line.startswith("| `")]
    described = [
        path for path in paths(VALUES) if any(path == row or row.startswith(f"{path}.") for row in rows)
    ]
    inside = [path for path in paths(VALUES) if any(path.startswith(f"{row}.") for row in rows)]
    assert set(paths(VALUES)) == {*described, *inside}


@pytest.mark.parametrize(
    "text", ["a: 1\n", "# plain\na: 1\n", "a:\n  # -- told\n  b: 1\n  c: 2\n", "a: {b: 1}\n", "a: {}\n"]
)
def test_a_value_without_a_description_is_refused(text: str, tmp_path: Path) -> None:
    page = _chart_page()
    with pytest.raises(page.UndescribedError):
        page.values_in(text)


def test_a_description_may_have_several_lines_and_bars() -> None:
    page = _chart_page()
    (value,) = page.values_in("a:\n  # Not this.\n  # -- One | two\n  # lines\n  b: [1]\n")
    assert page.table([value]).endswith("| `a.b` | list | `[1]` | One \\| two lines |\n")


def _chart_page() -> Any:
    from importlib import util

    spec = util.spec_from_file_location("chart_page", ROOT / "docs" / "chart_page.py")
    assert spec is not None
    assert spec.loader is not None
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.helm
@pytest.mark.parametrize("path", [None, *EXAMPLES], ids=lambda path: path.stem if path else "defaults")
def test_lint_finds_nothing(path: Path | None) -> None:
    printed = run_helm("lint", "--strict", CHART, *(["--values", str(path)] if path else []))
    assert "0 chart(s) failed" in printed
    assert "[WARNING]" not in printed


@pytest.mark.helm
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_every_example_changes_what_is_rendered(path: Path) -> None:
    rendered = render(*OF_OTHERS, "--values", path)
    assert rendered.of("WorkflowTemplate").keys() > {"a360-sweep", "a360-publish", "a360-mirror"}
    assert rendered.one("ConfigMap", "a360-suites")["data"].keys() >= {"amber.yaml", "amber.lock"}
    assert path.read_text().startswith("# ")


def test_the_chart_has_the_version_of_the_package() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    package = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert chart["version"] == chart["appVersion"] == package == Settings().version


def test_the_examples_are_the_ones_that_people_ask_for() -> None:
    names = {path.name.removesuffix("-values.yaml") for path in EXAMPLES}
    assert names == {"minimal", "full", "kueue", "amd", "cache-claim", "workload-identity", "air-gapped"}
