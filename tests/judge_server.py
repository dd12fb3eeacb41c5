"""A stand-in for a judge's endpoint, by default on the loopback interface and with good answers."""

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tests.servers import Answer, Request, stub_server

KEY = "sk-a-key-that-nobody-may-see"


class Asked(NamedTuple):
    """A question as the endpoint got it."""

    model: str
    system: str
    prompt: str
    key: str
    body: dict[str, Any]


@dataclass
class JudgeServer:
    """A running stand-in and every question that it got, in order."""

    url: str
    asked: list[Asked] = field(default_factory=list)

    @property
    def prompts(self) -> list[str]:
        return [asked.prompt for asked in self.asked]


def rating_of(prompt: str, model: str) -> int:
    """What the stand-in thinks of a prompt: 1 to 10, another model thinks otherwise."""
    return 1 + int(hashlib.sha256(f"{model} {prompt}".encode()).hexdigest(), 16) % 10


def good(asked: Asked) -> str:
    """A judgment as a good judge writes it, with numbers before the rating."""
    return f"The answer [sic] has 3 faults in 200 words. Rating: [[{rating_of(asked.prompt, asked.model)}]]"


def completion(text: str | None, model: str) -> Answer:
    """A chat completion as OpenAI's endpoint sends it."""
    document = {
        "id": "x",
        "object": "chat.completion",
        "model": f"{model}-0613",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}],
    }
    return Answer(200, json.dumps(document).encode(), {"Content-Type": "application/json"})


@contextmanager
def judge_server(
    say: Callable[[Asked], str | Answer] = good, host: str = "127.0.0.1"
) -> Iterator[JudgeServer]:
    """An endpoint that says a text, or sends a whole HTTP answer; everything else is refused with 404."""

    def respond(request: Request) -> Answer:
        if (request.method, request.path) != ("POST", "/v1/chat/completions"):
            return Answer(404, b"no such place")
        body = json.loads(request.body)
        *system, user = body["messages"]
        key = request.headers.get("authorization", "").removeprefix("Bearer ")
        asked = Asked(body["model"], "".join(m["content"] for m in system), user["content"], key, body)
        server.asked.append(asked)
        said = say(asked)
        return completion(said, asked.model) if isinstance(said, str) else said

    with stub_server(respond, host) as stub:
        server = JudgeServer(f"{stub.url}/v1")
        yield server
