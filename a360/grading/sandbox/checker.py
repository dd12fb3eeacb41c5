"""The process that decides: runs a benchmark's own tests, which ask the candidate over a pipe.

No line of a candidate runs here. The verdict leaves by a pipe that the candidate's process never had.
"""

import json
import os
from importlib import import_module
from types import CodeType

from a360.grading.sandbox.candidate import READY
from a360.grading.sandbox.codec import RefusedError
from a360.grading.sandbox.lockdown import Policy, confine
from a360.grading.sandbox.names import missing_modules, remote_names
from a360.grading.sandbox.remote import BrokenError, Channel, Remote
from a360.grading.sandbox.wire import GoneError, read_frame

STARTED = b"started\n"
"""Both processes are confined and nothing untrusted has run: from here on a program's time counts."""


def main(words: list[str]) -> None:
    """Confines itself, waits for the candidate and writes one verdict as a line of JSON."""
    policy = Policy.from_json(words[0])
    requests, replies, verdicts = map(int, words[1:4])
    with open(0, "rb", closefd=False) as file:
        program = json.load(file)
    confine(policy)
    if read_frame(replies) != READY:
        raise OSError("the candidate's process did not start")
    os.write(verdicts, STARTED)
    channel = Channel(requests, replies)
    verdict, detail = judge(program, channel)
    printable = detail[:200].encode("ascii", "backslashreplace").decode()
    gone = "yes" if isinstance(channel.trouble, GoneError) else ""
    line = json.dumps({"verdict": verdict, "detail": printable, "gone": gone})
    os.write(verdicts, f"{line}\n".encode())
    os._exit(0)  # no destructor of a test has a say after the verdict


def judge(program: dict[str, str | None], channel: Channel) -> tuple[str, str]:
    """The verdict of a program and its reason in words, which may come from the program."""
    try:
        channel.ask("load", program["program"])
        _test(program, channel)
    except BrokenError as error:
        return "broken", str(error)
    except RefusedError as error:
        return "refused", str(error)
    except MemoryError:
        return ("resource" if channel.exhausted else "refused"), "out of memory"
    except BaseException as error:  # a test's, or a name of the candidate's choice
        reason = f"{type(error).__name__}: {error}"
        return _failed(channel), reason
    if channel.trouble is not None:  # a test that swallows every exception
        kind = "refused" if isinstance(channel.trouble, RefusedError) else "failed"
        return kind, str(channel.trouble)
    return "passed", ""


def _failed(channel: Channel) -> str:
    if isinstance(channel.trouble, RefusedError):
        return "refused"
    if channel.exhausted and not isinstance(channel.trouble, GoneError):
        return "resource"
    return "failed"


def _test(program: dict[str, str | None], channel: Channel) -> None:
    """Runs the tests; they raise what does not hold."""
    tests, entry_point = program["tests"] or "", program["entry_point"]
    names: dict[str, object] = {}
    if entry_point is None:
        names |= {name: import_module(name) for name in missing_modules(tests)}
        names |= {name: Remote(channel, name) for name in remote_names(tests)}
        exec(compile(tests, "<tests>", "exec"), names)
        return
    exec(_helpers(program["helpers"] or ""), names)
    candidate = Remote(channel, entry_point)
    names[entry_point] = candidate
    exec(compile(tests, "<tests>", "exec"), names)
    check = names["check"]
    if not callable(check):
        raise TypeError("the tests define no function check")
    check(candidate)


def _helpers(prompt: str) -> CodeType:
    """The prompt's own functions; its last one may still lack a body."""
    try:
        return compile(prompt, "<prompt>", "exec")
    except SyntaxError:
        return compile(f"{prompt.rstrip()}\n    pass\n", "<prompt>", "exec")
