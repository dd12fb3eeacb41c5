"""``a360 data``: the commands that fill, carry and check a mirror, with their options and their help."""

from enum import StrEnum
from pathlib import Path
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


class Kind(StrEnum):
    """The keys of a360/datasets/converters.py, which is not imported before a command needs it."""

    PILE = "pile"
    SBF = "sbf"
    DYNAHATE = "dynahate"
    BOLD = "bold"
    TOXIGEN_PROMPTS = "toxigen-prompts"
    TOXICITY_PROMPTS = "toxicity-prompts"
    MT_BENCH = "mt-bench"


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


@data_app.command(
    "convert",
    epilog=examples(
        "a360 data convert pile test.jsonl.zst mirror",
        "a360 data convert sbf SBIC.v2.trn.csv SBIC.v2.dev.csv SBIC.v2.tst.csv mirror",
        "a360 data convert mt-bench question.jsonl gpt-4.jsonl judge_prompts.jsonl mirror",
    ),
)
def convert(
    kind: Annotated[Kind, typer.Argument(metavar="KIND", help="What the files are.", show_default=False)],
    sources: Annotated[list[Path], typer.Argument(metavar="SOURCE…", help="Its files.", show_default=False)],
    target: Target,
) -> None:
    """Convert a data set that the hub serves as a script only.

    KIND is pile, sbf, dynahate, bold, toxigen-prompts, toxicity-prompts or mt-bench. Every row is checked;
    duplicates and contradictions are counted, not removed.
    """
    from a360.cli.data_sets import convert_files

    convert_files(kind.value, sources, target)


@data_app.command(
    "add", epilog=examples("a360 data add mirror ours/manuals manuals-1.jsonl.zst manuals-2.jsonl.zst")
)
def add(
    target: Target,
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="Their place in the mirror.", show_default=False)
    ],
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILES…", help=".jsonl, .jsonl.zst or .parquet.", show_default=False),
    ],
    text: Annotated[str, typer.Option(metavar="FIELD", help="The field of a row's text.")] = "text",
    group: Annotated[
        str | None,
        typer.Option(metavar="FIELD", help="The field of its group, if one is used.", show_default=False),
    ] = None,
) -> None:
    """Put texts of your own into a mirror, as they are.

    Every row is checked for a text. The section texts of a suite names them.
    """
    from a360.benchmarks import Texts
    from a360.cli.data_sets import add_files

    add_files(target, name, files, Texts(text=text, group=group))


@data_app.command(
    "long-eval",
    epilog=examples(
        "a360 data long-eval mirror", "a360 data long-eval mirror --lines 10,20,40 --topics none --seed 7"
    ),
)
def long_eval(
    target: Target,
    lines: Annotated[
        str, typer.Option(metavar="N,N,…", help="Lines of a case; none leaves them out.")
    ] = "10,20,40,60,80,100,200,300,400,500,600,680",
    topics: Annotated[
        str, typer.Option(metavar="N,N,…", help="Topics of a case; none leaves them out.")
    ] = "1,5,10,15,20,25,30",
    cases: Annotated[int, typer.Option(min=1, max=10_000, help="Cases of each length.")] = 50,
    seed: Annotated[int, typer.Option(help="Another one gives other cases.")] = 0,
) -> None:
    """Make the cases of LongEval in a mirror.

    Lines and topics that were there are replaced. What a model's context does not hold is not asked of it,
    and reported by its length.
    """
    from a360.cli.data_sets import make_long_eval

    make_long_eval(target, {"lines": lines, "topics": topics}, cases, seed)


@data_app.command(
    "draw",
    epilog=examples("a360 data draw mirror amber/sequences train_000.jsonl train_001.jsonl control.jsonl"),
)
def draw(
    target: Target,
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="Their place in the mirror.", show_default=False)
    ],
    chunks: Annotated[
        list[Path],
        typer.Argument(metavar="CHUNKS…", help="<name>_<number>.jsonl, control.jsonl.", show_default=False),
    ],
    sequences: Annotated[int, typer.Option(min=1, help="Sequences of each chunk.")] = 1000,
    seed: Annotated[int, typer.Option(help="Another one draws others.")] = 0,
) -> None:
    """Draw training sequences of a model into a mirror, for memorization.

    A chunk is a file of lines with token_ids and source, in the order of training. Chunks that are there
    stay, so each can be drawn when it is at hand. The section memorization of a suite names them.
    """
    from a360.cli.data_sets import draw_chunks

    draw_chunks(target, name, chunks, sequences, seed)


@data_app.command(
    "bundle", epilog=examples("a360 data bundle s3://results/mirror amber.tar.zst --suite amber.yaml")
)
def bundle(
    target: Target,
    archive: Annotated[
        Path, typer.Argument(metavar="ARCHIVE", help="Ends in .tar or .tar.zst.", show_default=False)
    ],
    suite: SuiteOption = None,
) -> None:
    """Write a mirror, or what a suite needs of it, as one archive.

    For clusters without a network. The same mirror gives the same archive.
    """
    from a360.cli.data_sets import bundle_mirror

    bundle_mirror(target, archive, suite)


@data_app.command("unbundle", epilog=examples("a360 data unbundle amber.tar.zst s3://results/mirror"))
def unbundle(
    archive: Annotated[
        Path, typer.Argument(metavar="ARCHIVE", help="What bundle wrote.", show_default=False)
    ],
    target: Target,
) -> None:
    """Unpack an archive into a new mirror, every byte checked."""
    from a360.cli.data_sets import unbundle_mirror

    unbundle_mirror(archive, target)


@data_app.command("verify", epilog=examples("a360 data verify mirror"))
def verify(target: Target) -> None:
    """Read every file of a mirror and name each defect.

    Ends with 3 when there is one.
    """
    from a360.cli.data_sets import verify_files

    verify_files(target)
