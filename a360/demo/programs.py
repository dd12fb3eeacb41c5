"""Programming problems in the schemas of HumanEval and MBPP, written for this project."""

from typing import Any, NamedTuple

from a360.demo.questions import Splits


class Problem(NamedTuple):
    """A function that is asked for: its head, what it does, its body, and calls that have to hold."""

    head: str
    task: str
    body: str
    tests: tuple[str, ...]

    @property
    def name(self) -> str:
        """What tests call."""
        return self.head.removeprefix("def ").partition("(")[0]


PROBLEMS = (
    Problem(
        "def count_vowels(text: str) -> int:",
        "Count the letters a, e, i, o and u in a text, large and small ones alike.",
        "    return sum(letter in 'aeiou' for letter in text.lower())\n",
        ("count_vowels('Audio') == 4", "count_vowels('rhythm') == 0", "count_vowels('') == 0"),
    ),
    Problem(
        "def running_total(numbers: list) -> list:",
        "Give the list of the sums of the first one, two, three and so on of the numbers.",
        "    totals, total = [], 0\n"
        "    for number in numbers:\n"
        "        total += number\n"
        "        totals.append(total)\n"
        "    return totals\n",
        (
            "running_total([1, 2, 3]) == [1, 3, 6]",
            "running_total([]) == []",
            "running_total([5, -5]) == [5, 0]",
        ),
    ),
    Problem(
        "def longest_word(sentence: str) -> str:",
        "Find the longest word of a sentence; of several that are equally long the first one.",
        "    return max(sentence.split(), key=len, default='')\n",
        (
            "longest_word('a quick fox') == 'quick'",
            "longest_word('one two') == 'one'",
            "longest_word('') == ''",
        ),
    ),
    Problem(
        "def digits_add_up(number: int, total: int) -> bool:",
        "Say whether the decimal digits of a number that is not negative add up to a total.",
        "    return sum(map(int, str(number))) == total\n",
        ("digits_add_up(123, 6) == True", "digits_add_up(99, 17) == False", "digits_add_up(0, 0) == True"),
    ),
)


EXAMPLES = (
    Problem(
        "def half(number: int) -> float:",
        "Divide a number by two.",
        "    return number / 2\n",
        ("half(4) == 2.0", "half(-1) == -0.5", "half(0) == 0.0"),
    ),
    Problem(
        "def last_letter(text: str) -> str:",
        "Give the last letter of a text, and nothing of an empty one.",
        "    return text[-1:]\n",
        ("last_letter('moon') == 'n'", "last_letter('x') == 'x'", "last_letter('') == ''"),
    ),
    Problem(
        "def shared(left: list, right: list) -> list:",
        "List what stands in both of two lists, in the order of the first one.",
        "    return [each for each in left if each in right]\n",
        ("shared([1, 2, 3], [3, 1]) == [1, 3]", "shared([], [1]) == []", "shared([7], [8]) == []"),
    ),
)
"""What is shown solved before a problem."""


def humaneval_rows() -> Splits:
    """A head with a docstring, and a function ``check`` that takes the candidate."""
    return {
        "test": [
            {
                "task_id": f"Demo/{number}",
                "prompt": f'{problem.head}\n    """{problem.task}\n    """\n',
                "canonical_solution": problem.body,
                "test": "def check(candidate):\n"
                + "".join(
                    f"    assert {test.replace(problem.name, 'candidate')}\n" for test in problem.tests
                ),
                "entry_point": problem.name,
            }
            for number, problem in enumerate(PROBLEMS)
        ]
    }


def mbpp_rows() -> Splits:
    """Problems, and examples under the numbers that the original's examples have."""
    return {
        "test": [_mbpp_row(number, problem) for number, problem in enumerate(PROBLEMS, start=11)],
        "prompt": [_mbpp_row(number, problem) for number, problem in enumerate(EXAMPLES, start=2)],
    }


def _mbpp_row(number: int, problem: Problem) -> dict[str, Any]:
    """A task in words, whole code with Windows' line ends as in the original, and assertions."""
    return {
        "task_id": number,
        "text": problem.task,
        "code": f"{problem.head}\n{problem.body}".replace("\n", "\r\n"),
        "test_list": [f"assert {test}" for test in problem.tests],
        "test_setup_code": "",
        "challenge_test_list": [],
    }
