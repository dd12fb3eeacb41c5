"""The options that say which cluster a command means, added to a command by a decorator."""

import functools
import inspect
from collections.abc import Callable
from typing import Annotated

import typer

from a360.cluster.place import Place

PANEL = "Which cluster"

_OPTIONS = {
    "namespace": Annotated[
        str | None,
        typer.Option(
            "--namespace",
            "-n",
            help="Where a360 is installed, by default the context's.",
            rich_help_panel=PANEL,
            show_default=False,
        ),
    ],
    "context": Annotated[
        str | None,
        typer.Option(
            "--context",
            help="Of the kubeconfig, by default the current one.",
            rich_help_panel=PANEL,
            show_default=False,
        ),
    ],
    "kubeconfig": Annotated[
        str | None,
        typer.Option(
            "--kubeconfig",
            envvar="KUBECONFIG",
            metavar="PATH",
            help="By default ~/.kube/config.",
            rich_help_panel=PANEL,
            show_default=False,
        ),
    ],
}


def at_place(command: Callable[..., None]) -> Callable[..., None]:
    """The command with ``--namespace``, ``--context`` and ``--kubeconfig`` for its parameter ``place``."""
    signature = inspect.signature(command, eval_str=True)
    own = [parameter for name, parameter in signature.parameters.items() if name != "place"]
    added = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)
        for name, annotation in _OPTIONS.items()
    ]

    @functools.wraps(command)
    def with_options(**values: object) -> None:
        place = Place(**{name: values.pop(name) for name in _OPTIONS})  # type: ignore[arg-type]
        command(**values, place=place)

    with_options.__annotations__ = {p.name: p.annotation for p in (*own, *added)}
    with_options.__dict__["__signature__"] = signature.replace(
        parameters=[*(p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own), *added]
    )
    return with_options
