"""The conversation evaluator: answers turn by turn, every prompt holding the model's own earlier answers.

Called by a360/evaluate.py with questions from a360/datasets/conversations.py. A turn of all conversations is
asked at once, and each answer is in the journal when it is there: a killed process repeats no turn. How a
conversation is written down is the chat template's business, the tokenizer's own or the suite's.
"""

from collections.abc import Callable, Iterable, Sequence

from jinja2 import TemplateError
from lm_eval.api.instance import Instance
from lm_eval.api.model import CacheHook
from pydantic import JsonValue

from a360.benchmarks.conversations import TOKENIZER_TEMPLATE
from a360.datasets.conversations import Conversation
from a360.errors import ConfigError, DataError
from a360.evaluators.generation import Generated, generation_arguments
from a360.evaluators.journaled_lm import JournaledLM, MeasuringHFLM
from a360.identity import hash_value
from a360.records import Protocol
from a360.results.answers import AnswerRow, answer_table

Message = dict[str, str]
"""``{"role": "user" | "assistant", "content": text}``"""
Render = Callable[[Sequence[Message]], str]
"""A conversation as the text after which the model answers."""


def chat_renderer(model: MeasuringHFLM, protocol: Protocol, template: str | None) -> Render:
    """How conversations are shown under a protocol; ``template`` is the suite's.

    Raises:
        ConfigError: the suite's template is not the protocol's.
        DataError: the tokenizer has none.
    """
    tokenizer = model.tokenizer
    named = TOKENIZER_TEMPLATE if template is None else hash_value(template)
    if named != protocol.chat_template:
        raise ConfigError(
            f"chat template is not the plan's: benchmark {protocol.benchmark}: found {named}, "
            f"expected {protocol.chat_template}",
            hint="Plan with the suite that evaluates.",
        )
    if template is None and not tokenizer.chat_template:
        raise DataError(
            f"tokenizer has no chat template: benchmark {protocol.benchmark} is a conversation",
            hint="Name one in the suite: model.chat_template.",
        )

    def render(messages: Sequence[Message]) -> str:
        try:
            return str(
                tokenizer.apply_chat_template(
                    list(messages), chat_template=template, tokenize=False, add_generation_prompt=True
                )
            )
        except (TemplateError, ValueError, TypeError) as error:
            raise DataError(
                f"chat template fails: benchmark {protocol.benchmark}: "
                f"{(str(error).splitlines() or [type(error).__name__])[0]}",
                hint="It gets messages with the roles user and assistant in turn, and add_generation_prompt.",
            ) from None

    return render


def converse(
    protocol: Protocol, conversations: Iterable[Conversation], lm: JournaledLM, render: Render
) -> Generated:
    """The answers to every turn of every conversation, conversation by conversation.

    Raises:
        ConfigError: the decoding is not one that this evaluator knows, or leaves no room for a prompt.
        DataError: there is no question, or one of a category without a temperature.
    """
    chosen = _choose(conversations, protocol)
    arguments = _arguments_by_group(protocol, chosen, lm.model.max_length)
    histories: list[list[Message]] = [[] for _ in chosen]
    answers: list[tuple[int, int, AnswerRow]] = []
    try:
        for turn in range(max(len(conversation.turns) for conversation in chosen)):
            for history, conversation in zip(histories, chosen, strict=True):
                history.append({"role": "user", "content": conversation.turns[turn]})
            shown = [render(history) for history in histories]
            requests = [
                Instance(
                    request_type="generate_until", doc={}, arguments=(text, arguments[asked.group]), idx=0
                )
                for text, asked in zip(shown, chosen, strict=True)
            ]
            for number, response in enumerate(map(str, lm.generate_until(requests))):
                histories[number].append({"role": "assistant", "content": response.strip()})
                answers.append((number, turn, _row(number, turn, chosen[number], (shown[number], response))))
    finally:
        lm.model.set_cache_hook(CacheHook(None))  # else a cycle of references keeps the weights
    in_order = [row for *_, row in sorted(answers, key=lambda each: each[:2])]
    return Generated(answers=answer_table(in_order), **lm.asked())


def _row(number: int, turn: int, conversation: Conversation, said: tuple[str, str]) -> AnswerRow:
    references = conversation.references
    reference: dict[str, JsonValue] = {
        "question_id": conversation.id,
        "turn": turn + 1,
        "question": conversation.turns[turn],
        "right": references[turn] if references else None,
        "judge": conversation.judge_prompts[turn],
    }
    return AnswerRow(number, 0, conversation.place, conversation.group, *said, reference)


def _choose(conversations: Iterable[Conversation], protocol: Protocol) -> list[Conversation]:
    """All, or the first so many of every category; the rest is read too, for it may be damaged."""
    counts: dict[str, int] = {}
    chosen = []
    for conversation in conversations:
        counts[conversation.group] = counts.get(conversation.group, 0) + 1
        if protocol.limit is None or counts[conversation.group] <= protocol.limit:
            chosen.append(conversation)
    if not chosen:
        raise DataError(f"no questions: benchmark {protocol.benchmark}: its files have no row")
    return chosen


def _arguments_by_group(
    protocol: Protocol, chosen: Sequence[Conversation], max_length: int
) -> dict[str, dict[str, JsonValue]]:
    """lm-eval's generation arguments of every category, greedy where its temperature is 0."""
    decoding = dict(protocol.decoding)
    temperatures, seed = decoding.pop("temperatures", None), decoding.pop("seed", 0)
    if not isinstance(temperatures, dict):
        raise ConfigError(
            f"decoding is not known: benchmark {protocol.benchmark}: {protocol.decoding}, "
            "expected temperatures",
            hint="Plan with the version of a360 that evaluates.",
        )
    arguments = {}
    for conversation in chosen:
        group = conversation.group
        if group not in temperatures:
            raise DataError(
                f"category has no temperature: {conversation.place}: found {group}, "
                f"expected one of {', '.join(temperatures)}",
                hint="Convert the questions again; or is it another data set?",
            )
        drawn: dict[str, JsonValue] = {"temperature": temperatures[group], "seed": seed}
        settings = {**decoding, **(drawn if temperatures[group] else {})}
        [arguments[group]] = generation_arguments(
            protocol.model_copy(update={"decoding": settings}), max_length
        )
    return arguments
