"""``a360 data``: the commands that fill, carry and check a mirror, with their options and their help."""

from typing import Annotated

import typer

from a360.cli.epilog import examples

data_app = typer.Typer(no_args_is_help=True, rich_markup_mode="rich")

Target = Annotated[
    str, typer.Argument(metavar="TARGET", help="The mirror: a directory or s3://….", show_default=False)
]
SuiteOption = Annotated[
    str | None,
    typer.Option("--suite", help="The data of a suite's benchmarks.", metavar="SUITE", show_default=False),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document to stdout.")]


@data_app.callback()
def _data() -> None:
    """Keep benchmark data in a mirror, so that evaluation needs no network."""


@data_app.command(
    "mirror",
    epilog=examples(
        "a360 data mirror mirror --suite amber.yaml",
        "a360 data mirror s3://results/mirror --benchmark mmlu-5shot --benchmark boolq",
    ),
)
def mirror(
    target: Target,
    suite: SuiteOption = None,
    benchmark: Annotated[
        list[str] | None, typer.Option(metavar="ID", help="The data of a benchmark.", show_default=False)
    ] = None,
    repository: Annotated[
        list[str] | None,
        typer.Option(
            metavar="OWNER/NAME[/FOLDER]", help="A repository, or a folder of it.", show_default=False
        ),
    ] = None,
    revision: Annotated[
        list[str] | None,
        typer.Option(
            metavar="OWNER/NAME=SHA", help="The commit to take, not the newest.", show_default=False
        ),
    ] = None,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Files at a time.")] = 4,
) -> None:
    """Bring data sets of the hub into a mirror.

    Calling it again continues where it stopped and keeps what is there. HF_TOKEN opens gated
    data, HF_ENDPOINT names another hub.
    """
    from a360.cli.data_sets import Choice, mirror_data

    choice = Choice(suite=suite, benchmarks=tuple(benchmark or ()), repositories=tuple(repository or ()))
    mirror_data(target, choice, revision or [], workers)
