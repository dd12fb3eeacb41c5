"""An OpenAI-compatible chat endpoint over HTTP: one question, one answer, at temperature 0.

The only module that knows the judge's key. Every failure is sorted into what a person must do (ConfigError),
what another try would not change (DataError) and what may pass (TransientError, after several tries with
growing pauses, or those that the endpoint asks for). Neither errors nor logs hold the key.
"""

import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from a360.errors import A360Error, ConfigError, DataError, TransientError
from a360.grading.judge import Reply
from a360.grading.task import Question
from a360.suite import JudgeSection

try:
    import httpx2
except ImportError as error:
    raise ConfigError(
        f"the judge cannot be reached without the package {error.name}", hint="install a360[data]"
    ) from error

KEY_VARIABLE = "A360_JUDGE_API_KEY"
MAX_TOKENS = 2048
FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 60.0
"""Also of a pause that the endpoint asks for: whoever wants to wait longer starts the job again."""
_CONNECT_SECONDS = 10.0
_SHOWN_CHARACTERS = 200
_HINTS = {
    401: f"Give a valid key: {KEY_VARIABLE}; on a cluster the Secret that judge.existingSecret names.",
    403: f"Ask for the right to use the model, or give another key: {KEY_VARIABLE}.",
    404: "Compare judge.url (up to and without /chat/completions) and judge.model with what is served.",
}


logging.getLogger("httpx2").setLevel(logging.WARNING)  # else a line for every question


class JudgeClient:
    """A judge's endpoint, for several threads at a time.

    Raises:
        ConfigError: the key has characters that no header may have; the message does not show it.
    """

    def __init__(
        self, settings: JudgeSection, key: str | None, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._settings = settings
        self._key = _checked(key)
        self._sleep = sleep
        self._address = f"{settings.url.rstrip('/')}/chat/completions"
        self._http = httpx2.Client(
            headers={"Authorization": f"Bearer {self._key}"} if self._key else {},
            timeout=httpx2.Timeout(settings.timeout_seconds, connect=_CONNECT_SECONDS),
            limits=httpx2.Limits(max_connections=settings.workers),
        )

    def close(self) -> None:
        """Ends all connections."""
        self._http.close()

    def __call__(self, question: Question) -> Reply:
        """The endpoint's answer.

        Raises:
            ConfigError: the key is refused, or there is no such model or address.
            DataError: the endpoint refuses the question.
            TransientError: it is busy, broken or away, also after all tries.
        """
        for number in range(1, self._settings.attempts + 1):
            try:
                return self._ask(question)
            except _PassingError as passing:
                if number == self._settings.attempts:
                    raise TransientError(
                        f"judge does not answer: {self._address}: {passing} at the last of {number} tries",
                        hint="What it has answered is kept; grade again when it is back.",
                    ) from None
                pause = (
                    FIRST_PAUSE_SECONDS * 2 ** (number - 1) if passing.seconds is None else passing.seconds
                )
                self._sleep(min(max(pause, 0.0), LONGEST_PAUSE_SECONDS))
        raise AssertionError("unreachable")

    def _ask(self, question: Question) -> Reply:
        system = [{"role": "system", "content": question.system}] if question.system else []
        body = {
            "model": self._settings.model,
            "messages": [*system, {"role": "user", "content": question.prompt}],
            "temperature": 0,
            "max_tokens": MAX_TOKENS,
        }
        try:
            answer = self._http.post(self._address, json=body)
        except httpx2.TimeoutException:
            raise _PassingError("no answer in time") from None
        except (httpx2.InvalidURL, httpx2.UnsupportedProtocol) as error:
            raise ConfigError(f"judge has no usable address: {self._address}: {error}") from None
        except httpx2.HTTPError as error:
            raise _PassingError(self._hidden(str(error) or type(error).__name__)) from None
        if answer.status_code == 429 or answer.status_code >= 500:
            raise _PassingError(f"status {answer.status_code}", _asked_pause(answer))
        if answer.status_code != 200:
            raise self._refused(answer)
        return _reply(answer)

    def _refused(self, answer: "httpx2.Response") -> A360Error:
        said = self._hidden(" ".join(answer.text.split()))[:_SHOWN_CHARACTERS]
        message = f"judge refuses with status {answer.status_code}: {self._address}: {said or 'no reason'}"
        if answer.status_code in (400, 413, 422):
            return DataError(message, hint="Is the answer longer than the judge's context?")
        return ConfigError(message, hint=_HINTS.get(answer.status_code, _HINTS[404]))

    def _hidden(self, text: str) -> str:
        return text.replace(self._key, "***") if self._key else text


def _checked(key: str | None) -> str | None:
    """The key without white space around it, which files and Secrets often have; None for an empty one."""
    key = (key or "").strip()
    if not (key.isascii() and key.isprintable()):
        raise ConfigError(
            f"the judge's key cannot be sent: {KEY_VARIABLE} has line breaks, or letters that are not ASCII",
            hint="Compare it with what the judge's operator has given you.",
        )
    return key or None


class _PassingError(Exception):
    """A failure that may pass, and the seconds after which the endpoint wants to be asked again."""

    def __init__(self, reason: str, seconds: float | None = None) -> None:
        super().__init__(reason)
        self.seconds = seconds


def _asked_pause(answer: "httpx2.Response") -> float | None:
    """Seconds of a Retry-After header, which is a number or a date."""
    text = str(answer.headers.get("Retry-After", "")).strip()
    if text.isdecimal():
        return float(text)
    try:
        return (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds()
    except (ValueError, TypeError):
        return None


def _reply(answer: "httpx2.Response") -> Reply:
    """The words of a chat completion; none at all are an answer, which then cannot be parsed."""
    try:
        document = answer.json()
        content = document["choices"][0]["message"]["content"]
        model = document.get("model", "")
    except (ValueError, KeyError, IndexError, TypeError, AttributeError):
        raise _PassingError("status 200 without a chat completion") from None
    return Reply(content if isinstance(content, str) else "", str(model))
