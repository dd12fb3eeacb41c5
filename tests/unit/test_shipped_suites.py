"""The suites that ship with a360, planned over trees with the real names."""

import pytest

from a360.benchmarks import find_benchmark
from a360.checkpoints.naming import NamingScheme, Position
from a360.cli.suites import print_suites
from a360.suite import load_suite, shipped_suites

SEQUENCE = 2048
BENCHMARKS = {
    "amber": """mmlu-5shot race arc-challenge-25shot boolq hellaswag-10shot openbookqa piqa siqa-llm360
        social-iqa winogrande-0shot winogrande-5shot crows-pairs truthfulqa-mc2 pile
        bold toxigen-hatebert toxicity-sbf toxicity-dynahate toxicity-toxigen""",
    "crystalcoder": """mmlu-0shot mmlu-5shot arc-challenge-0shot arc-challenge-25shot arc-easy
        hellaswag-0shot hellaswag-10shot winogrande-0shot winogrande-5shot race boolq openbookqa piqa
        siqa-llm360 crows-pairs truthfulqa-mc2 copa swag drop-3shot gsm8k-5shot
        humaneval-t02 humaneval-t08 humaneval-greedy mbpp-t01 mbpp-t08 triviaqa-5shot""",
    "pythia": """arc-challenge-0shot arc-easy hellaswag-0shot openbookqa piqa winogrande-0shot boolq
        wikitext pile-10k""",
}
"""Sources: READMEs and cards of the original evaluations, as far as the catalogue has their benchmarks."""


def scheme(name: str) -> NamingScheme:
    return NamingScheme(load_suite(name).model.naming)


@pytest.mark.parametrize("name", shipped_suites())
def test_a_shipped_suite_is_valid_and_names_what_it_evaluates(name: str) -> None:
    suite = load_suite(name)
    assert suite.name == name
    assert suite.benchmarks
    assert all(find_benchmark(choice.id).stand_in == (name == "demo") for choice in suite.benchmarks)


@pytest.mark.parametrize("name", BENCHMARKS)
def test_a_suite_of_a_known_model_has_the_benchmarks_of_its_original_evaluation(name: str) -> None:
    assert [choice.id for choice in load_suite(name).benchmarks] == BENCHMARKS[name].split()


@pytest.mark.parametrize(("name", "count"), [("amber", 360), ("crystalcoder", 225), ("pythia", 154)])
def test_the_number_of_expected_checkpoints_is_that_of_the_training_run(name: str, count: int) -> None:
    assert len(scheme(name).absent([])) == count


@pytest.mark.parametrize(
    ("name", "ids"), [("amber", "IFM/Amber, LLM360/Amber"), ("crystalcoder", "IFM/Crystal, LLM360/Crystal")]
)
def test_fact_10_both_ids_of_a_renamed_organisation_are_shown(
    name: str, ids: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ids in ", ".join(load_suite(name).model.hub)
    print_suites()
    [line] = [line for line in capsys.readouterr().out.splitlines() if line.startswith(f"{name} ")]
    assert f" {ids}" in line


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


def test_crystalcoder_expects_what_its_training_code_saves_and_the_last_step_of_each_phase() -> None:
    absent = scheme("crystalcoder").absent([])
    saved = {1: (79_721, 1500), 2: (214_387, 1500), 3: (27_728, 1000)}
    expected = [
        (phase, step)
        for phase, (steps, every) in saved.items()
        for step in [*range(every, steps + 1, every), steps]
    ]
    assert [tuple(checkpoint.position) for checkpoint in absent] == expected
    assert [sum(phase == wanted for phase, _ in expected) for wanted in saved] == [53 + 1, 142 + 1, 27 + 1]
    assert len(absent) == 225
    published = {"CrystalCoder_phase1_checkpoint_055500", "CrystalCoder_phase3_checkpoint_027728"}
    assert published < {checkpoint.id for checkpoint in absent}
    assert absent[-1].tokens == (79_721 + 214_387 + 27_728) * 2112 * SEQUENCE
    assert scheme("crystalcoder").absent(scheme("crystalcoder").assign(["main"])) == absent[:-1]


def test_pythia_has_154_checkpoints() -> None:
    absent = scheme("pythia").absent([])
    assert len(absent) == 154
    assert (absent[-1].id, absent[-1].tokens) == ("step143000", 143_000 * 1024 * SEQUENCE)
