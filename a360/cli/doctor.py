"""``a360 doctor``: the checks, one line each as they come."""

from collections import Counter
from collections.abc import Iterator

import typer
from rich.text import Text

from a360.check import Check
from a360.cli.output import data, print_json, print_text
from a360.cli.progress import busy
from a360.doctor import check_installation, check_suite
from a360.errors import ConfigError
from a360.suite import load_suite

_STYLES = {"ok": "green", "warn": "yellow", "fail": "bold red"}


def show_checks(suite_name: str | None, *, as_json: bool) -> None:
    """Shows every check on stdout.

    Raises:
        ConfigError: the suite is not valid.
        typer.Exit: a check failed.
    """
    show_each(_checks(suite_name), as_json=as_json)


def show_each(checks: Iterator[Check], *, as_json: bool) -> None:
    """Shows checks on stdout as they come.

    Raises:
        typer.Exit: a check failed.
    """
    done = []
    while check := _next(checks):
        done.append(check)
        if not as_json:
            _show(check)
    counts = Counter(check.state for check in done)
    if as_json:
        documents = [{"name": c.name, "state": c.state, "found": c.found, "hint": c.hint} for c in done]
        print_json({"failed": counts["fail"], "checks": documents})
    else:
        print_text(f"{counts['ok']} ok, {counts['warn']} warnings, {counts['fail']} failed")
    if counts["fail"]:
        raise typer.Exit(ConfigError.exit_code)


def _checks(suite_name: str | None) -> Iterator[Check]:
    suite = load_suite(suite_name) if suite_name else None
    yield from check_installation(suite)
    if suite:
        yield from check_suite(suite)


def _next(checks: Iterator[Check]) -> Check | None:
    with busy("looking"):  # ends before the check is shown: the sign of life and the lines share a terminal
        return next(checks, None)


def _show(check: Check) -> None:
    line = Text.assemble((f"{check.state:<5}", _STYLES[check.state]), f"{check.name:<20}", check.found)
    data.print(line, soft_wrap=True)
    if check.hint:
        data.print(Text.assemble(" " * 5, ("hint", "cyan"), f": {check.hint}"), soft_wrap=True)
