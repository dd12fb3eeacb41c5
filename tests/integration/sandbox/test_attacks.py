"""No attack passes, leaks or stops the run: with the kernel's protections alone, and inside bubblewrap."""

import pytest

from tests.integration.sandbox.attacks import ATTACKS, BY_NAME, FORGING, Attack
from tests.integration.sandbox.conftest import TOKEN, World

pytestmark = pytest.mark.integration


def test_attacks_have_names_of_their_own() -> None:
    assert len(BY_NAME) == len(ATTACKS) >= 25


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_attack_does_not_succeed(attack: Attack, world: World, outer: str | None) -> None:
    found = world.judge(attack, outer=outer)
    assert found.verdict in attack.verdicts, found
    assert TOKEN not in found.detail
    assert world.leaks() == []


@pytest.mark.parametrize("name", [attack.name for attack in FORGING[:1]])
def test_the_forgers_tests_pass_for_who_knows_the_answer(name: str, world: World, outer: str | None) -> None:
    honest = Attack(name="honest", source="import math\nanswer = math.factorial", tests=BY_NAME[name].tests)
    assert world.judge(honest, outer=outer).verdict == "passed"
