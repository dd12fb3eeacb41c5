"""The catalogue of benchmarks: rows, the lock of what they resolve to, and nothing that computes."""

from a360.benchmarks.benchmark import Benchmark, Classifier, Headline, Macro
from a360.benchmarks.catalogue import CATALOGUE, UnknownBenchmarkError, find_benchmark
from a360.benchmarks.conversations import Conversations
from a360.benchmarks.lock import load_lock, locked_grader_hash, locked_task_hash
from a360.benchmarks.memorization import Memorization
from a360.benchmarks.prompts import Decoding, Prompts
from a360.benchmarks.texts import GroupSubset, Texts

__all__ = [
    "CATALOGUE",
    "Benchmark",
    "Classifier",
    "Conversations",
    "Decoding",
    "GroupSubset",
    "Headline",
    "Macro",
    "Memorization",
    "Prompts",
    "Texts",
    "UnknownBenchmarkError",
    "find_benchmark",
    "load_lock",
    "locked_grader_hash",
    "locked_task_hash",
]
