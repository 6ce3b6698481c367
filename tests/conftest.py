"""What all tests share: a Prefect of their own, away from the user's."""

import atexit
import os
import shutil
import tempfile
from collections.abc import Iterator

import pytest

_PREFECT_HOME = tempfile.mkdtemp(prefix="mocme-prefect-")
atexit.register(shutil.rmtree, _PREFECT_HOME, ignore_errors=True)

# Before anything imports Prefect: no server of the user's, no database or results of theirs.
os.environ.pop("PREFECT_API_URL", None)
os.environ["PREFECT_HOME"] = _PREFECT_HOME
os.environ["PREFECT_LOCAL_STORAGE_PATH"] = f"{_PREFECT_HOME}/storage"
os.environ["PREFECT_SERVER_ANALYTICS_ENABLED"] = "false"
os.environ["DO_NOT_TRACK"] = "1"
# Torch's threads spin while they wait, which takes minutes where other work needs the cores; and
# `make test` runs a process on each core already.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Prefect writes to the standard error of its import, which is another test's, closed since.
os.environ["PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL"] = "CRITICAL"


@pytest.fixture(scope="session")
def prefect_server() -> Iterator[str]:
    """One server for all tests that run flows, until they end; yields its API's address."""
    from flows.server.temporary_server import TemporaryServer

    server = TemporaryServer()
    from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

    server.connect()
    with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
        yield server.url
