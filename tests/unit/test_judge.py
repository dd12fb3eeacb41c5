"""A judge behind HTTP: what is asked, what is tried again, what ends it, and what is remembered."""

import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from a360.errors import A360Error, ConfigError, DataError, TransientError
from a360.grading.judge import TRIES, JournaledJudge, Reply
from a360.grading.judge_client import JudgeClient
from a360.grading.ratings import parse_rating
from a360.grading.task import Judgment, Question
from a360.results.journal import Journal
from a360.storage import Store, open_store
from a360.suite import JudgeSection
from tests.judge_server import KEY, Asked, completion, judge_server
from tests.servers import Answer

QUESTION = Question("be fair", "rate this")


@pytest.fixture
def pauses() -> list[float]:
    return []


def client(url: str, pauses: list[float], *, timeout: float = 5.0, attempts: int = 4) -> JudgeClient:
    settings = JudgeSection(model="m", url=url, timeout_seconds=timeout, attempts=attempts)
    return JudgeClient(settings, KEY, pauses.append)


def in_turn(*answers: str | Answer) -> Callable[[Asked], str | Answer]:
    """The answers one after the other, the last one for ever."""
    left = list(answers)
    return lambda asked: left.pop(0) if len(left) > 1 else left[0]


# --- ratings -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Rating: [[7]]", 7.0), ("[[7.5]]", 7.5), ("[3] sources, so [[9]]", 9.0), ("Rating: [4]", 4.0),
        ("[[10]]", 10.0), ("[[1]] not [[2]]", 1.0), ("Rating: 7", None), ("[[seven]]", None), ("", None),
        ("[[0]]", None), ("[[11]]", None), ("[[100]]", None), ("[[-3]]", None), ("[[]]", None), ("[x]", None),
        ("[[0]] or [5]", None),
    ],
)  # fmt: skip
def test_a_rating_is_in_double_brackets_else_in_single_ones_and_on_the_scale(
    text: str, expected: float | None
) -> None:
    assert parse_rating(text, 1, 10) == expected


# --- the endpoint ------------------------------------------------------------------------------------


def test_a_question_is_a_chat_at_temperature_0_with_the_key_in_its_header(pauses: list[float]) -> None:
    with judge_server(in_turn("fine")) as server:
        assert client(server.url, pauses)(QUESTION) == Reply("fine", "m-0613")
        assert client(f"{server.url}/", pauses)(Question("", "x")).text == "fine"
    [first, second] = server.asked
    assert first.body == {
        "model": "m",
        "messages": [{"role": "system", "content": "be fair"}, {"role": "user", "content": "rate this"}],
        "temperature": 0,
        "max_tokens": 2048,
    }
    assert first.key == KEY
    assert [message["role"] for message in second.body["messages"]] == ["user"]
    assert pauses == []


def test_a_judge_that_asks_for_no_key_gets_none() -> None:
    with judge_server(in_turn("fine")) as server:
        JudgeClient(JudgeSection(model="m", url=server.url), None)(QUESTION)
    assert server.asked[0].key == ""


def test_white_space_around_a_key_is_no_part_of_it() -> None:
    with judge_server(in_turn("fine")) as server:
        JudgeClient(JudgeSection(model="m", url=server.url), f" {KEY}\n")(QUESTION)
        JudgeClient(JudgeSection(model="m", url=server.url), " \n")(QUESTION)
    assert [asked.key for asked in server.asked] == [KEY, ""]


@pytest.mark.parametrize("key", ["two\nlines", "sch\u00f6n", "tab\there"])
def test_a_key_that_cannot_be_sent_is_refused_and_not_shown(key: str) -> None:
    with pytest.raises(ConfigError, match="A360_JUDGE_API_KEY has line breaks") as caught:
        JudgeClient(JudgeSection(model="m", url="http://127.0.0.1:9"), key)
    assert key not in str(caught.value)


@pytest.mark.parametrize("status", [500, 502, 503, 529])
def test_a_judge_that_breaks_down_is_asked_again_with_growing_pauses(
    status: int, pauses: list[float]
) -> None:
    with judge_server(in_turn(Answer(status), Answer(status), "fine")) as server:
        assert client(server.url, pauses)(QUESTION).text == "fine"
    assert (len(server.asked), pauses) == (3, [1.0, 2.0])


def test_a_judge_that_stays_broken_is_no_rating_but_to_be_tried_again(pauses: list[float]) -> None:
    with (
        judge_server(in_turn(Answer(500, b"oops"))) as server,
        pytest.raises(TransientError, match=r"judge does not answer: .*: status 500 at the last of 4 tries"),
    ):
        client(server.url, pauses)(QUESTION)
    assert (len(server.asked), pauses) == (4, [1.0, 2.0, 4.0])


