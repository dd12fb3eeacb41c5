"""Modules, functions and argument lists stay short enough to read in one go."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MODULE_LINES = 400
JOB_LINES = 60
FUNCTION_LINES = 50
PARAMETERS = 6

Function = ast.FunctionDef | ast.AsyncFunctionDef


def sources() -> list[Path]:
    return sorted(path for top in ("a360", "jobs", "workflows") for path in (ROOT / top).rglob("*.py"))


def module_limit(path: Path) -> int:
    return JOB_LINES if path.parent == ROOT / "jobs" else MODULE_LINES


def code_lines(function: Function) -> int:
    """Lines from ``def`` to the end, the docstring not counted."""
    total = (function.end_lineno or function.lineno) - function.lineno + 1
    if ast.get_docstring(function) is None:
        return total
    text = function.body[0]
    return total - ((text.end_lineno or text.lineno) - text.lineno + 1)


def parameters(function: Function) -> int:
    """Parameters of any kind, without self and cls."""
    spec = function.args
    names = [argument.arg for argument in (*spec.posonlyargs, *spec.args, *spec.kwonlyargs)]
    names += [argument.arg for argument in (spec.vararg, spec.kwarg) if argument]
    return len(names) - (names[:1] in (["self"], ["cls"]))


def faults_of(name: str, source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, Function):
            if (lines := code_lines(node)) > FUNCTION_LINES:
                yield f"{name}:{node.lineno} {node.name} has {lines} lines"
            if (count := parameters(node)) > PARAMETERS:
                yield f"{name}:{node.lineno} {node.name} takes {count} parameters"


def test_modules_stay_below_the_cap() -> None:
    lengths = {path: len(path.read_text().splitlines()) for path in sources()}
    too_long = {str(path.relative_to(ROOT)): n for path, n in lengths.items() if n > module_limit(path)}
    assert lengths
    assert too_long == {}


def test_functions_stay_below_the_caps() -> None:
    assert [f for path in sources() for f in faults_of(str(path.relative_to(ROOT)), path.read_text())] == []


@pytest.mark.parametrize(("body", "faulty"), [(FUNCTION_LINES - 1, False), (FUNCTION_LINES, True)])
def test_a_long_function_is_seen(body: int, faulty: bool) -> None:
    source = 'def f():\n    """A text\n    of two lines."""\n' + "    x = 1\n" * body
    assert bool(list(faults_of("m", source))) == faulty


@pytest.mark.parametrize(
    ("signature", "faulty"),
    [
        ("a, b, c, d, e, f", False),
        ("self, a, b, c, d, e, f", False),
        ("a, b, c, d, e, f, g", True),
        ("a, /, b, *c, d, e, f, **g", True),
    ],
)
def test_a_long_argument_list_is_seen(signature: str, faulty: bool) -> None:
    assert bool(list(faults_of("m", f"class A:\n    async def f({signature}): ..."))) == faulty
