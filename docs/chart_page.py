"""Writes the table of values into the chart's README: ``python docs/chart_page.py [--check]``.

A value's description is the comment above it that starts with ``# --``. A value without one is an error,
so every value of the chart is described. ``--check`` writes nothing and ends with 1 when the page is stale.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import yaml

CHART = Path(__file__).resolve().parents[1] / "helm" / "a360"
BEGIN = "<!-- The table is written by `make chart` from values.yaml. -->"
END = "<!-- End of the table. -->"
TYPES = {dict: "map", list: "list", str: "text", bool: "true or false", int: "number", float: "number"}


class Value(NamedTuple):
    """One row of the table."""

    path: str
    default: object
    description: str


class UndescribedError(Exception):
    """A value that has no ``# --`` above it."""


def values_in(text: str) -> list[Value]:
    """Every described value of a values.yaml, in its order.

    Raises:
        UndescribedError: a value, or a map that is not only a heading, has no description.
    """
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    if not isinstance(root, yaml.MappingNode):
        raise UndescribedError("the whole file")
    return list(_walk(root, "", text.splitlines()))


def _walk(node: yaml.MappingNode, above: str, lines: list[str]) -> Iterator[Value]:
    for key, value in node.value:
        path = f"{above}.{key.value}" if above else key.value
        description = _comment_above(lines, key.start_mark.line)
        if description:
            yield Value(path, yaml.safe_load(yaml.serialize(value)), description)
        elif isinstance(value, yaml.MappingNode) and value.value and not value.flow_style:
            yield from _walk(value, path, lines)
        else:
            raise UndescribedError(path)


def _comment_above(lines: list[str], line: int) -> str:
    """The text of the comment directly above a line, from its last ``# --`` on; empty without one."""
    block: list[str] = []
    while line > 0 and (text := lines[line - 1].strip()).startswith("#"):
        block.insert(0, text.removeprefix("#").strip())
        line -= 1
    starts = [number for number, text in enumerate(block) if text.startswith("-- ")]
    return " ".join(block[starts[-1] :]).removeprefix("-- ") if starts else ""


def table(values: list[Value]) -> str:
    """The rows as a Markdown table."""
    head = "| value | type | default | |\n|---|---|---|---|\n"
    return head + "".join(
        f"| `{value.path}` | {TYPES[type(value.default)]} | {_cell(value.default)} | "
        f"{value.description.replace('|', chr(92) + '|')} |\n"
        for value in values
    )


def _cell(default: object) -> str:
    return f"`{json.dumps(default, ensure_ascii=False)}`".replace("|", "\\|")


def page(readme: str, values: str) -> str:
    """The README with the table of these values between its two marks."""
    before, _, rest = readme.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{table(values_in(values))}\n{END}{after}"


def main(arguments: list[str]) -> int:
    """Exit code 0, or 1 for a stale page."""
    readme = CHART / "README.md"
    current = readme.read_text()
    wanted = page(current, (CHART / "values.yaml").read_text())
    if arguments == ["--check"]:
        if current != wanted:
            print("helm/a360/README.md is stale: run `make chart`", file=sys.stderr)
        return int(current != wanted)
    readme.write_text(wanted)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
