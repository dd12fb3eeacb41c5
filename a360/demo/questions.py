"""Rows with choices, made from the fact tables: MMLU, ARC, TruthfulQA and BoolQ in their real schemas.

A row is a dictionary as the hub's data set has it. Every draw is seeded by a name, so that a new table or
subject changes no other rows.
"""

import random
from collections.abc import Sequence

from a360.demo import facts_craft as craft
from a360.demo import facts_nature as nature
from a360.demo import facts_world as world
from a360.demo.facts import FactTable, Question, questions, sentence

Row = dict[str, object]
Splits = dict[str, list[Row]]

PLAIN_TABLES = (
    nature.ANIMAL_CLASSES,
    craft.BUILTINS,
    world.CAPITALS,
    world.CONTINENTS,
    world.CURRENCIES,
    craft.KEYWORDS,
    craft.MONTHS,
    craft.OPPOSITES,
    nature.ORGANS,
    nature.PLANETS,
    nature.SHAPES,
    nature.SYMBOLS,
    craft.TOOLS,
    craft.TYPES,
    nature.UNITS,
    craft.WEEK,
    nature.YOUNG_ANIMALS,
)
"""Short facts, so that 25 of them still fit a small model's window."""

SUBJECTS: dict[str, tuple[FactTable, ...]] = {
    "abstract_algebra": (nature.ALGEBRA,),
    "anatomy": (nature.ORGANS,),
    "astronomy": (nature.ASTRONOMY, nature.PLANETS),
    "business_ethics": (world.BUSINESS, world.ETHICS),
    "clinical_knowledge": (nature.HEALTH, nature.ORGANS),
    "college_biology": (nature.GENETICS, nature.ANIMAL_CLASSES),
    "college_chemistry": (nature.CHEMISTRY, nature.ATOMIC_NUMBERS),
    "college_computer_science": (craft.COMPUTING, craft.TYPES),
    "college_mathematics": (nature.ALGEBRA, nature.SQUARES),
    "college_medicine": (nature.HEALTH, nature.GENETICS),
    "college_physics": (nature.PHYSICS, nature.UNITS),
    "computer_security": (craft.COMPUTER_SECURITY,),
    "conceptual_physics": (nature.PHYSICS,),
    "econometrics": (nature.STATISTICS,),
    "electrical_engineering": (nature.ELECTRICITY,),
    "elementary_mathematics": (nature.SQUARES, nature.SHAPES),
    "formal_logic": (nature.FALLACIES, world.THOUGHT),
    "global_facts": (world.CURRENCIES, world.CONTINENTS),
    "high_school_biology": (nature.YOUNG_ANIMALS, nature.GENETICS),
    "high_school_chemistry": (nature.CHEMISTRY, nature.SYMBOLS),
    "high_school_computer_science": (craft.COMPUTING, craft.BUILTINS),
    "high_school_european_history": (world.EUROPE,),
    "high_school_geography": (world.CAPITALS, world.CONTINENTS),
    "high_school_government_and_politics": (world.GOVERNMENT,),
    "high_school_macroeconomics": (world.MONEY,),
    "high_school_mathematics": (nature.SQUARES, nature.ALGEBRA),
    "high_school_microeconomics": (world.MONEY, world.BUSINESS),
    "high_school_physics": (nature.PHYSICS, nature.ELECTRICITY),
    "high_school_psychology": (world.MIND,),
    "high_school_statistics": (nature.STATISTICS, nature.SQUARES),
    "high_school_us_history": (world.AMERICA,),
    "high_school_world_history": (world.CIVILIZATIONS, world.EUROPE),
    "human_aging": (nature.LIFE_STAGES, nature.HEALTH),
    "human_sexuality": (nature.LIFE_STAGES,),
    "international_law": (world.DIPLOMACY, world.LAW),
    "jurisprudence": (world.LAW,),
    "logical_fallacies": (nature.FALLACIES,),
    "machine_learning": (craft.LEARNING,),
    "management": (world.BUSINESS,),
    "marketing": (world.BUSINESS, world.MEDIA),
    "medical_genetics": (nature.GENETICS,),
    "miscellaneous": (craft.TOOLS, craft.WEEK, craft.MONTHS),
    "moral_disputes": (world.ETHICS, world.THOUGHT),
    "moral_scenarios": (world.ETHICS,),
    "nutrition": (nature.FOOD,),
    "philosophy": (world.THOUGHT,),
    "prehistory": (world.PREHISTORY,),
    "professional_accounting": (world.ACCOUNTING,),
    "professional_law": (world.LAW, world.GOVERNMENT),
    "professional_medicine": (nature.HEALTH,),
    "professional_psychology": (world.MIND, world.SOCIETY),
    "public_relations": (world.MEDIA,),
    "security_studies": (world.SECURITY,),
    "sociology": (world.SOCIETY,),
    "us_foreign_policy": (world.DIPLOMACY, world.SECURITY),
    "virology": (nature.GENETICS, nature.HEALTH),
    "world_religions": (world.RELIGIONS,),
}
"""The subjects of MMLU and what their rows are made from."""

