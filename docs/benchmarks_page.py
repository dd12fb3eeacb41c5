"""Prints docs/reference/benchmarks.md from the catalogue: ``python docs/benchmarks_page.py``."""

from a360.benchmarks import CATALOGUE, Benchmark
from a360.benchmarks.averages import AVERAGES

HEAD = """# Benchmarks

Written by `make docs` from [the catalogue](../../a360/benchmarks/catalogue.py). Every benchmark has a
twin with `demo-` before its id, on rows written for this project. Its score is proven there: the named
test compares every document of the twin with another program.

| benchmark | id | data in the mirror | shots | headline | evaluator | proof |
|---|---|---|---|---|---|---|"""

TAIL = """
`macro` is the unweighted mean over tasks, `micro` that over all documents of a group; a target is what
the headline should come to where neither higher nor lower is better. Gated data needs a token of the
hub whose owner has accepted its conditions.

## Averages

A report shows an average when the suite names all its parts: the unweighted mean of their headlines, at
every checkpoint that has all of them. Proof: [a plain script](../../tests/integration/test_own_variants.py),
and [the mean](../../tests/integration/test_equality.py) of what lm_eval's command line reports.

| average | id | parts |
|---|---|---|
{averages}

## Not there yet

Of the original evaluations these are not there yet: MBPP as lm-eval asks it, and MultiPL-E.
Memorization and token order have no row here: their data is a model's own
([how to draw it](../guides/data.md)), proven by
[a plain loop](../../tests/integration/test_memorization.py)."""

TESTS = "../../tests/integration"
COMMAND_LINE = f"[lm_eval's command line]({TESTS}/test_equality.py)"
PLAIN = f"[a plain script]({TESTS}/{{test}})"
SAMPLE = "pile-10k"
"""Of the perplexity evaluator's rows the one that is a task of lm_eval too."""


def page() -> str:
    """The page's text."""
    rows = [_row(row) for row in CATALOGUE.values() if not row.stand_in]
    averages = [
        f"| {average.title} | `{average.id}` | {', '.join(f'`{part}`' for part in average.parts)} |"
        for average in AVERAGES
        if not average.id.startswith("demo-")
    ]
    return "\n".join([HEAD, *rows, TAIL.format(averages="\n".join(averages))]) + "\n"


def _row(row: Benchmark) -> str:
    data = ", ".join(f"`{name}`" for name in row.data) + (" (gated)" if row.gated else "")
    shots = "-" if row.shots is None else str(row.shots)
    cells = [row.title, f"`{row.id}`", data, shots, _headline(row), row.evaluator, _proof(row)]
    return f"| {' | '.join(cells)} |"


def _headline(row: Benchmark) -> str:
    wanted = row.headline
    words = [wanted.metric]
    words += [wanted.filter] if wanted.filter != "none" else []
    words += [wanted.aggregation] if wanted.aggregation != "item" else []
    words += [f"target {row.target}"] if row.target is not None else []
    return ", ".join(words)


def _proof(row: Benchmark) -> str:
    """What the twin is compared with; tests/unit/test_documentation.py looks for it in the named tests."""
    if row.evaluator == "conversation":
        return PLAIN.format(test="test_mt_bench_sweep.py")
    if row.task.startswith("long_eval"):
        return PLAIN.format(test="test_long_eval_sweep.py")
    if row.grade == "code":
        return PLAIN.format(test="test_code_sweep.py")
    if row.evaluator == "generation":
        return PLAIN.format(test="test_answer_benchmarks.py")
    if row.evaluator == "perplexity":
        plain = PLAIN.format(test="test_pile.py")
        return f"{plain}, and {COMMAND_LINE}" if row.id == SAMPLE else plain
    if row.folder is None or row.macros:
        return f"{PLAIN.format(test='test_own_variants.py')}, and {COMMAND_LINE}, bit for bit"
    return f"{COMMAND_LINE}, bit for bit"


if __name__ == "__main__":
    print(page(), end="")
