"""lm-eval's tasks of a benchmark, and the hash of everything in them that determines numbers."""

import inspect
import re
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from functools import cache, cached_property, lru_cache, partial
from importlib import resources
from pathlib import Path

import lm_eval.tasks
from lm_eval.api.group import Group
from lm_eval.api.task import Task
from lm_eval.tasks import TaskManager

from a360.benchmarks import Benchmark
from a360.errors import ConfigError
from a360.identity import hash_value


@dataclass(frozen=True, kw_only=True)
class LoadedTasks:
    """What lm-eval built for one benchmark: its leaf tasks, and its groups with their children."""

    leaves: dict[str, Task]
    groups: dict[str, Group]

    @cached_property
    def hash(self) -> str:
        """``task_hash`` of the leaves, kept from the first call: evaluating writes shots into them."""
        return task_hash(self.leaves.values())


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
    """
    loaded = _task_manager(benchmark.folder).load([benchmark.task])
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
