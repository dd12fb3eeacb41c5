"""Four conversations of two turns, right answers to two of them, and short prompts for a judge.

All of it is written for this project, in the schema of MT-bench. The demo's suite names no judge, so nobody
asks these unless a suite does.
"""

from a360.demo.questions import Splits

_QUESTIONS = (
    ("101", "writing", ("Write two sentences about a harbour.", "Now say it as a short poem.")),
    ("102", "math", ("What is 17 plus 25?", "Double the result.")),
    ("103", "reasoning", ("Tom is older than Eva, Eva than Jan. Who is youngest?", "Who is oldest?")),
    ("104", "stem", ("Why does ice float on water?", "Name one thing that follows from it for a lake.")),
)  # fmt: skip
_REFERENCES = (("102", ("42", "84")), ("103", ("Jan", "Tom")))
_SCALE = "Rate the answer from 1 (useless) to 10 (excellent) and write the number as [[5]]."
_ASSISTANT = "You are a fair judge of answers."
_PROMPTS = (
    ("single-v1", f"{_SCALE}\n\nQuestion: {{question}}\n\nAnswer: {{answer}}"),
    (
        "single-math-v1",
        f"{_SCALE}\n\nQuestion: {{question}}\n\nRight answer: {{ref_answer_1}}\n\nAnswer: {{answer}}",
    ),
    (
        "single-v1-multi-turn",
        f"{_SCALE} Rate the second answer only.\n\nFirst question: {{question_1}}\n\n"
        "First answer: {answer_1}\n\nSecond question: {question_2}\n\nSecond answer: {answer_2}",
    ),
    (
        "single-math-v1-multi-turn",
        f"{_SCALE} Rate the second answer only.\n\nFirst question: {{question_1}}\n\n"
        "Right answer: {ref_answer_1}\n\nFirst answer: {answer_1}\n\nSecond question: {question_2}\n\n"
        "Right answer: {ref_answer_2}\n\nSecond answer: {answer_2}",
    ),
)


def question_rows() -> Splits:
    """Questions of four categories, each with two turns."""
    return {
        "test": [
            {"question_id": number, "category": category, "turns": list(turns)}
            for number, category, turns in _QUESTIONS
        ]
    }


def reference_rows() -> Splits:
    """The right answers of the categories that have some."""
    return {"test": [{"question_id": number, "turns": list(turns)} for number, turns in _REFERENCES]}


def judge_prompt_rows() -> Splits:
    """A prompt for each turn, with and without right answers."""
    return {
        "test": [
            {"name": name, "system_prompt": _ASSISTANT, "prompt_template": template}
            for name, template in _PROMPTS
        ]
    }
