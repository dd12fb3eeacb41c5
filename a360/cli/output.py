"""What the terminal shows: data on stdout, everything else on stderr.

Where stdout is no terminal nothing is wrapped or cut, so that lines can be searched.
"""

import json
import logging
import os
import sys
import traceback
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from a360.errors import A360Error

_PIPE_COLUMNS = 10_000


def _width(is_terminal: bool) -> int | None:
    return None if is_terminal or "COLUMNS" in os.environ else _PIPE_COLUMNS


data = Console(highlight=False, width=_width(sys.stdout.isatty()))
notes = Console(stderr=True, highlight=False, width=_width(sys.stderr.isatty()))


def print_json(value: object) -> None:
    """One document on stdout."""
    data.file.write(json.dumps(value, indent=2) + "\n")


def print_text(text: str) -> None:
    """A text on stdout as it is: no markup, no wrapping."""
    data.print(text, markup=False, soft_wrap=True)


def print_title(text: str) -> None:
    """A heading of what follows on stdout."""
    data.print()
    data.print(Text(text, style="bold"), soft_wrap=True)


def print_table(
    columns: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: Iterable[str] = ()
) -> None:
    """A table on stdout; columns named in ``numbers`` are aligned to the right.

    Only the last column is broken into lines where the terminal is narrow: the others are names.
    """
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="dim")
    for column in columns:
        table.add_column(
            column,
            justify="right" if column in numbers else "left",
            overflow="fold",
            no_wrap=column != columns[-1],
        )
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    if data.is_terminal:
        data.print(table)
        return
    with data.capture() as printed:  # rich fills every line up to the table's width
        data.print(table)
    data.file.write("".join(f"{line.rstrip()}\n" for line in printed.get().splitlines()))


def note(text: str) -> None:
    """A line about what is going on, on stderr."""
    _say(Text(text))


def show_error(error: A360Error) -> None:
    """The error's message and hint on stderr; with ``--debug`` its traceback before them."""
    if _debugging():
        traceback.print_exception(error)
    _say(Text.assemble((type(error).__name__, "bold red"), f": {error.message}"))
    if error.hint:
        _say(Text.assemble(("hint", "bold cyan"), f": {error.hint}"))


def show_unexpected(error: Exception) -> None:
    """One line about an error that nobody foresaw; with ``--debug`` its traceback."""
    if _debugging():
        traceback.print_exception(error)
        return
    first = next(iter(str(error).splitlines()), "")
    _say(Text.assemble((type(error).__name__, "bold red"), f": {first}"))
    _say(Text.assemble(("hint", "bold cyan"), ": this is a fault of a360; a360 --debug … shows where"))


def _say(text: Text) -> None:
    # A terminal would break a line within a word; a log must not be broken at all.
    notes.print(text, soft_wrap=not notes.is_terminal)


def _debugging() -> bool:
    return logging.getLogger("a360").isEnabledFor(logging.DEBUG)
