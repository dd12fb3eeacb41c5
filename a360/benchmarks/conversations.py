"""What a row of the conversation evaluator says: where its questions are, and what a judge is shown.

Questions, reference answers and the judge's prompts are texts of others: the mirror has them, not the code.
"""

from dataclasses import asdict, dataclass

from a360.identity import hash_value

CONVERSATION_VERSION = 1
"""Grows when datasets/ or evaluators/conversations.py give other answers for the same settings."""

TOKENIZER_TEMPLATE = "tokenizer"
"""What a protocol says of a chat template that is the checkpoint's own: its digest covers the text."""


@dataclass(frozen=True, kw_only=True)
class Conversations:
    """Questions of several turns. Patterns name files among those of the row's data."""

    questions: str
    """Rows ``{question_id, category, turns}``."""
    references: str
    """Rows ``{question_id, turns}``: the right answers, as far as there are some."""
    judge_prompts: str
    """Place in the mirror of rows ``{name, system_prompt, prompt_template}``."""
    templates: tuple[str, ...]
    """Names of the judge's prompts, one for each turn."""
    reference_templates: tuple[str, ...]
    """Those of categories whose answers are compared with a reference."""
    reference_categories: tuple[str, ...]

    def __post_init__(self) -> None:
        if len(self.templates) != len(self.reference_templates):
            raise ValueError("templates and reference_templates name one prompt for each turn")


def conversations_hash(conversations: Conversations) -> str:
    """The task hash of a row of the conversation evaluator: its settings and the evaluator's version."""
    settings = asdict(conversations)
    return hash_value({"evaluator": "conversation", "version": CONVERSATION_VERSION, **settings})
