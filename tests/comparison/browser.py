"""A headless Chromium, driven through a pipe by its DevTools protocol; no package is needed."""

import base64
import contextlib
import json
import os
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome")
BINARY = next(filter(None, map(shutil.which, NAMES)), "")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--disable-sync",
    "--disable-component-update",
    "--disable-background-networking",
    "--no-first-run",
    "--window-size=2000,1300",
    "--remote-debugging-pipe",
)
#: Chromium reads commands from file 3 and answers on file 4.
LAUNCH = (
    "import fcntl, os, sys\n"
    "given = [fcntl.fcntl(int(file), fcntl.F_DUPFD, 10) for file in sys.argv[1:3]]\n"
    "os.dup2(given[0], 3), os.dup2(given[1], 4)\n"
    "os.execv(sys.argv[3], sys.argv[3:])"
)
#: `text`, what is visible says, and `all`, the visible elements, innermost first; both look into
#: shadow roots.
SCRIPT = """
const inside = node => [...(node.shadowRoot ? [node.shadowRoot] : []), ...node.childNodes];
const hidden = node => node.nodeType === 1 &&
  (/^(STYLE|SCRIPT|TEMPLATE)$/.test(node.nodeName) || !node.checkVisibility());
const text = node => node.nodeType === 3 ? node.data :
  hidden(node) ? '' : inside(node).map(text).join(' ');
const all = node => hidden(node) ? [] :
  [...inside(node).flatMap(all), ...(node.nodeType === 1 ? [node] : [])];
"""


class Page:
    """One tab."""

    def __init__(self, commands: int, answers: int) -> None:
        self.commands, self.answers = commands, answers
        self.calls, self.rest, self.session = 0, b"", None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self.session = session["sessionId"]

    def call(self, method: str, within: float = 60, **params: Any) -> dict[str, Any]:
        """Send a command and wait for its answer; events are passed over."""
        self.calls += 1
        message: dict[str, Any] = {"id": self.calls, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.commands, json.dumps(message).encode() + b"\0")
        end = time.monotonic() + within
        while True:
            while b"\0" not in self.rest:
                ready, _, _ = select.select([self.answers], [], [], end - time.monotonic())
                found = os.read(self.answers, 2**20) if ready else b""
                assert found, f"{method}: {'Chromium ended' if ready else 'no answer'}"
                self.rest += found
            answer, _, self.rest = self.rest.partition(b"\0")
            answer = json.loads(answer)
            if answer.get("id") == self.calls:
                assert "error" not in answer, f"{method}: {answer['error']}"
                return answer["result"]

    def open(self, url: str) -> None:
        """Go to a page, anew."""
        self.call("Page.navigate", url="about:blank")
        self.call("Page.navigate", url=url)

    def run(self, expression: str) -> Any:
        """The value of a JavaScript expression."""
        wrapped = f"(() => {{ {SCRIPT}; return {expression}; }})()"
        answer = self.call("Runtime.evaluate", expression=wrapped, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def text(self) -> str:
        """What the page says, white space made single spaces."""
        return " ".join(self.run("document.body ? text(document.body) : ''").split())

    def wait_for(self, *words: str, within: float = 60) -> str:
        """The page's text, once it says all of some words."""
        end = time.monotonic() + within
        while missing := [each for each in words if each not in (said := self.text())]:
            assert time.monotonic() < end, f"the page says no {missing}, but: {said}"
            time.sleep(0.3)
        return self.text()

    def wait_until(self, condition: str, within: float = 60) -> None:
        """Wait for a JavaScript condition to hold."""
        end = time.monotonic() + within
        while not self.run(condition):
            assert time.monotonic() < end, f"never: {condition}"
            time.sleep(0.3)

    def click(self, words: str) -> None:
        """Click on the innermost element that says exactly these words."""
        found = f"all(document.body).find(e => text(e).trim() === {json.dumps(words)})"
        self.run(f"{found}.click()")

    def screenshot(self, path: Path) -> Path:
        """Write what the window shows as a PNG file."""
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot")["data"]))
        return path


@contextlib.contextmanager
def browse(profile: Path) -> Iterator[Page]:
    """Start Chromium with a profile of its own, and end it afterwards."""
    theirs_in, commands = os.pipe()
    answers, theirs_out = os.pipe()
    command = [BINARY, *FLAGS, f"--user-data-dir={profile}"]
    process = subprocess.Popen(
        [sys.executable, "-c", LAUNCH, str(theirs_in), str(theirs_out), *command],
        pass_fds=(theirs_in, theirs_out),
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    os.close(theirs_in)
    os.close(theirs_out)
    try:
        yield Page(commands, answers)
    finally:
        os.close(commands)  # at which Chromium ends
        os.close(answers)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