MMLU_ROWS = {"test": 2, "validation": 1, "dev": 5}
ARC_ROWS = {"test": 24, "train": 40, "validation": 8}
BOOLQ_ROWS = {"validation": 24, "train": 8}
TRUTHFUL_ROWS = {"validation": 24}


def mmlu_rows(subject: str) -> Splits:
    """The rows of one subject: four choices, ``answer`` an index."""
    draw = random.Random(f"mmlu/{subject}")
    rows: list[Row] = []
    for question in draw_questions(draw, SUBJECTS[subject], sum(MMLU_ROWS.values())):
        choices, answer = choices_of(draw, question, 4)
        rows.append({"question": question.text, "subject": subject, "choices": choices, "answer": answer})
    return split_rows(rows, MMLU_ROWS)


def arc_rows(name: str = "arc") -> Splits:
    """ARC rows: mostly four choices, some three or five, some labelled with digits; ``name`` is the seed."""
    draw = random.Random(name)
    rows: list[Row] = []
    for number, question in enumerate(draw_questions(draw, PLAIN_TABLES, sum(ARC_ROWS.values()))):
        count = {3: 3, 7: 5}.get(number % 9, 4)
        texts, answer = choices_of(draw, question, count)
        labels = list("12345" if number % 7 == 6 else "ABCDE")[: len(texts)]
        choices = {"text": texts, "label": labels}
        name = f"demo_{number:03d}"
        rows.append({"id": name, "question": question.text, "choices": choices, "answerKey": labels[answer]})
    return split_rows(rows, ARC_ROWS)


def truthful_rows() -> Splits:
    """TruthfulQA's multiple choice rows: in ``mc1_targets`` the true choice is the first one."""
    draw = random.Random("truthful")
    rows: list[Row] = []
    while len(rows) < sum(TRUTHFUL_ROWS.values()):
        table = PLAIN_TABLES[len(rows) % len(PLAIN_TABLES)]
        fact = draw.choice(table.facts)
        wrong = draw.sample([value for value in table.values if value != fact.value], 3)
        true = [sentence(table.state, *fact), sentence("{value}.", *fact)]
        false = [sentence(table.state, fact.term, value) for value in wrong[:2]]
        false.append(sentence("{value}.", fact.term, wrong[2]))
        question = sentence(table.ask, *fact)
        if question not in [row["question"] for row in rows]:
            mc1, mc2 = _targets(true[:1], false), _targets(true, false)
            rows.append({"question": question, "mc1_targets": mc1, "mc2_targets": mc2})
    return split_rows(rows, TRUTHFUL_ROWS)


def boolq_rows() -> Splits:
    """BoolQ rows: a passage of three facts and a question about one of them; half of the answers are yes."""
    draw = random.Random("boolq")
    rows: list[Row] = []
    for number in range(sum(BOOLQ_ROWS.values())):
        table = PLAIN_TABLES[number % len(PLAIN_TABLES)]
        passage = draw.sample(table.facts, 3)
        fact = draw.choice(passage)
        label = number % 2
        value = fact.value if label else draw.choice([v for v in table.values if v != fact.value])
        rows.append(
            {
                "question": table.check.format(term=fact.term, value=value).lower(),
                "passage": " ".join(sentence(table.state, *each) for each in passage),
                "idx": number,
                "label": label,
            }
        )
    return split_rows(rows, BOOLQ_ROWS)


def split_rows(rows: Sequence[Row], sizes: dict[str, int]) -> Splits:
    """The rows dealt out to splits, in order; as many rows as the sizes say."""
    splits, start = {}, 0
    for split, size in sizes.items():
        splits[split] = list(rows[start : start + size])
        start += size
    return splits


def draw_questions(draw: random.Random, tables: Sequence[FactTable], count: int) -> list[Question]:
    """So many different questions of the tables."""
    return draw.sample([question for table in tables for question in questions(table)], count)


def choices_of(draw: random.Random, question: Question, count: int) -> tuple[list[str], int]:
    """Shuffled choices and the index of the right one."""
    choices = [question.answer, *draw.sample(question.wrong, count - 1)]
    draw.shuffle(choices)
    return choices, choices.index(question.answer)


def _targets(true: list[str], false: list[str]) -> Row:
    return {"choices": true + false, "labels": [1] * len(true) + [0] * len(false)}