@pytest.mark.parametrize(
    ("header", "expected"),
    [("7", 7.0), ("0", 0.0), ("100000", 60.0), ("soon", 1.0), ("-5", 1.0), ("", 1.0)],
)
def test_a_busy_judge_says_when_it_wants_to_be_asked_again(
    header: str, expected: float, pauses: list[float]
) -> None:
    with judge_server(in_turn(Answer(429, b"", {"Retry-After": header}), "fine")) as server:
        assert client(server.url, pauses)(QUESTION).text == "fine"
    assert pauses == [expected]


def test_it_may_say_so_with_a_date(pauses: list[float]) -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    past = format_datetime(datetime.now(UTC) - timedelta(days=1), usegmt=True)
    busy = [Answer(429, b"", {"Retry-After": text}) for text in (date, past)]
    with judge_server(in_turn(*busy, "fine")) as server:
        client(server.url, pauses)(QUESTION)
    assert 20 < pauses[0] <= 30
    assert pauses[1] == 0.0


@pytest.mark.parametrize(
    ("status", "kind", "hint"),
    [
        (401, ConfigError, "A360_JUDGE_API_KEY"), (403, ConfigError, "right to use"),
        (404, ConfigError, "judge.url"), (301, ConfigError, "judge.url"),
        (400, DataError, "context"), (422, DataError, "context"),
    ],
)  # fmt: skip
def test_what_another_try_would_not_change_ends_at_once_and_without_the_key(
    status: int, kind: type[A360Error], hint: str, pauses: list[float]
) -> None:
    said = f"the key {KEY}\nis  no good. {'x' * 500}".encode()
    refusal = Answer(status, said, {"Location": "http://x"})
    with judge_server(in_turn(refusal)) as server, pytest.raises(kind) as caught:
        client(server.url, pauses)(QUESTION)
    message = str(caught.value)
    assert f"judge refuses with status {status}: {server.url}/chat/completions: the key *** is no" in message
    assert hint in message
    assert KEY not in message
    assert len(message) < 500
    assert (len(server.asked), pauses) == (1, [])


def test_a_slow_judge_and_one_that_is_away_are_tried_again(pauses: list[float]) -> None:
    def slow(asked: Asked) -> str:
        if len(server.asked) == 1:
            time.sleep(0.5)
        return "fine"

    with judge_server(slow) as server:
        assert client(server.url, pauses, timeout=0.2)(QUESTION).text == "fine"
    assert pauses == [1.0]
    with pytest.raises(TransientError, match="at the last of 2 tries"):
        client(server.url, pauses, attempts=2)(QUESTION)


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b"{}", b'{"choices": []}', b'{"choices": [{"message": 1}]}', b"\xff"]
)
def test_an_answer_that_is_no_chat_completion_is_tried_again(body: bytes, pauses: list[float]) -> None:
    with judge_server(in_turn(Answer(200, body), "fine")) as server:
        assert client(server.url, pauses)(QUESTION).text == "fine"
    assert len(pauses) == 1


def test_a_judge_that_says_nothing_has_answered(pauses: list[float]) -> None:
    with judge_server(in_turn(completion(None, "m"))) as server:
        assert client(server.url, pauses)(QUESTION) == Reply("", "m-0613")


@pytest.mark.parametrize(
    "url", ["judge.example.com", "ftp://x", "https://user:secret@x/v1", "http://x/v1?k=1"]
)
def test_an_address_that_is_none_or_holds_a_secret_is_refused_in_the_suite(url: str) -> None:
    with pytest.raises(ValueError, match="url"):
        JudgeSection(model="m", url=url)


# --- its memory --------------------------------------------------------------------------------------


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    return open_store(str(tmp_path / "store"))  # type: ignore[return-value]


class Scripted:
    """Answers of a judge by question, in order; an error is raised."""

    def __init__(self, **answers: list[str | Exception]) -> None:
        self.answers = {prompt: list(of) for prompt, of in answers.items()}
        self.asked: list[str] = []
        self._lock = threading.Lock()

    def __call__(self, question: Question) -> Reply:
        with self._lock:
            self.asked.append(question.prompt)
            answer = self.answers[question.prompt].pop(0)
        if isinstance(answer, Exception):
            raise answer
        return Reply(answer, "m-0613")


def judge(
    store: Store, send: Scripted, attempt: str = "a", model: str = "m", workers: int = 1
) -> JournaledJudge:
    journal = Journal(store, "k" * 16, attempt, flush_requests=1)
    journal.load()
    return JournaledJudge(send, model, journal, workers=workers)


