"""The rows of the catalogue against a table that is written by hand and never generated.

Sources: lm-eval 0.4.13's task files for tasks and data, the original evaluations for shots and headlines,
the number of choices for what a guess comes to. A row changes only together with its line here.
"""

from dataclasses import replace
from fractions import Fraction

import pytest

from a360.benchmarks import CATALOGUE, Benchmark
from a360.benchmarks.mmlu import GROUPS, mmlu_macros

TABLE = """
id                   | task                   | shots | headline                         | better | guess | data
mmlu-5shot           | mmlu                   | 5     | acc macro                        | higher | 1/4   | cais/mmlu
mmlu-0shot           | mmlu                   | 0     | acc macro                        | higher | 1/4   | cais/mmlu
arc-challenge-25shot | arc_challenge          | 25    | acc_norm                         | higher | 1/4   | allenai/ai2_arc/ARC-Challenge
arc-challenge-0shot  | arc_challenge          | 0     | acc_norm                         | higher | 1/4   | allenai/ai2_arc/ARC-Challenge
arc-easy             | arc_easy               | 0     | acc_norm                         | higher | 1/4   | allenai/ai2_arc/ARC-Easy
hellaswag-10shot     | hellaswag              | 10    | acc_norm                         | higher | 1/4   | Rowan/hellaswag
hellaswag-0shot      | hellaswag              | 0     | acc_norm                         | higher | 1/4   | Rowan/hellaswag
race                 | race                   | 0     | acc                              | higher | 1/4   | EleutherAI/race/high
boolq                | boolq                  | 0     | acc                              | higher | 1/2   | aps/super_glue/boolq
copa                 | copa                   | 0     | acc                              | higher | 1/2   | aps/super_glue/copa
openbookqa           | openbookqa             | 0     | acc_norm                         | higher | 1/4   | allenai/openbookqa/main
piqa                 | piqa                   | 0     | acc_norm                         | higher | 1/2   | baber/piqa
social-iqa           | social_iqa             | 0     | acc                              | higher | 1/3   | lighteval/siqa
siqa-llm360          | siqa_llm360            | 0     | acc_norm                         | higher | 1/3   | lighteval/siqa
winogrande-5shot     | winogrande             | 5     | acc                              | higher | 1/2   | allenai/winogrande/winogrande_xl
winogrande-0shot     | winogrande             | 0     | acc                              | higher | 1/2   | allenai/winogrande/winogrande_xl
crows-pairs          | crows_pairs_categories | 0     | pct_stereotype macro             | 1/2    | 1/2   | jannalu/crows_pairs_multilingual/english
truthfulqa-mc2       | truthfulqa_mc2         | -     | acc                              | higher | -     | truthfulqa/truthful_qa
truthfulqa-mc1       | truthfulqa_mc1         | -     | acc                              | higher | -     | truthfulqa/truthful_qa
swag                 | swag                   | 0     | acc_norm                         | higher | 1/4   | allenai/swag/regular
toxigen              | toxigen                | 0     | acc                              | higher | 1/2   | skg/toxigen-data/annotated GATED
wmdp                 | wmdp                   | -     | acc micro                        | higher | 1/4   | cais/wmdp
gsm8k-5shot          | gsm8k                  | 5     | exact_match strict-match         | higher | 0     | openai/gsm8k/main
triviaqa-5shot       | triviaqa               | 5     | exact_match remove_whitespace    | higher | 0     | mandarjoshi/trivia_qa/rc.nocontext
drop-3shot           | a360_drop              | 3     | f1                               | higher | 0     | EleutherAI/drop
wikitext             | wikitext               | -     | word_perplexity                  | lower  | -     | EleutherAI/wikitext_document_level/wikitext-2-raw-v1
pile                 | pile                   | -     | bits_per_byte micro              | lower  | -     | pile/test
pile-10k             | pile_10k               | -     | bits_per_byte micro              | lower  | -     | NeelNanda/pile-10k
bold                 | bold                   | -     | vader_continuation micro         | higher | -     | AlexaAI/bold
toxigen-hatebert     | toxigen_generation     | -     | toxic micro                      | lower  | -     | toxigen/toxigen-data/prompts
toxigen-roberta      | toxigen_generation     | -     | toxic micro                      | lower  | -     | toxigen/toxigen-data/prompts
toxicity-sbf         | toxicity_sbf           | 4     | error_rate                       | lower  | 1/2   | allenai/social_bias_frames,a360/toxicity-prompts/sbf
toxicity-dynahate    | toxicity_dynahate      | 4     | error_rate                       | lower  | 1/2   | aps/dynahate,a360/toxicity-prompts/dynahate
toxicity-toxigen     | toxicity_toxigen       | 4     | error_rate                       | lower  | 1/2   | skg/toxigen-data/annotated,a360/toxicity-prompts/toxigen GATED
longeval-lines       | long_eval_lines        | -     | acc micro                        | higher | 0     | a360/long-eval-lines
longeval-topics      | long_eval_topics       | -     | first_topic micro                | higher | 0     | a360/long-eval-topics
mt-bench             | mt_bench               | -     | rating micro                     | higher | -     | a360/mt-bench
humaneval-t02        | humaneval              | -     | pass@1                           | higher | -     | openai/openai_humaneval
humaneval-t08        | humaneval              | -     | pass@1                           | higher | -     | openai/openai_humaneval
humaneval-greedy     | humaneval              | -     | pass@1                           | higher | -     | openai/openai_humaneval
humaneval-harness    | humaneval              | -     | pass@1                           | higher | -     | openai/openai_humaneval
mbpp-t01             | mbpp                   | -     | pass@1                           | higher | -     | google-research-datasets/mbpp/full
mbpp-t08             | mbpp                   | -     | pass@1                           | higher | -     | google-research-datasets/mbpp/full
mbpp-harness         | mbpp                   | 3     | pass@1                           | higher | -     | google-research-datasets/mbpp/full
"""  # noqa: E501
"""``better`` is a direction, or the number that the headline should come to; ``-`` is none."""

