"""The commands for a cluster: submit, watch, stop, retry, logs. Merged into ``a360`` itself."""

from typing import Annotated

import typer

from a360.cli.epilog import examples
from a360.cli.place import at_place
from a360.cluster.place import Place

cluster_app = typer.Typer()

PANEL = "Evaluate on a cluster"

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document to stdout.")]
ClusterSuite = Annotated[
    str,
    typer.Argument(metavar="SUITE", help="Name of a suite that the chart installed.", show_default=False),
]
SweepName = Annotated[
    str,
    typer.Argument(
        metavar="SWEEP", help="Name of a sweep, or of a suite: its newest sweep.", show_default=False
    ),
]
Name = Annotated[
    str | None,
    typer.Option(
        help="Of the new sweep: at most 40 of a-z, 0-9 and -; by default the suite's and five more.",
        show_default=False,
    ),
]
Priority = Annotated[
    int | None,
    typer.Option(help="Of the new sweep in Argo's queues; higher goes first.", show_default=False),
]


@cluster_app.command(
    rich_help_panel=PANEL, epilog=examples("a360 submit amber", "a360 submit amber --name amber-nightly")
)
@at_place
def submit(
    suite: ClusterSuite,
    place: Place,
    name: Name = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Try pairs again that failed before with the same image.")
    ] = False,
    priority: Priority = None,
    json: AsJson = False,
) -> None:
    """Start a sweep: evaluate on the cluster what is missing.

    Everything that it needs is checked before the first pod is made; ends with 2 when something is missing.
    """
    from a360.cli.submit import submit_suite
    from a360.cluster.sweeps import Submission

    submission = Submission(suite=suite, name=name, retry_failed=retry_failed, priority=priority)
    submit_suite(place, submission, as_json=json)


@cluster_app.command(
    rich_help_panel=PANEL, epilog=examples("a360 watch amber", "a360 watch amber-x7k2p --json")
)
@at_place
def watch(
    sweep: SweepName,
    place: Place,
    interval: Annotated[float, typer.Option(min=0.1, help="Seconds between two looks.")] = 10.0,
    json: AsJson = False,
) -> None:
    """Show a sweep until it ends.

    Ends with 0 when every pair is done, 3 when some are not. Interrupting it changes nothing in the cluster.
    """
    from a360.cli.live import watch_sweep

    watch_sweep(place, sweep, interval_seconds=interval, as_json=json)


@cluster_app.command(rich_help_panel=PANEL, epilog=examples("a360 stop amber", "a360 stop amber --terminate"))
@at_place
def stop(
    sweep: SweepName,
    place: Place,
    terminate: Annotated[
        bool, typer.Option("--terminate", help="End it at once; nothing is published at its end.")
    ] = False,
    json: AsJson = False,
) -> None:
    """Stop a sweep and the workflows of all its checkpoints.

    What is committed stays, and what pods have answered is in the journal: the next sweep continues there.
    """
    from a360.cli.submit import stop_named

    stop_named(place, sweep, terminate=terminate, as_json=json)


@cluster_app.command(rich_help_panel=PANEL, epilog=examples("a360 retry amber"))
@at_place
def retry(
    sweep: SweepName, place: Place, name: Name = None, priority: Priority = None, json: AsJson = False
) -> None:
    """Start a new sweep of the same suite, failed pairs included.

    The same as `a360 submit SUITE --retry-failed`: a sweep plans again, and runs what is missing.
    """
    from a360.cli.submit import retry_named

    retry_named(place, sweep, name=name, priority=priority, as_json=json)


@cluster_app.command(
    rich_help_panel=PANEL,
    epilog=examples("a360 logs amber --pair ckpt_041/boolq --follow", "a360 logs amber --stage plan"),
)
@at_place
def logs(
    sweep: SweepName,
    place: Place,
    pair: Annotated[
        str | None,
        typer.Option(
            metavar="CHECKPOINT[/BENCHMARK]",
            help="Pods of one checkpoint, or of one pair.",
            show_default=False,
        ),
    ] = None,
    stage: Annotated[
        str | None,
        typer.Option(help="Pods of one stage: plan, evaluate, grade, publish.", show_default=False),
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on until the sweep ends, new pods included.")
    ] = False,
    tail: Annotated[
        int | None, typer.Option(min=0, help="Lines of each pod, the last ones.", show_default=False)
    ] = None,
) -> None:
    """Print what the pods of a sweep write.

    Pods that succeeded are deleted after a while, and their logs with them.
    """
    from a360.cli.logs import Output, print_logs

    print_logs(place, sweep, pair, Output(stage=stage, follow=follow, tail=tail))
