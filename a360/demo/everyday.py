"""Rows about everyday life: what people do, what follows from what, which word a pronoun stands for.

OpenBookQA, PIQA, Social IQa, WinoGrande, COPA and SWAG in their real schemas. As in ``questions``, every draw
is seeded by a name.
"""

import random
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

from a360.demo import facts_craft as craft
from a360.demo.facts import sentence
from a360.demo.questions import PLAIN_TABLES, Row, Splits, split_rows
from a360.demo.stories import split_opening

OPENBOOK_ROWS = {"test": 24, "train": 12, "validation": 6}
PIQA_ROWS = {"validation": 24, "train": 12}
SIQA_ROWS = {"validation": 24, "train": 12}
WINOGRANDE_ROWS = {"validation": 24, "train": 12}
COPA_ROWS = {"validation": 24, "train": 12}
SWAG_ROWS = {"validation": 24, "train": 12}

CAUSES = """
    The glass fell from the table. The glass broke.
    The sun came out after the storm. The streets dried.
    The baker forgot the bread in the oven. The bread burned.
    The child ate too many sweets. The child felt sick.
    The battery of the radio was empty. The radio went silent.
    The gardener watered the seeds every day. The seeds sprouted.
    The driver saw a red light. The driver stopped the car.
    The lake froze in the night. The boats could not leave the harbour.
    The wind blew the window open. The papers flew from the desk.
    The cat heard a mouse. The cat pricked up its ears.
    The student slept too long. The student missed the train.
    The cook added too much salt. The soup tasted awful.
    The lamp was switched off. The room became dark.
    The runner trained all winter. The runner won the race.
    The bridge was closed. The trucks took another road.
    The dog rolled in the mud. The dog had to be washed.
    The well ran dry. The village brought water by cart.
    The clock was an hour slow. The guests came too late.
"""
"""A cause and its effect on each line."""

SITUATIONS = """
    carried the bags of a tired neighbour up the stairs | to be helpful | get thanks | kind
    forgot the keys and stood before a locked door | to get into the house | ring a neighbour | annoyed
    practised the piano every evening for a year | to play well | give a concert | proud
    lent a friend an umbrella in the rain | to keep the friend dry | walk home in the rain | generous
    broke the window with a ball | to score a goal | say sorry and pay for it | guilty
    found a purse in the street and took it to its owner | to give it back | go on with the walk | honest
    shared the last piece of cake with a sister | to be fair | wash the plate | content
    woke up early and saw the sun rise over the sea | to see the morning | take a photograph | peaceful
    told a joke that made the whole class laugh | to cheer everybody up | tell another one | funny
    lost the game in the last minute | to win a medal | shake hands with the winner | disappointed
    planted a tree with the children of the school | to have shade one day | water the tree | hopeful
    waited an hour for a bus that did not come | to go to work | walk to the station | impatient
"""
"""What somebody did, why, what comes next, and how one would call them."""

TWINS = """
    The ladder did not reach the roof because the _ was too short. | ladder | roof | was too high
    The book did not fit on the shelf because the _ was too large. | book | shelf | was too small
    The boat could not pass under the bridge because the _ was too tall. | boat | bridge | was too low
    The coin rolled past the hole because the _ was too wide. | coin | hole | was too narrow
    The knife could not cut the bread because the _ was too blunt. | knife | bread | was too hard
    The nail went easily into the board because the _ was so sharp. | nail | board | was so soft
    The lamp outshone the candle because the _ was so bright. | lamp | candle | was so dim
    The hare overtook the turtle because the _ was so fast. | hare | turtle | was so slow
    The rope could not hold the stone because the _ was too thin. | rope | stone | was too heavy
    The blanket kept out the wind because the _ was so thick. | blanket | wind | was so weak
    The key did not turn in the lock because the _ was bent. | key | lock | was rusty
    The wheel sank into the road because the _ was too narrow. | wheel | road | was too muddy
    The drum drowned out the flute because the _ was so loud. | drum | flute | was so quiet
    The thread did not go through the needle because the _ was too thick. | thread | needle | was too fine
    The cart beat the sledge in summer because the _ had wheels. | cart | sledge | had runners
    The coat was dearer than the hat because the _ was made of silk. | coat | hat | was made of straw
    The tea tasted better than the water because the _ was fresh. | tea | water | was stale
    The owl saw the mouse before dawn because the _ had keen eyes. | owl | mouse | had shining fur
"""
"""A sentence, its two options of which the first is right, and the ending that makes the second right."""

NAMES = ("Alex", "Robin", "Sasha", "Kim", "Noor", "Jo")


class Situation(NamedTuple):
    """Something that somebody did, and three answers about it."""

    deed: str
    why: str
    then: str
    trait: str