MMLU = """
math: abstract_algebra college_mathematics elementary_mathematics formal_logic high_school_mathematics
  high_school_statistics
computer_science: college_computer_science computer_security high_school_computer_science machine_learning
medical: anatomy clinical_knowledge college_biology college_medicine high_school_biology human_aging
  medical_genetics nutrition professional_medicine virology
physics: astronomy college_physics conceptual_physics electrical_engineering high_school_physics
chemistry: college_chemistry high_school_chemistry
economic_business: business_ethics econometrics high_school_macroeconomics high_school_microeconomics
  management marketing professional_accounting
history_and_general: global_facts high_school_european_history high_school_us_history
  high_school_world_history prehistory world_religions
psychology: high_school_psychology human_sexuality professional_psychology
sociology: public_relations sociology
legal_gov: high_school_government_and_politics international_law jurisprudence moral_disputes
  moral_scenarios professional_law us_foreign_policy
other: logical_fallacies miscellaneous philosophy security_studies high_school_geography
"""

MMLU_GROUPS = {
    name: tuple(subjects.split())
    for name, _, subjects in (
        entry.partition(":") for entry in MMLU.strip().replace("\n  ", " ").splitlines()
    )
}
LINES = [[cell.strip() for cell in line.split("|")] for line in TABLE.strip().splitlines()[1:]]
ROWS = {row.id: row for row in CATALOGUE.values() if not row.stand_in}


def line_of(row: Benchmark) -> list[str]:
    """A row of the catalogue as a line of the table."""
    headline = row.headline
    words = [headline.metric]
    words += [headline.filter] if headline.filter != "none" else []
    words += [headline.aggregation] if headline.aggregation != "item" else []
    assert (row.direction == "target") == (row.target is not None)
    return [
        row.id,
        row.task,
        "-" if row.shots is None else str(row.shots),
        " ".join(words),
        row.direction if row.target is None else fraction(row.target),
        "-" if row.chance is None else fraction(row.chance),
        ",".join(row.data) + (" GATED" if row.gated else ""),
    ]


def fraction(value: float) -> str:
    """The number itself where no fraction of a small denominator is the same float."""
    found = Fraction(value).limit_denominator(10)
    return str(found) if float(found) == value else str(value)


def test_the_table_has_every_benchmark_once_in_the_order_of_the_catalogue() -> None:
    assert [line[0] for line in LINES] == list(ROWS)


@pytest.mark.parametrize("line", LINES, ids=lambda line: line[0])
def test_a_row_says_what_the_frozen_table_says(line: list[str]) -> None:
    assert line_of(ROWS[line[0]]) == line


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_a_demo_twin_differs_in_its_name_and_rows_only(row: Benchmark) -> None:
    twin = CATALOGUE[f"demo-{row.id}"]
    same = {"id": row.id, "title": row.title, "stand_in": False, "gated": row.gated, "cost": row.cost}
    if row.demo_decoding:
        assert twin.decoding == row.demo_decoding
        same["decoding"] = row.decoding
    assert replace(twin, **same) == row  # type: ignore[arg-type]
    assert (twin.stand_in, twin.gated) == (True, False)


def test_the_original_tables_wrong_links_are_no_source() -> None:
    """It links papers about something else beside COPA (2203.08398) and memorization (2202.07646)."""
    wrong = ("2203.08398", "2202.07646")
    assert [row.id for row in CATALOGUE.values() if any(number in row.source for number in wrong)] == []
    assert ROWS["copa"].source == "https://huggingface.co/datasets/aps/super_glue"


def test_the_eleven_groups_of_mmlu_hold_the_57_subjects_of_the_frozen_table() -> None:
    frozen = {name: set(subjects) for name, subjects in MMLU_GROUPS.items()}
    assert (len(frozen), sum(map(len, frozen.values()))) == (11, 57)
    assert list(GROUPS) == list(frozen)
    assert {name: set(subjects) for name, subjects in GROUPS.items()} == frozen
    whole, *parts = mmlu_macros()
    assert {macro.subset: {task.removeprefix("mmlu_") for task in macro.tasks} for macro in parts} == frozen
    assert (whole.subset, len(set(whole.tasks))) == (None, 57)


@pytest.mark.parametrize(
    "change",
    [
        {"chance": 0.9}, {"chance": 0.33}, {"chance": None}, {"shots": 1}, {"gated": True}, {"task": "siqa"},
        {"data": ("allenai/social_i_qa",)}, {"direction": "lower"}, {"direction": "target", "target": 0.5},
        {"headline": ROWS["piqa"].headline}, {"headline": replace(ROWS["race"].headline, filter="x")},
        {"headline": replace(ROWS["race"].headline, aggregation="micro")},
    ],
    ids=str,
)  # fmt: skip
def test_any_changed_column_is_seen(change: dict[str, object]) -> None:
    changed = replace(ROWS["social-iqa"], **change)  # type: ignore[arg-type]
    assert line_of(changed) not in LINES
