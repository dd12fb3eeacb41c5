"""MMLU's 57 subjects in the 11 groups of the original curves.

Source: the grouping that LLM360's Analysis360 plots; ``high_school_geography``, which it lacked, is put into
``other``. A group's score is the unweighted mean of its subjects' accuracies.
"""

from a360.benchmarks.benchmark import Macro

GROUPS: dict[str, tuple[str, ...]] = {
    "math": (
        "abstract_algebra", "college_mathematics", "elementary_mathematics", "formal_logic",
        "high_school_mathematics", "high_school_statistics",
    ),
    "computer_science": (
        "college_computer_science", "computer_security", "high_school_computer_science", "machine_learning",
    ),
    "medical": (
        "anatomy", "clinical_knowledge", "college_biology", "college_medicine", "high_school_biology",
        "human_aging", "medical_genetics", "nutrition", "professional_medicine", "virology",
    ),
    "physics": (
        "astronomy", "college_physics", "conceptual_physics", "electrical_engineering", "high_school_physics",
    ),
    "chemistry": ("college_chemistry", "high_school_chemistry"),
    "economic_business": (
        "business_ethics", "econometrics", "high_school_macroeconomics", "high_school_microeconomics",
        "management", "marketing", "professional_accounting",
    ),
    "history_and_general": (
        "global_facts", "high_school_european_history", "high_school_us_history", "high_school_world_history",
        "prehistory", "world_religions",
    ),
    "psychology": ("high_school_psychology", "human_sexuality", "professional_psychology"),
    "sociology": ("public_relations", "sociology"),
    "legal_gov": (
        "high_school_government_and_politics", "international_law", "jurisprudence", "moral_disputes",
        "moral_scenarios", "professional_law", "us_foreign_policy",
    ),
    "other": (
        "logical_fallacies", "miscellaneous", "philosophy", "security_studies", "high_school_geography",
    ),
}  # fmt: skip

SUBJECTS: tuple[str, ...] = tuple(sorted(subject for subjects in GROUPS.values() for subject in subjects))


def mmlu_macros() -> tuple[Macro, ...]:
    """The mean over all 57 subjects, the headline of the original curves, and over each of the 11 groups."""
    whole = Macro(subset=None, tasks=_tasks(SUBJECTS))
    return (whole, *(Macro(subset=name, tasks=_tasks(subjects)) for name, subjects in GROUPS.items()))


def _tasks(subjects: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"mmlu_{subject}" for subject in subjects)
