"""Small problems of both kinds, with right and wrong solutions; written for these tests."""

from dataclasses import dataclass

from pydantic import JsonValue


@dataclass(frozen=True, kw_only=True)
class Problem:
    """A reference as it is committed with an answer, and responses to it."""

    name: str
    reference: dict[str, JsonValue]
    right: tuple[str, ...]
    wrong: tuple[str, ...]


def completion(
    name: str, prompt: str, checks: str, right: tuple[str, ...], wrong: tuple[str, ...]
) -> Problem:
    lines = "".join(f"    {line}\n" for line in checks.strip().splitlines())
    entry_point = prompt.rsplit("def ", 1)[1].split("(")[0]
    reference: dict[str, JsonValue] = {
        "prompt": prompt,
        "test": f"def check(candidate):\n{lines}",
        "entry_point": entry_point,
    }
    return Problem(name=name, reference=reference, right=right, wrong=wrong)


def assertions(
    name: str, tests: list[str], right: tuple[str, ...], wrong: tuple[str, ...], setup: str = ""
) -> Problem:
    reference: dict[str, JsonValue] = {"test_list": [*tests], "test_setup_code": setup}
    return Problem(name=name, reference=reference, right=right, wrong=wrong)


COMPLETIONS = [
    completion(
        "widest gap",
        'def widest_gap(xs):\n    """The largest distance between neighbours."""\n',
        "assert candidate([1, 5, 6]) == 4\nassert candidate([2]) == 0\nassert candidate([]) == 0",
        ("    return max((abs(a - b) for a, b in zip(xs, xs[1:])), default=0)\n",),
        ("    return max(xs) - min(xs)\n", "    return 4\n", "    pass\n"),
    ),
    completion(
        "a helper of the prompt",
        'def shift(text):\n    return "".join(chr(ord(c) + 1) for c in text)\n\n\ndef unshift(text):\n'
        '    """Undoes shift."""\n',
        "from random import Random\nrandom = Random(1)\nfor n in range(20):\n"
        "    text = ''.join(random.choice('bcde') for _ in range(n))\n"
        "    assert candidate(shift(text)) == text",
        ('    return "".join(chr(ord(c) - 1) for c in text)\n',),
        ("    return text\n", "    global shift\n    shift = lambda t: t\n    return text\n"),
    ),
    completion(
        "changes its argument",
        'def deduplicate(xs):\n    """Removes repeated elements in place."""\n',
        "xs = [3, 1, 3, 2, 1]\nassert candidate(xs) is None\nassert xs == [3, 1, 2]",
        ("    xs[:] = dict.fromkeys(xs)\n",),
        ("    xs = list(dict.fromkeys(xs))\n", "    return list(dict.fromkeys(xs))\n"),
    ),
    completion(
        "numbers of every kind",
        "import math\n\n\ndef scale(x, factor=2):\n    '''x times factor.'''\n",
        "assert abs(candidate(1.1) - 2.2) < 1e-9\nassert candidate(1 + 2j) == 2 + 4j\n"
        "assert candidate(10**40) == 2 * 10**40\n"
        "import math\nassert math.isnan(candidate(math.nan))\nassert candidate(math.inf) == math.inf\n"
        "assert candidate('ab', factor=3) == 'ababab'\nassert candidate(b'x') == b'xx'\n"
        "assert candidate(True) == 2",
        ("    return x * factor\n",),
        ("    return x * 2\n", "    return float(x) * factor\n"),
    ),
    completion(
        "raises what it should",
        'def root(x):\n    """The integer root; ValueError for what has none."""\n',
        "assert candidate(49) == 7\ntry:\n    candidate(50)\nexcept ValueError:\n    pass\nelse:\n"
        "    assert False",
        (
            "    import math\n    r = math.isqrt(x)\n    if r * r != x:\n        raise ValueError(x)\n"
            "    return r\n",
        ),
        ("    return int(x ** 0.5)\n", "    raise ValueError\n"),
    ),
]

ASSERTIONS = [
    assertions(
        "counts letters",
        ["assert count('abca') == {'a': 2, 'b': 1, 'c': 1}", "assert count('') == {}"],
        (
            "from collections import Counter\ndef count(t):\n    return Counter(t)\n",
            "def count(t):\n    return {c: t.count(c) for c in t}\n",
        ),
        ("def count(t):\n    return dict.fromkeys(t, 1)\n", "def counts(t):\n    return {}\n"),
    ),
    assertions(
        "named like a built-in function",
        ["assert sum(12, 18) == 12", "assert sum(7, 13) == 1"],
        (
            "def sum(a, b):\n"
            "    return __builtins__['sum'](d for d in range(1, a + 1) if a % d == b % d == 0)\n",
        ),
        ("", "def sum(a, b):\n    return a + b\n"),
    ),
    assertions(
        "a class and a list built of it",
        ["assert length(head) == 3", "assert length(None) == 0", "assert head.value == 1"],
        (
            "class Node:\n    def __init__(self, value):\n        self.value, self.next = value, None\n"
            "def length(n):\n    return 0 if n is None else 1 + length(n.next)\n",
        ),
        (
            "class Node:\n    def __init__(self, value):\n        self.value, self.next = value, None\n"
            "def length(n):\n    return 1\n",
        ),
        setup="head = Node(1)\nhead.next = Node(2)\nhead.next.next = Node(3)",
    ),
    assertions(
        "rounds",
        [
            "import math\nassert math.isclose(third(1), 1 / 3, rel_tol=1e-6)",
            "assert isinstance(third(3), float)",
        ],
        ("def third(x):\n    return x / 3\n",),
        (
            "def third(x):\n    return x // 3\n",
            "class math:\n    isclose = lambda *a, **k: True\ndef third(x):\n    return 0.5\n",
        ),
    ),
    assertions(
        "uses a module without importing it",
        ["assert math.isclose(half(1), 0.5)"],
        ("import math\ndef half(x):\n    return x / 2\n", "def half(x):\n    return x / 2\n"),
        ("class math:\n    isclose = lambda *a, **k: True\ndef half(x):\n    return 7\n",),
    ),
    assertions(
        "sets, tuples and generators",
        ["assert set(pairs([1, 2])) == {(1, 1), (1, 2), (2, 1), (2, 2)}", "assert len(list(pairs([]))) == 0"],
        (
            "import itertools\ndef pairs(xs):\n    return itertools.product(xs, repeat=2)\n",
            "def pairs(xs):\n    return [(a, b) for a in xs for b in xs]\n",
            "def pairs(xs):\n    for a in xs:\n        for b in xs:\n            yield a, b\n",
        ),
        ("def pairs(xs):\n    return zip(xs, xs)\n",),
    ),
]

PROBLEMS = [*COMPLETIONS, *ASSERTIONS]
