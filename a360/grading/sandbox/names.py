"""Which names of a benchmark's own tests mean the candidate. Pure; never looks at the candidate."""

import ast
import builtins
import sys


def remote_names(tests: str) -> tuple[str, ...]:
    """The names that tests use and do not define, sorted; modules of the standard library are not among them.

    Where there is none, the tests ask for something that is called like a built-in function: it is the name
    whose call the first assertion looks at. A candidate cannot choose: who redefines ``all`` gains nothing.

    Raises:
        SyntaxError: the tests are no Python.
    """
    tree = ast.parse(tests)
    loaded = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
    free = loaded - _bound(tree) - set(dir(builtins)) - set(sys.stdlib_module_names)
    return tuple(sorted(free)) or _asserted(tree)


def missing_modules(tests: str) -> tuple[str, ...]:
    """Modules of the standard library that tests name and do not import; never the candidate's."""
    tree = ast.parse(tests)
    loaded = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
    free = loaded - _bound(tree) - set(dir(builtins))
    return tuple(sorted(free & set(sys.stdlib_module_names)))


def _bound(tree: ast.AST) -> set[str]:
    """Every name that is given a value anywhere in the tests."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            found.add(node.id)
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.arg):
            found.add(node.arg)
        elif isinstance(node, ast.alias):
            found.add((node.asname or node.name).split(".")[0])
        elif isinstance(node, ast.ExceptHandler) and node.name:
            found.add(node.name)
    return found


def _asserted(tree: ast.Module) -> tuple[str, ...]:
    for statement in tree.body:
        if not isinstance(statement, ast.Assert):
            continue
        test = statement.test
        tested = test.left if isinstance(test, ast.Compare) else test
        if isinstance(tested, ast.Call) and isinstance(tested.func, ast.Name):
            return (tested.func.id,)
    return ()
