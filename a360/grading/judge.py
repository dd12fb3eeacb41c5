"""A judge with a memory: every answer of it is in the journal before another question takes its place.

A grade job that is killed and started again asks only what it has not been told; of what was under way at
that moment, one question per worker at most is asked again. Called by a360/grade.py, which hands it to a
grader as ``GradeTask.judge``. It knows neither what is judged nor how an endpoint is reached
(a360/grading/judge_client.py).
"""

import json
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from typing import NamedTuple

from a360.grading.task import Judgment, Question
from a360.results.journal import Answer, Journal, request_hash

TRIES = 3
"""Answers of a judge to one question until one can be parsed."""


class Reply(NamedTuple):
    """What an endpoint answers, and which model it says that it is: a name such as gpt-4 moves on."""

    text: str
    model: str


class JournaledJudge:
    """Asks several questions at a time, each until its answer can be parsed, and at most ``TRIES`` times.

    Questions with the same words are one question, whose judgment counts for each of them.
    """

    def __init__(
        self,
        send: Callable[[Question], Reply],
        model: str,
        journal: Journal,
        *,
        workers: int,
        on_progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> None:
        self._send = send
        self._model = model
        self._journal = journal
        self._workers = workers
        self._on_progress = on_progress
        self._recording = threading.Lock()
        self.asked = 0
        """Answers that the endpoint gave to this process."""
        self.from_journal = 0
        self.models: set[str] = set()
        """What the endpoint called itself, in all answers that were used."""

    def __call__(self, questions: Sequence[Question], parse: Callable[[str], float | None]) -> list[Judgment]:
        """The judgment of every question, in order.

        Raises:
            A360Error: what the endpoint's client raises; answers that were there by then are kept.
        """
        different = list(dict.fromkeys(questions))
        judged = {question: self._remember(question, parse) for question in different}
        open_ones = [question for question in different if not _is_over(judged[question])]
        self._on_progress(len(different) - len(open_ones), len(different))
        with ThreadPoolExecutor(max_workers=self._workers) as pool:
            waiting = {pool.submit(self._ask, question): question for question in open_ones}
            try:
                while waiting:
                    for future in wait(waiting, return_when=FIRST_COMPLETED).done:
                        question = waiting.pop(future)
                        tries = judged[question].tries + 1
                        judged[question] = self._judgment(future.result(), tries, parse)
                        if not _is_over(judged[question]):
                            waiting[pool.submit(self._ask, question)] = question
                    self._on_progress(len(different) - len(set(waiting.values())), len(different))
            except BaseException:
                pool.shutdown(wait=True, cancel_futures=True)  # what is under way is paid for, and kept
                raise
        return [judged[question] for question in questions]

    def _remember(self, question: Question, parse: Callable[[str], float | None]) -> Judgment:
        """What the journal has of a question; no tries where it has nothing."""
        judgment = Judgment(None, "", 0)
        key = self._key(question)
        while not _is_over(judgment) and (known := self._journal.known(key, judgment.tries)):
            self.from_journal += 1
            judgment = self._judgment(_parse_reply(str(known.response)), judgment.tries + 1, parse)
        return judgment

    def _ask(self, question: Question) -> Reply:
        """A new answer, which is in the journal when this returns. Called by several threads."""
        reply = self._send(question)
        with self._recording:
            self.asked += 1
            self._journal.add(self._key(question), Answer(json.dumps(reply), 0, False))
        return reply

    def _judgment(self, reply: Reply, tries: int, parse: Callable[[str], float | None]) -> Judgment:
        self.models.add(reply.model)
        return Judgment(parse(reply.text), reply.text, tries)

    def _key(self, question: Question) -> bytes:
        return request_hash("judge", [self._model, *question])


def _is_over(judgment: Judgment) -> bool:
    return judgment.value is not None or judgment.tries >= TRIES


def _parse_reply(text: str) -> Reply:
    said, model = json.loads(text)
    return Reply(str(said), str(model))
