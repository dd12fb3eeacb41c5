"""The suites that ship with a360, planned over trees with the real names."""

import pytest

from a360.benchmarks import find_benchmark
from a360.checkpoints.naming import NamingScheme, Position
from a360.suite import load_suite, shipped_suites

SEQUENCE = 2048


def scheme(name: str) -> NamingScheme:
    return NamingScheme(load_suite(name).model.naming)


@pytest.mark.parametrize("name", shipped_suites())
def test_a_shipped_suite_is_valid_and_names_what_it_evaluates(name: str) -> None:
    suite = load_suite(name)
    assert suite.name == name
    assert suite.benchmarks
    assert all(find_benchmark(choice.id).stand_in == (name == "demo") for choice in suite.benchmarks)


def test_amber_has_360_checkpoints_of_which_main_is_the_last() -> None:
    names = [*(f"ckpt_{step:03d}" for step in range(359)), "main"]
    found = scheme("amber").assign(names)
    assert len(found) == 360
    assert scheme("amber").absent(found) == []
    assert (found[-1].id, found[-1].name) == ("ckpt_359", "main")
    assert [found[0].tokens, found[-1].tokens] == [1_706_976 * SEQUENCE, 360 * 1_706_976 * SEQUENCE]
    assert scheme("amber").assign(["ckpt_35"])[0].id == "ckpt_035"


def test_crystalcoder_is_ordered_by_phase_and_its_tokens_go_on() -> None:
    names = ["CrystalCoder_phase1_checkpoint_055500", "CrystalCoder_phase2_checkpoint_018000", "main"]
    found = scheme("crystalcoder").assign(names)
    assert [c.position for c in found] == [Position(1, 55_500), Position(2, 18_000), Position(3, 27_728)]
    batch = 2112 * SEQUENCE
    assert [c.tokens for c in found] == [
        55_500 * batch, (79_721 + 18_000) * batch, (79_721 + 214_387 + 27_728) * batch,
    ]  # fmt: skip


def test_pythia_has_154_checkpoints() -> None:
    absent = scheme("pythia").absent([])
    assert len(absent) == 154
    assert (absent[-1].id, absent[-1].tokens) == ("step143000", 143_000 * 1024 * SEQUENCE)
