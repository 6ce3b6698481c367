"""The temporary server: it answers, and it never outlives whoever started it."""

import os
import signal
import subprocess
import sys
import time

import httpx
import pytest

from flows.server.temporary_server import TemporaryServer

STARTED_BY_A_PROCESS_THAT_IS_KILLED = """
import os, signal
from flows.server.temporary_server import TemporaryServer
server = TemporaryServer()
server.wait()
print(server.url, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def is_up(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health", timeout=2).status_code == 200
    except httpx.HTTPError:
        return False


def test_it_ends_with_a_process_that_is_killed() -> None:
    started = subprocess.run(
        [sys.executable, "-c", STARTED_BY_A_PROCESS_THAT_IS_KILLED],
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert started.returncode == -signal.SIGKILL
    url = started.stdout.strip()
    for _ in range(100):
        if not is_up(url):
            return
        time.sleep(0.1)
    pytest.fail(f"{url} still answers")


def test_one_that_dies_at_its_start_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "PREFECT_SERVER_DATABASE_CONNECTION_URL", "nonsense://x")
    server = TemporaryServer()
    with pytest.raises(RuntimeError, match="did not start"):
        server.wait()
