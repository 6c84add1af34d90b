"""A headless Chromium, driven over a pipe by its own DevTools protocol: no port, no driver, no other package."""

from __future__ import annotations

import base64
import fcntl
import itertools
import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

SECONDS = 120.0
"""How long anything may take before a test fails: generous, for a machine that is busy."""


def find_chromium() -> str | None:
    """Where Chromium is, if it is."""
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    return next((path for path in map(shutil.which, names) if path), None)


class BrowserError(AssertionError):
    """The browser said no, or nothing."""


class Browser:
    """One page of one browser. What it loads, logs and violates is kept for tests to look at."""

    def __init__(self, commands: int, answers: int) -> None:
        self._commands, self._answers, self._buffer = commands, answers, b""
        self._numbers, self._session = itertools.count(1), ""
        self.requests: list[str] = []
        self.sent: list[str] = []
        self.complaints: list[str] = []
        target = self._call("Target.createTarget", {"url": "about:blank"})["targetId"]
        self._session = self._call("Target.attachToTarget", {"targetId": target, "flatten": True})["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self._call(f"{domain}.enable")

    # ---- the protocol

    def _call(self, method: str, parameters: dict[str, Any] | None = None) -> dict[str, Any]:
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": parameters or {}}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        limit = time.monotonic() + SECONDS
        while True:
            answer = self._next(limit)
            if answer.get("id") == number:
                if "error" in answer:
                    raise BrowserError(f"{method}: {answer['error']['message']}")
                result: dict[str, Any] = answer["result"]
                return result

    def _next(self, limit: float) -> dict[str, Any]:
        """The next message; events are noted on the way."""
        while b"\0" not in self._buffer:
            if not select.select([self._answers], [], [], max(0, limit - time.monotonic()))[0]:
                raise BrowserError("the browser is silent")
            data = os.read(self._answers, 1 << 20)
            if not data:
                raise BrowserError("the browser has ended")
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\0")
        message: dict[str, Any] = json.loads(line)
        self._note(message.get("method", ""), message.get("params", {}))
        return message

    def _note(self, event: str, values: dict[str, Any]) -> None:
        if event == "Network.requestWillBeSent":
            self.requests.append(values["request"]["url"])
            self.sent.append(values["request"].get("postData", ""))
        elif event == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(values["exceptionDetails"])[:500])
        elif event == "Log.entryAdded" and values["entry"]["level"] == "error":
            self.complaints.append(f"{values['entry']['text']} {values['entry'].get('url', '')}")
        elif event == "Runtime.consoleAPICalled" and values["type"] in ("error", "assert"):
            self.complaints.append(json.dumps(values["args"])[:500])

    # ---- what a person does

    def open(self, address: str) -> None:
        """Go to a page and wait until it is there."""
        self.evaluate("globalThis.stale = true")
        result = self._call("Page.navigate", {"url": address})
        if result.get("errorText"):
            raise BrowserError(f"{address}: {result['errorText']}")
        self.wait("!globalThis.stale && document.readyState === 'complete'")

    def evaluate(self, expression: str) -> Any:
        """What an expression is worth in the page; a promise is awaited."""
        wanted = {"expression": expression, "returnByValue": True, "awaitPromise": True}
        result = self._call("Runtime.evaluate", wanted)
        if "exceptionDetails" in result:
            raise BrowserError(json.dumps(result["exceptionDetails"])[:800])
        return result["result"].get("value")

    def wait(self, condition: str) -> None:
        """Wait until a condition holds in the page."""
        limit = time.monotonic() + SECONDS
        while time.monotonic() < limit:
            try:
                if self.evaluate(f"Boolean({condition})"):
                    return
            except BrowserError as error:  # a page that is being left has no context for a moment
                if "context" not in str(error).lower() and "navigat" not in str(error).lower():
                    raise
            time.sleep(0.05)
        raise BrowserError(f"never: {condition}; {self.evaluate('document.body.innerText')[:500]}")

    def text(self, selector: str = "body") -> str:
        """What a part of the page says."""
        return str(self.evaluate(f"document.querySelector({json.dumps(selector)})?.innerText ?? ''"))

    def fill(self, selector: str, value: str) -> None:
        """Write into a field, as a person does: with the events that it causes."""
        field = f"document.querySelector({json.dumps(selector)})"
        self.evaluate(
            f"{field}.value = {json.dumps(value)}; {field}.dispatchEvent(new Event('input', {{bubbles: true}}));"
            f"{field}.dispatchEvent(new Event('change', {{bubbles: true}}))"
        )

    def choose(self, selector: str, path: Path) -> None:
        """Choose a file in a field."""
        root = self._call("DOM.getDocument")["root"]["nodeId"]
        node = self._call("DOM.querySelector", {"nodeId": root, "selector": selector})["nodeId"]
        self._call("DOM.setFileInputFiles", {"files": [str(path)], "nodeId": node})

    def submit(self, selector: str) -> None:
        """Press a form's button and wait for the page that follows."""
        self.evaluate(f"globalThis.stale = true; document.querySelector({json.dumps(selector)}).click()")
        self.wait("!globalThis.stale && document.readyState === 'complete'")

    def click(self, selector: str) -> None:
        """Press something that stays on this page."""
        self.evaluate(f"document.querySelector({json.dumps(selector)}).click()")

    def press(self, key: str) -> None:
        """Press a key."""
        for kind in ("keyDown", "keyUp"):
            code = {"Tab": 9, "Enter": 13}[key]
            values = {"type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code}
            if key == "Enter" and kind == "keyDown":
                values["text"] = "\r"
            self._call("Input.dispatchKeyEvent", values)

    def size(self, width: int, height: int, dark: bool = False) -> None:
        """Give the window a size."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
        self._call("Emulation.setDeviceMetricsOverride", metrics)
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self._call("Emulation.setEmulatedMedia", {"features": scheme})

    def language(self, tag: str) -> None:
        """Ask for pages in a language."""
        self._call("Network.setExtraHTTPHeaders", {"headers": {"Accept-Language": tag}})

    def forget(self) -> None:
        """Forget cookies."""
        self._call("Network.clearBrowserCookies")

    def cookies(self) -> list[dict[str, Any]]:
        """All cookies."""
        return list(self._call("Network.getAllCookies")["cookies"])

    def screenshot(self, path: Path) -> None:
        """Write what the whole page looks like."""
        shown = self._call("Page.captureScreenshot", {"captureBeyondViewport": True})
        path.write_bytes(base64.b64decode(shown["data"]))


@contextmanager
def chromium(path: str, profile: Path) -> Iterator[Browser]:
    """Start a headless Chromium and end it."""
    theirs_in, commands = os.pipe()
    answers, theirs_out = os.pipe()
    arguments = [
        path,
        "--headless=new",
        "--remote-debugging-pipe",
        f"--user-data-dir={profile}",
        "--no-first-run",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--no-proxy-server",
        "--hide-scrollbars",
        *(["--no-sandbox"] if os.geteuid() == 0 else []),
    ]
    ends = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in (theirs_in, theirs_out)]
    process = subprocess.Popen(
        arguments,
        preexec_fn=lambda: [os.dup2(end, number) for number, end in enumerate(ends, 3)],  # noqa: PLW1509
        close_fds=False,  # what Python opens is closed by itself; 3 and 4 are where the browser looks for its pipe
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    for end in (theirs_in, theirs_out, *ends):
        os.close(end)
    try:
        yield Browser(commands, answers)
    finally:
        os.close(commands)
        os.close(answers)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)
            process.wait(20)