def ask(asked: JournaledJudge, *prompts: str) -> list[Judgment]:
    return asked([Question("", prompt) for prompt in prompts], lambda text: parse_rating(text, 1, 10))


def test_nonsense_is_asked_again_and_then_has_no_value(store: Store) -> None:
    send = Scripted(a=["hm", "[[0]]", "[[8]]"], b=["hm", "[[99]]", ""])
    found = ask(judge(store, send), "a", "b")
    assert found == [Judgment(8.0, "[[8]]", 3), Judgment(None, "", TRIES)]
    assert sorted(send.asked) == ["a"] * 3 + ["b"] * 3


def test_a_second_attempt_asks_only_what_it_was_not_told(store: Store) -> None:
    with pytest.raises(TransientError):
        ask(judge(store, Scripted(a=["[[3]]"], b=[TransientError("away")])), "a", "b")
    again = Scripted(b=["hm", "[[5]]"], c=["[[6]]"])
    second = judge(store, again, "b")
    found = ask(second, "a", "b", "c")
    assert [judgment.value for judgment in found] == [3.0, 5.0, 6.0]
    assert sorted(again.asked) == ["b", "b", "c"]
    assert (second.asked, second.from_journal) == (3, 1)
    third = judge(store, Scripted(), "c")
    assert ask(third, "a", "b", "c") == found
    assert (third.asked, third.from_journal, third.models) == (0, 4, {"m-0613"})


def test_tries_of_earlier_attempts_count(store: Store) -> None:
    first = Scripted(a=["hm", "hm", TransientError("away")])
    with pytest.raises(TransientError):
        ask(judge(store, first), "a")
    second = Scripted(a=["still hm"])
    assert ask(judge(store, second, "b"), "a") == [Judgment(None, "still hm", TRIES)]
    assert ask(judge(store, Scripted(), "c"), "a") == [Judgment(None, "still hm", TRIES)]


def test_another_model_is_asked_anew(store: Store) -> None:
    ask(judge(store, Scripted(a=["[[3]]"])), "a")
    assert ask(judge(store, Scripted(a=["[[4]]"]), "b", model="other"), "a")[0].value == 4.0


def test_equal_questions_are_asked_once_and_judged_alike(store: Store) -> None:
    send = Scripted(a=["[[3]]"], b=["[[4]]"])
    assert [found.value for found in ask(judge(store, send), "a", "b", "a")] == [3.0, 4.0, 3.0]
    assert sorted(send.asked) == ["a", "b"]


def test_judgments_are_in_the_order_of_questions_whoever_answers_first(store: Store) -> None:
    def send(question: Question) -> Reply:
        time.sleep(0.05 * (3 - int(question.prompt)))
        return Reply(f"[[{question.prompt}]]", "m")

    progress: list[tuple[int, int]] = []
    journal = Journal(store, "k" * 16, "a", flush_requests=1)
    asked = JournaledJudge(
        send, "m", journal, workers=3, on_progress=lambda done, total: progress.append((done, total))
    )
    assert [found.value for found in ask(asked, "1", "2", "3")] == [1.0, 2.0, 3.0]
    assert progress[0] == (0, 3)
    assert progress[-1] == (3, 3)


def test_what_others_answered_while_one_failed_is_kept(store: Store) -> None:
    started = threading.Event()

    def send(question: Question) -> Reply:
        if question.prompt == "bad":
            assert started.wait(5)
            raise ConfigError("refused")
        started.set()
        time.sleep(0.2)
        return Reply("[[5]]", "m")

    journal = Journal(store, "k" * 16, "a", flush_requests=1)
    with pytest.raises(ConfigError, match="refused"):
        ask(JournaledJudge(send, "m", journal, workers=2), "bad", "slow")
    assert ask(judge(store, Scripted(), "b"), "slow")[0].value == 5.0


def test_a_judgment_is_in_the_store_before_another_question_is_asked(store: Store) -> None:
    def files() -> int:
        return len(list(store.list("v1/journal/")))

    def send(question: Question) -> Reply:
        seen.append(files())
        return Reply("[[5]]", "m")

    seen: list[int] = []
    ask(JournaledJudge(send, "m", Journal(store, "k" * 16, "a", flush_requests=1), workers=1), *"abc")
    assert seen == [0, 1, 2]
    assert files() == 3


def test_the_journal_holds_words_and_no_key(store: Store) -> None:
    with judge_server() as server:
        journal = Journal(store, "k" * 16, "a", flush_requests=1)
        sender = JudgeClient(JudgeSection(model="m", url=server.url), KEY)
        ask(JournaledJudge(sender, "m", journal, workers=1), "a")
    stored = b"".join(store.read(entry.key) for entry in store.list(""))
    assert stored
    assert KEY.encode() not in stored
