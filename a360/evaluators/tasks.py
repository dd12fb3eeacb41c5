"""lm-eval's tasks of a benchmark, and the hash of everything in them that determines numbers."""

import inspect
import math
import re
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from functools import cache, cached_property, lru_cache, partial
from importlib import resources
from pathlib import Path
from typing import cast

import lm_eval.tasks
import lm_eval.utils
from lm_eval.api.group import Group
from lm_eval.api.metrics import weighted_perplexity
from lm_eval.api.task import ConfigurableTask, Task
from lm_eval.tasks import TaskManager

from a360.benchmarks import Benchmark
from a360.errors import ConfigError
from a360.evaluators.repositories import repositories_read_once
from a360.evaluators.rows import verify_answers, verify_rows
from a360.evaluators.unreadable import UNREADABLE, unreadable
from a360.identity import hash_value

lm_eval.utils.env.from_string = lru_cache(maxsize=None)(lm_eval.utils.env.from_string)
"""lm-eval compiles a template anew for every row, a hundred times as long as it takes to fill it in."""


@dataclass(frozen=True, kw_only=True)
class LoadedTasks:
    """What lm-eval built for one benchmark: its leaf tasks, and its groups with their children."""

    leaves: dict[str, Task]
    groups: dict[str, Group]

    @cached_property
    def hash(self) -> str:
        """``task_hash`` of the leaves, kept from the first call: evaluating writes shots into them."""
        return task_hash(self.leaves.values())


class VerifiedTask(ConfigurableTask):  # type: ignore[misc]  # lm-eval is untyped
    """lm-eval's task that looks at its rows once they are loaded, before lm-eval trips over the first."""

    prompt = None  # what lm-eval sets later

    def __init__(self, config: dict[str, object]) -> None:
        own = {"class", "benchmark"}
        self._benchmark = cast(Benchmark, config["benchmark"])
        super().__init__(config={name: value for name, value in config.items() if name not in own})
        verify_answers(self._benchmark, self)
        self.aggregation().update(
            {
                name: _bounded
                for name, aggregate in self.aggregation().items()
                if aggregate is weighted_perplexity
            }
        )

    def download(self, dataset_kwargs: dict[str, object] | None = None, **kwargs: object) -> None:
        """Loads the rows.

        Raises:
            DataError: they cannot be loaded, or do not fit the task.
        """
        try:
            super().download(dataset_kwargs, **kwargs)
        except UNREADABLE as error:
            raise unreadable(self._benchmark, self, error) from error
        verify_rows(self._benchmark, self)


def _bounded(items: list[tuple[float, float]]) -> float:
    """lm-eval's perplexity of (log-likelihood, weight); infinite where it exceeds the largest float."""
    try:
        return float(weighted_perplexity(items))
    except OverflowError:
        return math.inf


@cache
def _task_manager(folder: str | None) -> TaskManager:
    """The tasks of one folder and a360's own. All of lm-eval's 14,000 files would cost every pod seconds."""
    roots = [str(resources.files("a360.benchmarks") / "tasks")]
    roots += [str(Path(lm_eval.tasks.__file__).parent / folder)] if folder else []
    return TaskManager(include_defaults=False, include_path=roots)


@lru_cache(maxsize=64)
def load_tasks(benchmark: Benchmark) -> LoadedTasks:
    """The tasks of a benchmark, with their data loaded from the working directory, once per process.

    Keyed by benchmark, not by task: lm-eval writes the number of shots into the task.

    Raises:
        DataError: the data cannot be loaded, or a row does not fit its task.
    """
    manager = _task_manager(benchmark.folder)
    own = {"class": VerifiedTask, "benchmark": benchmark}
    with repositories_read_once():
        built = manager._factory.build(manager._index[benchmark.task], overrides=own, registry=manager._index)
    loaded = manager.load([built])
    return LoadedTasks(leaves=loaded["tasks"], groups=loaded["groups"])


def task_hash(leaves: Iterable[Task]) -> str:
    """Hash of the resolved configuration of leaf tasks, with the sources of the modules of their functions.

    A task's whole module is hashed because its function calls its neighbours (wikitext's detokeniser); of
    lm-eval's own modules only the function is, so that a change beside it moves nothing.
    """
    return hash_value({task.config.task: canonical_config(task) for task in leaves})


def canonical_config(task: Task) -> object:
    """The resolved configuration of a task as a JSON value that is the same on every machine."""
    config = asdict(task.config)
    # Where the YAML file lies; what it says is in the configuration itself.
    config["metadata"] = {k: v for k, v in (config["metadata"] or {}).items() if k != "config_source"}
    return _canonical(config)


def verify_lock(benchmark: Benchmark, tasks: LoadedTasks, expected: str) -> None:
    """Compares the tasks that lm-eval built here with the locked ones.

    Raises:
        ConfigError: they differ.
    """
    if tasks.hash != expected:
        raise ConfigError(
            f"lock mismatch: benchmark {benchmark.id}: task {benchmark.task!r} resolves to {tasks.hash} "
            f"here, the plan expects {expected}",
            hint="Use the pinned lm-eval of constraints.txt; after a deliberate change: make lock.",
        )


def _canonical(value: object) -> object:
    """A JSON value in which functions are their sources and memory addresses do not occur."""
    if isinstance(value, dict):
        return {str(key): _canonical(item) for key, item in sorted(value.items(), key=lambda kv: str(kv[0]))}
    if isinstance(value, list | tuple):
        return [_canonical(item) for item in value]
    if isinstance(value, partial):
        return {"partial": _canonical(value.func), "args": _canonical([value.args, value.keywords])}
    if callable(value):
        return _source(value)
    if value is None or isinstance(value, str | int | float | bool):
        return value
    raise TypeError(f"task configuration holds a {type(value).__name__}: expected JSON values and functions")


def _source(function: Callable[..., object]) -> dict[str, str]:
    module = inspect.getmodule(function)
    own_module = module is not None and (
        module.__name__.startswith("lm_eval.tasks") or module.__name__.partition(".")[0] != "lm_eval"
    )
    source = inspect.getsource(module if own_module and module else function)
    name = getattr(function, "__name__", type(function).__name__)
    return {"function": name, "source": re.sub(r"[ \t]+\n", "\n", source)}
