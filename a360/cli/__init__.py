"""The command line: every command with its options and its help, and nothing that computes.

A command imports the module that carries it out when it is called, so that ``a360 --help`` answers at once.
Data goes to stdout; progress, logs and errors go to stderr.
"""

import logging
import sys
from pathlib import Path
from typing import Annotated

import typer

from a360.cli.cluster import cluster_app
from a360.cli.data import data_app
from a360.cli.epilog import examples
from a360.cli.place import at_place
from a360.cluster.place import Place
from a360.errors import A360Error

app = typer.Typer(
    name="a360",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
suites_app = typer.Typer(rich_markup_mode="rich")

SuiteName = Annotated[
    str,
    typer.Argument(metavar="SUITE", help="A YAML file, or the name of a shipped suite.", show_default=False),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document to stdout.")]
Workers = Annotated[
    int | None,
    typer.Option(min=1, help="Worker processes; by default what the suite says.", show_default=False),
]
RetryFailed = Annotated[
    bool, typer.Option("--retry-failed", help="Try pairs again that failed before in this environment.")
]

USE, LOOK, STAGES = "Evaluate a training run", "Look", "Single stages"

app.add_typer(suites_app, name="suites", rich_help_panel=LOOK)
app.add_typer(data_app, name="data", rich_help_panel=USE)
app.add_typer(cluster_app)


def main() -> None:
    """Runs the command line; a user's mistake ends with its exit code and without a traceback."""
    try:
        app()
    except A360Error as error:
        from a360.cli.output import show_error

        show_error(error)
        sys.exit(error.exit_code)
    except Exception as error:  # the boundary of the process: one line, and how to see the rest
        from a360.cli.output import show_unexpected

        show_unexpected(error)
        sys.exit(1)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib import metadata

        try:
            typer.echo(f"a360 {metadata.version('a360')}")
        except metadata.PackageNotFoundError:
            typer.echo("a360, not installed: run from its sources")
        raise typer.Exit


@app.callback(
    epilog=examples("a360 demo", "a360 plan amber.yaml", "a360 run amber.yaml", "a360 status amber.yaml")
)
def _global_options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", envvar="A360_DEBUG", help="Log everything, and show tracebacks.")
    ] = False,
) -> None:
    """Evaluate every checkpoint of a training run and publish how each ability grew."""
    logging.basicConfig(stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s")
    if debug:
        logging.getLogger("a360").setLevel(logging.DEBUG)


@app.command(rich_help_panel=USE, epilog=examples("a360 demo", "a360 demo --dir build/short --checkpoints 3"))
def demo(
    directory: Annotated[Path, typer.Option("--dir", help="Where everything of the demo goes.")] = Path(
        "build/demo"
    ),
    checkpoints: Annotated[
        int | None,
        typer.Option(
            min=2,
            max=30,
            help="Save so many checkpoints, by default 12; below 10 the training run is short.",
            show_default=False,
        ),
    ] = None,
    workers: Workers = None,
) -> None:
    """Train a small model, evaluate its checkpoints, publish the report.

    All on this machine, without accelerator and network. A second call finds nothing to do.
    """
    from a360.cli.demo import run_demo

    run_demo(directory, checkpoints, workers)


@app.command(
    rich_help_panel=USE, epilog=examples("a360 run amber.yaml", "a360 run amber.yaml --workers 4 --json")
)
def run(
    suite: SuiteName, workers: Workers = None, retry_failed: RetryFailed = False, json: AsJson = False
) -> None:
    """Evaluate what is missing, then publish.

    Calling it again continues where it stopped. Ends with 0 when every pair is done,
    3 when some are not, 75 when trying again may help.
    """
    from a360.cli.sweeps import run_suite
    from a360.suite import load_suite

    run_suite(load_suite(suite), suite, workers=workers, retry_failed=retry_failed, as_json=json)


@app.command(rich_help_panel=LOOK, epilog=examples("a360 plan amber.yaml", "a360 plan amber.yaml --json"))
def plan(suite: SuiteName, retry_failed: RetryFailed = False, json: AsJson = False) -> None:
    """Show what would run and what is left out.

    Stores the plan and evaluates nothing.
    """
    from a360.cli.sweeps import show_plan
    from a360.suite import load_suite

    show_plan(load_suite(suite), retry_failed=retry_failed, as_json=json)


@app.command(rich_help_panel=LOOK, epilog=examples("a360 status amber.yaml", "a360 status amber --cluster"))
@at_place
def status(
    suite: SuiteName,
    place: Place,
    cluster: Annotated[
        bool,
        typer.Option(
            "--cluster",
            help="Show its sweeps on the cluster as well; SUITE may be one that the chart installed.",
        ),
    ] = False,
    json: AsJson = False,
) -> None:
    """Show what is done, and why the rest is not."""
    if cluster:
        from a360.cli.cluster_status import show_cluster_status

        show_cluster_status(place, suite, as_json=json)
        return
    from a360.cli.sweeps import show_status
    from a360.suite import load_suite

    place.require_cluster()
    show_status(load_suite(suite), suite, as_json=json)


@app.command(rich_help_panel=LOOK, epilog=examples("a360 checkpoints amber.yaml"))
def checkpoints(suite: SuiteName, json: AsJson = False) -> None:
    """List complete checkpoints, and what is wrong with others."""
    from a360.cli.checkpoints import list_checkpoints
    from a360.suite import load_suite

    list_checkpoints(load_suite(suite), as_json=json)


@app.command(
    rich_help_panel=LOOK,
    epilog=examples("a360 doctor", "a360 doctor amber.yaml", "a360 doctor amber --cluster --probe"),
)
@at_place
def doctor(
    place: Place,
    suite: Annotated[
        str | None, typer.Argument(metavar="[SUITE]", help="A YAML file, or the name of a shipped suite.")
    ] = None,
    cluster: Annotated[
        bool,
        typer.Option(
            "--cluster",
            help="Check a cluster and what the chart installed there; SUITE may be one of its suites.",
        ),
    ] = False,
    probe: Annotated[
        bool, typer.Option("--probe", help="Start one pod there like an evaluate pod: image, store, GPU.")
    ] = False,
    timeout: Annotated[float, typer.Option(min=1, help="Seconds that --probe waits for its pod.")] = 600.0,
    json: AsJson = False,
) -> None:
    """Check this installation, and what a suite needs.

    With a suite: store, checkpoints, data, cache and device. With --cluster: Argo, permissions, templates,
    secrets, accounts, GPUs. Ends with 2 when a check fails.
    """
    if cluster:
        from a360.cli.cluster_doctor import show_cluster_checks

        show_cluster_checks(place, suite, probe_seconds=timeout if probe else None, as_json=json)
        return
    from a360.cli.doctor import show_checks

    place.require_cluster(probe=probe)
    show_checks(suite, as_json=json)


@app.command(rich_help_panel=STAGES, epilog=examples("a360 report amber.yaml"))
def report(suite: SuiteName, json: AsJson = False) -> None:
    """Rebuild the report from what is stored."""
    from a360.cli.sweeps import publish_suite
    from a360.suite import load_suite

    publish_suite(load_suite(suite), wandb=False, as_json=json)


@app.command(rich_help_panel=STAGES, epilog=examples("a360 publish amber.yaml"))
def publish(suite: SuiteName, json: AsJson = False) -> None:
    """Rebuild the report and the W&B runs."""
    from a360.cli.sweeps import publish_suite
    from a360.suite import load_suite

    publish_suite(load_suite(suite), wandb=True, as_json=json)


@app.command(
    rich_help_panel=STAGES,
    epilog=examples("a360 evaluate amber.yaml --plan 3f6538dca86f5b3d --pair ckpt_041/boolq"),
)
def evaluate(
    suite: SuiteName,
    plan: Annotated[
        str, typer.Option(help="Id of a stored plan; `a360 plan` prints it.", show_default=False)
    ],
    pair: Annotated[
        list[str],
        typer.Option(metavar="CHECKPOINT/BENCHMARK", help="May be given several times, for one checkpoint."),
    ],
) -> None:
    """Evaluate pairs of a stored plan, as a pod does."""
    from a360.cli.sweeps import evaluate_pairs
    from a360.suite import load_suite

    evaluate_pairs(load_suite(suite), plan, pair)


@suites_app.callback(invoke_without_command=True)
def _suites(context: typer.Context) -> None:
    """List suites and benchmarks, show a suite and its schema."""
    if context.invoked_subcommand is None:
        list_suites()


@suites_app.command("list")
def list_suites() -> None:
    """List the suites that ship with a360."""
    from a360.cli.suites import print_suites

    print_suites()


@suites_app.command("show", epilog=examples("a360 suites show demo > my.yaml"))
def show_suite(name: Annotated[str, typer.Argument(metavar="NAME", show_default=False)]) -> None:
    """Print the YAML of a shipped suite, to start your own from."""
    from a360.cli.suites import print_suite

    print_suite(name)


@suites_app.command("schema", epilog=examples("a360 suites schema > suite.schema.json"))
def show_schema() -> None:
    """Print the JSON Schema of a suite, for an editor."""
    from a360.cli.suites import print_schema

    print_schema()


@suites_app.command("benchmarks")
def list_benchmarks(json: AsJson = False) -> None:
    """List the benchmarks that a suite can name."""
    from a360.cli.suites import print_benchmarks

    print_benchmarks(as_json=json)
