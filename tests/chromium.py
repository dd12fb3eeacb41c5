"""A headless Chromium for tests, driven over the pipe of its DevTools protocol: no port, no driver."""

import base64
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-extensions",
    "--disable-sync",
    "--hide-scrollbars",
    "--metrics-recording-only",
    "--no-default-browser-check",
    "--no-first-run",
    "--remote-debugging-pipe",
)


def find_chromium() -> str | None:
    """The browser's path, or None."""
    return next((path for path in map(shutil.which, NAMES) if path), None)


class Opened(NamedTuple):
    """What happened while a page was open."""

    errors: list[str]
    """Exceptions, error logs, violations of the content security policy."""
    requests: list[str]
    """Every address that the page asked for, its own included."""


class Page:
    """One tab."""

    def __init__(self, browser: "Browser", session: str) -> None:
        self._browser = browser
        self._session = session
        self.seen = Opened([], [])

    def call(self, method: str, **parameters: object) -> dict[str, Any]:
        """The answer to a command of the protocol."""
        return self._browser.call(method, self._session, **parameters)

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise AssertionError(json.dumps(answer["exceptionDetails"], indent=1))
        return answer["result"].get("value")

    def screenshot(self, path: Path, *, whole: bool = True) -> None:
        """Writes a PNG of the page as it is now."""
        answer = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(answer["data"]))

    def note(self, event: dict[str, Any]) -> None:
        """Keeps what matters of an event."""
        method, what = event["method"], event["params"]
        if method == "Runtime.exceptionThrown":
            self.seen.errors.append(json.dumps(what["exceptionDetails"]))
        elif method == "Runtime.consoleAPICalled" and what["type"] in ("error", "warning", "assert"):
            self.seen.errors.append(json.dumps(what["args"]))
        elif method == "Log.entryAdded" and what["entry"]["level"] in ("error", "warning"):
            self.seen.errors.append(what["entry"]["text"])
        elif method == "Network.requestWillBeSent":
            self.seen.requests.append(what["request"]["url"])


class Browser:
    """A running Chromium."""

    def __init__(self, commands: int, answers: int) -> None:
        self._commands = commands
        self._answers = answers
        self._buffer = b""
        self._number = 0
        self._pages: dict[str, Page] = {}

    def call(self, method: str, session: str | None = None, **parameters: object) -> dict[str, Any]:
        """The answer to a command; events that come before it go to their page."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        os.write(
            self._commands, json.dumps(message | ({"sessionId": session} if session else {})).encode() + b"\0"
        )
        while True:
            answer = self._read()
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise AssertionError(f"{method}: {answer['error']}")
                return dict(answer["result"])
            if answer.get("sessionId") in self._pages:
                self._pages[answer["sessionId"]].note(answer)

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            data = os.read(self._answers, 1 << 20)
            if not data:
                raise AssertionError("chromium closed its pipe")
            self._buffer += data
        text, _, self._buffer = self._buffer.partition(b"\0")
        return dict(json.loads(text))

    def open(self, uri: str, *, width: int = 1280, height: int = 900, dark: bool = False) -> Page:
        """A tab that has loaded the address."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = self._pages[session] = Page(self, session)
        for domain in ("Runtime", "Log", "Network", "Page"):
            page.call(f"{domain}.enable")
        page.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        page.call("Emulation.setEmulatedMedia", features=[scheme])
        page.call("Page.navigate", url=uri)
        loaded = "document.readyState === 'complete' && location.href !== 'about:blank'"
        page.evaluate(
            f"new Promise(done => {{ const wait = () => {loaded} ? requestAnimationFrame(() => "
            "requestAnimationFrame(done)) : setTimeout(wait, 10); wait(); })"
        )
        return page


@contextmanager
def running_chromium(binary: str, folder: Path) -> Iterator[Browser]:
    """A browser with a fresh profile, stopped at the end."""
    to_browser, commands = os.pipe()
    answers, from_browser = os.pipe()

    def take_pipes() -> None:  # Chromium reads descriptor 3 and writes descriptor 4
        for source, wanted in ((to_browser, 13), (from_browser, 14), (13, 3), (14, 4)):
            os.dup2(source, wanted)

    process = subprocess.Popen(
        [binary, *FLAGS, f"--user-data-dir={folder}", "about:blank"],
        preexec_fn=take_pipes,
        close_fds=False,
        stdout=subprocess.DEVNULL,
        stderr=(folder.parent / f"{folder.name}.log").open("wb"),
        start_new_session=True,
    )
    os.close(to_browser)
    os.close(from_browser)
    try:
        yield Browser(commands, answers)
    finally:
        os.close(commands)
        os.close(answers)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
