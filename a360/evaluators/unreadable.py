"""What ``datasets`` raises when rows cannot be loaded -> errors that name benchmark, data, file and row."""

import errno
import re
from pathlib import Path

from datasets.exceptions import DatasetsError
from lm_eval.api.task import ConfigurableTask

from a360.benchmarks import Benchmark
from a360.datasets.damage import find_damage
from a360.errors import DataError

UNREADABLE = (DatasetsError, ValueError, KeyError, TypeError, RuntimeError, OSError)
"""What ``datasets.load_dataset`` raises."""

_NO_FILES = re.compile(r"'(\w+)': (?:\(None,|\[\])|Instruction \"(\w+)\" corresponds to no data")
"""How datasets 5.2 says that no file has the name of a split's files: alone, beside others, by an index."""


def unreadable(benchmark: Benchmark, task: ConfigurableTask, error: Exception) -> Exception:
    """What to raise for an error of ``datasets``; the working directory is the mirror.

    An error with a number is the disk's and stays what it is.
    """
    causes: list[BaseException] = [error]
    while cause := causes[-1].__cause__ or causes[-1].__context__:
        causes.append(cause)
    if any(isinstance(each, OSError) and each.errno not in (None, errno.ENOENT) for each in causes):
        return error
    if split := _NO_FILES.search(str(error)):
        return missing_split(benchmark, task, split[1] or split[2])
    found = find_damage(Path(), benchmark.data)
    return DataError(
        f"rows cannot be read: benchmark {benchmark.id}, task {task.config.task}, data "
        f"{', '.join(benchmark.data)}: {found or _first_line(causes)}",
        hint="Mirror the data set again; a360 data verify compares the files with their manifest.",
    )


def missing_split(benchmark: Benchmark, task: ConfigurableTask, split: str) -> DataError:
    """The error for a split that is not there."""
    data = "/".join(filter(None, (task.DATASET_PATH, task.DATASET_NAME)))
    return DataError(
        f"split {split} of {data} is missing: benchmark {benchmark.id}, task {task.config.task}",
        hint="Mirror the data set again, with all its splits.",
    )


def _first_line(causes: list[BaseException]) -> str:
    """Of the error that datasets' own stands for, where it names one."""
    told = causes[1] if isinstance(causes[0], DatasetsError) and len(causes) > 1 else causes[0]
    text = str(told).strip()
    return f"{type(told).__name__}: {text.splitlines()[0] if text else 'no message'}"