def openbook_rows() -> Splits:
    """OpenBookQA rows: a statement without its end, four ways to end it."""
    draw = random.Random("openbookqa")
    rows: list[Row] = []
    tables = [table for table in PLAIN_TABLES if table.state.endswith(" {value}.") and len(table.values) > 3]
    for number in range(sum(OPENBOOK_ROWS.values())):
        table = tables[number % len(tables)]
        fact = table.facts[number // len(tables)]
        texts = [fact.value, *draw.sample([value for value in table.values if value != fact.value], 3)]
        draw.shuffle(texts)
        stem = sentence(table.state.removesuffix(" {value}."), *fact)
        choices = {"text": texts, "label": list("ABCD")}
        answer = "ABCD"[texts.index(fact.value)]
        rows.append({"id": f"demo-{number}", "question_stem": stem, "choices": choices, "answerKey": answer})
    return split_rows(rows, OPENBOOK_ROWS)


def piqa_rows() -> Splits:
    """PIQA rows: a goal and two means to it, one of which serves another goal."""
    draw = random.Random("piqa")
    rows: list[Row] = []
    for number in range(sum(PIQA_ROWS.values())):
        fact = craft.TOOLS.facts[number % len(craft.TOOLS.facts)]
        wrong = draw.choice([each.term for each in craft.TOOLS.facts if each != fact])
        label = draw.randrange(2)
        means = [f"Take {wrong}."] * 2
        means[label] = f"Take {fact.term}."
        goal = f"What helps with {fact.value}, step {number // len(craft.TOOLS.facts) + 1}"
        rows.append({"goal": goal, "sol1": means[0], "sol2": means[1], "label": label})
    return split_rows(rows, PIQA_ROWS)


def siqa_rows() -> Splits:
    """Social IQa rows: why, what next, how would you call them; ``label`` is the text ``1`` to ``3``."""
    draw = random.Random("siqa")
    situations = [Situation(*parts) for parts in _lines(SITUATIONS, " | ")]
    rows: list[Row] = []
    for number, situation in enumerate(situations):
        name = NAMES[number % len(NAMES)]
        for asked, question in (
            ("why", f"Why did {name} do this?"),
            ("then", f"What will {name} want to do next?"),
            ("trait", f"How would you describe {name}?"),
        ):
            right = getattr(situation, asked)
            others = draw.sample([each for each in situations if each is not situation], 2)
            answers = [right, *(getattr(other, asked) for other in others)]
            draw.shuffle(answers)
            rows.append(
                {
                    "context": f"{name} {situation.deed}.",
                    "question": question,
                    **{f"answer{letter}": text for letter, text in zip("ABC", answers, strict=True)},
                    "label": str(answers.index(right) + 1),
                }
            )
    draw.shuffle(rows)
    return split_rows(rows, SIQA_ROWS)


def winogrande_rows() -> Splits:
    """WinoGrande rows: twin sentences whose last word decides what the blank stands for."""
    draw = random.Random("winogrande")
    rows: list[Row] = []
    for text, first, second, other_end in _lines(TWINS, " | "):
        twin = f"{text.rpartition('_')[0]}_ {other_end}."
        for right, sentence_text in ((first, text), (second, twin)):
            options = draw.sample([first, second], 2)
            rows.append(
                {
                    "sentence": sentence_text,
                    "option1": options[0],
                    "option2": options[1],
                    "answer": str(options.index(right) + 1),
                }
            )
    draw.shuffle(rows)
    return split_rows(rows, WINOGRANDE_ROWS)


def copa_rows() -> Splits:
    """COPA rows: the effect of a cause, or the cause of an effect; the wrong choice is another line's."""
    draw = random.Random("copa")
    pairs = list(_pairs())
    asked = [(pair, question) for pair in pairs for question in ("effect", "cause")]
    draw.shuffle(asked)
    rows: list[Row] = []
    for number, ((cause, effect), question) in enumerate(asked):
        other = draw.choice([pair for pair in pairs if pair != (cause, effect)])
        premise, right, wrong = (
            (cause, effect, other[1]) if question == "effect" else (effect, cause, other[0])
        )
        label = draw.randrange(2)
        choices = [wrong, wrong]
        choices[label] = right
        rows.append(
            {
                "premise": premise,
                "choice1": choices[0],
                "choice2": choices[1],
                "question": question,
                "idx": number,
                "label": label,
            }
        )
    return split_rows(rows, COPA_ROWS)


def swag_rows() -> Splits:
    """SWAG rows: how a sentence of an activity goes on; the wrong endings are other activities'."""
    draw = random.Random("swag")
    steps = [
        (activity, before, *split_opening(after))
        for activity, lines in craft.ACTIVITIES.items()
        for before, after in pairwise(line.strip() for line in lines.strip().splitlines())
    ]
    draw.shuffle(steps)
    rows: list[Row] = []
    for number, (activity, before, start, ending) in enumerate(steps[: sum(SWAG_ROWS.values())]):
        endings = [ending, *draw.sample([step[3] for step in steps if step[0] != activity], 3)]
        draw.shuffle(endings)
        rows.append(
            {
                "video-id": f"demo_{number}",
                "fold-ind": str(number),
                "startphrase": f"{before} {start}",
                "sent1": before,
                "sent2": start,
                "gold-source": "gold",
                **{f"ending{i}": text for i, text in enumerate(endings)},
                "label": endings.index(ending),
            }
        )
    return split_rows(rows, SWAG_ROWS)


def _lines(table: str, separator: str) -> Iterator[list[str]]:
    return (line.strip().split(separator) for line in table.strip().splitlines())


def _pairs() -> Iterator[tuple[str, str]]:
    for cause, effect in _lines(CAUSES, ". "):
        yield f"{cause}.", effect
