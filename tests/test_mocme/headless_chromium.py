"""A page in headless Chromium, driven by the DevTools protocol."""

import json
import shutil
import subprocess
import tempfile
import time
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
_START_SECONDS = 20.0
_OPTIONS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
    *("--no-first-run", "--disable-extensions", "--disable-background-networking"),
    *("--remote-debugging-port=0", "--hide-scrollbars", "about:blank"),
)


def find_chromium() -> str | None:
    """Return the program's path, if it is on this machine."""
    return next((path for path in map(shutil.which, NAMES) if path), None)


class Page:
    """An open page.

    Attributes:
        problems: What the console said of errors, and what could not be loaded.
        requests: Addresses that the page has asked for.
    """

    def __init__(self, socket: ClientConnection, session: str) -> None:
        self._socket, self._session, self._number = socket, session, 0
        self.problems: list[str] = []
        self.requests: list[str] = []
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Call a method and return its result."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        self._socket.send(json.dumps({**message, "sessionId": self._session}))
        while True:
            answer = json.loads(self._socket.recv(timeout=_START_SECONDS))
            if answer.get("id") == self._number:
                assert "error" not in answer, answer["error"]
                return dict(answer["result"])
            self._note(answer)

    def _note(self, event: dict[str, Any]) -> None:
        method, params = event.get("method"), event.get("params", {})
        if method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        elif method in {"Runtime.exceptionThrown", "Network.loadingFailed"} or (
            method == "Runtime.consoleAPICalled" and params["type"] in {"error", "warning"}
        ):
            self.problems.append(json.dumps(params))
        elif method == "Log.entryAdded" and params["entry"]["level"] in {"error", "warning"}:
            self.problems.append(json.dumps(params["entry"]))

    def open(self, path: Path, *, width: int = 1280, height: int = 900, dark: bool = False) -> None:
        """Load a file at a width, in light or dark, and wait until it is there."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.call("Emulation.setDeviceMetricsOverride", **size)
        self.call("Page.navigate", url=path.resolve().as_uri())
        for _ in range(200):
            if self.ask("document.readyState === 'complete' && location.protocol === 'file:'"):
                return
            time.sleep(0.05)
        raise TimeoutError(path)

    def ask(self, expression: str) -> Any:
        """Return an expression's value; a promise is awaited."""
        found = self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def press(self, key: str) -> None:
        """Press and release a key, such as `Tab` or `Enter`."""
        codes = {"Tab": 9, "Enter": 13}
        text = {"text": "\r"} if key == "Enter" else {}
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key,
                      windowsVirtualKeyCode=codes[key], **text)  # fmt: skip

    def screenshot(self, path: Path) -> None:
        """Write what is seen as PNG."""
        path.write_bytes(b64decode(self.call("Page.captureScreenshot", format="png")["data"]))


@contextmanager
def open_chromium(program: str, *, scripts: bool = True) -> Iterator[Page]:
    """Start Chromium with a profile of its own and yield an empty page; end it afterwards."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        process = subprocess.Popen(
            [program, f"--user-data-dir={profile}", *_OPTIONS],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            address = _address(Path(profile) / "DevToolsActivePort")
            with connect(address, max_size=None, proxy=None) as socket:
                page = Page(socket, _attach(socket))
                page.call("Emulation.setScriptExecutionDisabled", value=not scripts)
                yield page
        finally:
            process.terminate()
            process.wait(timeout=_START_SECONDS)


def _address(file: Path) -> str:
    end = time.monotonic() + _START_SECONDS
    while time.monotonic() < end:
        lines = file.read_text().splitlines() if file.exists() else []
        if len(lines) == 2:
            return f"ws://127.0.0.1:{lines[0]}{lines[1]}"
        time.sleep(0.05)
    raise TimeoutError(f"{file}: Chromium did not start")


def _attach(socket: ClientConnection) -> str:
    """Return the session of the page that Chromium has opened."""
    socket.send(json.dumps({"id": -1, "method": "Target.getTargets"}))
    targets = json.loads(socket.recv())["result"]["targetInfos"]
    page = next(target["targetId"] for target in targets if target["type"] == "page")
    params = {"targetId": page, "flatten": True}
    socket.send(json.dumps({"id": -2, "method": "Target.attachToTarget", "params": params}))
    while True:
        answer = json.loads(socket.recv())
        if answer.get("id") == -2:
            return str(answer["result"]["sessionId"])
