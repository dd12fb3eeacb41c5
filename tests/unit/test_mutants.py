"""The lists of one-line patches: each still applies, and the test that it names is there."""

import re
from pathlib import Path

import pytest

from tests.mutants.run import ROOT, Mutant, mutate, read_mutants

MUTANTS = read_mutants(ROOT / "tests" / "mutants")


@pytest.mark.parametrize("group", sorted({mutant.group for mutant in MUTANTS}))
def test_every_patch_applies_to_exactly_one_line(group: str) -> None:
    stale = [
        f"{mutant.file}: {mutant.old}"
        for mutant in MUTANTS
        if mutant.group == group and mutate((ROOT / mutant.file).read_text(), mutant) is None
    ]
    assert stale == []


def test_every_named_test_is_there() -> None:
    assert [f"{mutant.group}: {mutant.test}" for mutant in MUTANTS if not is_there(mutant)] == []


def is_there(mutant: Mutant) -> bool:
    place, _, rest = mutant.test.partition("::")
    name = rest.rpartition("::")[2].partition("[")[0]
    path = Path(ROOT / place)
    return path.is_file() and re.search(rf"def {name}\(", path.read_text()) is not None
