import pytest

from a360.checkpoints.naming import NamingScheme, Position, compile_pattern
from a360.errors import ConfigError
from a360.records import ExpectedRange, Naming, TokenAxis

AMBER = Naming(
    pattern=r"ckpt_(?P<step>\d+)",
    aliases={"main": "ckpt_359"},
    expected=(ExpectedRange(template="ckpt_{step:03d}", first=0, last=359),),
    tokens=(TokenAxis(tokens_per_step=3_495_886_848, offset=1),),
)
CRYSTAL = Naming(
    pattern=r"CrystalCoder_phase(?P<phase>\d)_checkpoint_(?P<step>\d{6})",
    aliases={"main": "CrystalCoder_phase3_checkpoint_027728"},
    tokens=(
        TokenAxis(phase=1, tokens_per_step=4_325_376),
        TokenAxis(phase=2, tokens_per_step=4_325_376, base_tokens=344_823_300_096),
    ),
)


def amber(**changes: object) -> Naming:
    return AMBER.model_copy(update=changes)


def ids(naming: Naming, *names: str) -> list[str]:
    return [checkpoint.id for checkpoint in NamingScheme(naming).assign(names)]


def test_an_unpadded_folder_gets_the_expected_id() -> None:
    (found,) = NamingScheme(AMBER).assign(["ckpt_35"])
    assert (found.name, found.id, found.position) == ("ckpt_35", "ckpt_035", Position(1, 35))


def test_an_alias_gets_the_id_that_it_stands_for() -> None:
    assert ids(AMBER, "main") == ["ckpt_359"]


def test_order_is_numeric() -> None:
    steps = Naming(pattern=r"step(?P<step>\d+)")
    assert ids(steps, "step1000", "step9", "step10", "step512") == ["step9", "step10", "step512", "step1000"]


def test_phase_comes_before_step() -> None:
    names = ["CrystalCoder_phase2_checkpoint_001500", "CrystalCoder_phase1_checkpoint_055500", "main"]
    positions = [checkpoint.position for checkpoint in NamingScheme(CRYSTAL).assign(names)]
    assert positions == [(1, 55500), (2, 1500), (3, 27728)]


def test_tokens_follow_the_formula_of_the_phase() -> None:
    (amber,) = NamingScheme(AMBER).assign(["ckpt_000"])
    names = ["CrystalCoder_phase1_checkpoint_055500", "CrystalCoder_phase2_checkpoint_018000", "main"]
    crystal = [checkpoint.tokens for checkpoint in NamingScheme(CRYSTAL).assign(names)]
    assert amber.tokens == 3_495_886_848
    assert crystal == [240_058_368_000, 422_680_068_096, None]


def test_a_missing_checkpoint_shifts_nobody() -> None:
    names = [f"ckpt_{step:03d}" for step in range(360)]
    whole = {c.id: c for c in NamingScheme(AMBER).assign(names)}
    scheme = NamingScheme(AMBER)
    rest = scheme.assign(name for name in names if name != "ckpt_007")
    assert all(whole[checkpoint.id] == checkpoint for checkpoint in rest)
    assert [checkpoint.id for checkpoint in scheme.absent(rest)] == ["ckpt_007"]


def test_the_expected_name_wins_its_step() -> None:
    found = NamingScheme(AMBER).assign(["ckpt_35", "ckpt_035", "main", "ckpt_359"])
    assert [(c.id, c.same_step_as) for c in found] == [
        ("ckpt_035", None),
        ("ckpt_35", "ckpt_035"),
        ("ckpt_359", None),
        ("main", "ckpt_359"),
    ]


def test_without_expected_ids_one_name_wins_its_step_all_the_same() -> None:
    found = NamingScheme(amber(expected=())).assign(["main", "ckpt_359", "ckpt_0359"])
    assert [(c.id, c.same_step_as) for c in found] == [
        ("ckpt_0359", None),
        ("ckpt_359", "ckpt_0359"),
        ("main", "ckpt_0359"),
    ]


def test_two_steps_with_one_id_are_refused() -> None:
    scheme = NamingScheme(Naming(pattern=r"run(?:/(?P<phase>\d+))?(?:-\d+)?/(?P<step>\d+)"))
    with pytest.raises(ConfigError, match=r"'run-2/5'.*'run/2/5'.*both have the id 'run-2-5'"):
        scheme.assign(["run/2/5", "run-2/5"])


@pytest.mark.parametrize("name", ["ckpt_99999999999999999999", "ckpt_9007199254740000"])
def test_a_step_or_its_tokens_beyond_what_numbers_hold_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=r"2\*\*53"):
        NamingScheme(AMBER).assign([name])


def test_names_that_do_not_match_whole_are_no_checkpoints() -> None:
    assert ids(AMBER, "ckpt_001.tmp", "old_ckpt_001", "logs", "ckpt_001") == ["ckpt_001"]


def test_a_name_of_several_segments_is_one_segment_as_id() -> None:
    nested = Naming(
        pattern=r"phase(?P<phase>\d)/step(?P<step>\d+)",
        expected=(ExpectedRange(template="phase{phase}/step{step}", first=0, last=1, phase=2),),
    )
    scheme = NamingScheme(nested)
    found = scheme.assign(["phase2/step0"])
    assert [c.id for c in (*found, *scheme.absent(found))] == ["phase2-step0", "phase2-step1"]


@pytest.mark.parametrize(
    ("naming", "complaint"),
    [
        (Naming(pattern="ckpt_(?P<step>"), "is not a regular expression"),
        (Naming(pattern=r"ckpt_(\d+)"), "no group named step"),
        (amber(expected=("checkpoint-7",)), "'checkpoint-7'.*does not match"),
        (amber(aliases={"main": "final"}), "alias 'main'.*'final'.*does not match"),
        (amber(expected=("ckpt_7", "ckpt_007")), "'ckpt_7' and 'ckpt_007' for phase 1 step 7"),
        (amber(tokens=AMBER.tokens * 2), "two entries for phase 1"),
        (
            Naming(pattern=r"(?P<step>\w+)", expected=("seven",)),
            "'seven', in which naming.pattern .* finds step 'seven'",
        ),
    ],
)  # fmt: skip
def test_a_naming_that_cannot_work_is_refused(naming: Naming, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        NamingScheme(naming)


@pytest.mark.parametrize(
    ("expected", "complaint"),
    [
        (ExpectedRange(template="ckpt_{stp}", first=0, last=3), "cannot be filled in"),
        (ExpectedRange(template="ckpt_{step", first=0, last=3), "cannot be filled in"),
        (ExpectedRange(template="ckpt_{step}", first=3, last=0), "ends at 0, before 3"),
        (ExpectedRange(template="ckpt_0", first=0, last=3), "gives phase 1 step 1 the id 'ckpt_0'"),
        (ExpectedRange(template="ckpt_{step}", first=0, last=3, phase=2), "gives phase 2 step 0"),
    ],
)
def test_an_expected_range_that_cannot_work_is_refused(expected: ExpectedRange, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        NamingScheme(amber(expected=(expected,)))


def test_the_pattern_error_names_the_pattern_and_gives_an_example() -> None:
    with pytest.raises(ConfigError) as caught:
        compile_pattern("[")
    assert "'['" in caught.value.message
    assert "(?P<step>" in str(caught.value.hint)


def test_a_matching_name_without_a_number_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"the store holds 'step'.*finds step None"):
        NamingScheme(Naming(pattern=r"step(?P<step>\d+)?")).assign(["step1", "step"])
