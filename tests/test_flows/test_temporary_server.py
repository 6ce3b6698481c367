"""The temporary server: it answers its own process alone, and leaves nothing behind."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import sqlalchemy
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from flows.server.server_process import create_tables
from flows.server.temporary_server import ServerError, TemporaryServer
from storage.isolation import python_command

CLIENT = httpx.Client(trust_env=False)  # each new one reads all certificates
STARTED_BY_A_PROCESS_THAT_IS_KILLED = """
import os, signal
from flows.server.surroundings import scratch_folder
from flows.server.temporary_server import TemporaryServer
server = TemporaryServer()
server.wait()
print(server.url, scratch_folder(), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(scope="module")
def server() -> Iterator[TemporaryServer]:
    server = TemporaryServer()
    server.wait()
    yield server
    server.stop()


def headers(server: TemporaryServer, **changes: str) -> dict[str, str]:
    token = b64encode(server.auth_string.encode()).decode()
    return {"Authorization": f"Basic {token}", **changes}


def test_it_ends_with_a_process_that_is_killed() -> None:
    started = subprocess.run(
        python_command("-c", STARTED_BY_A_PROCESS_THAT_IS_KILLED),
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert started.returncode == -signal.SIGKILL
    url, folder = started.stdout.split()
    address = httpx.URL(url).host, httpx.URL(url).port
    for _ in range(150):
        with socket.socket() as client:
            is_up = client.connect_ex(address) == 0
        if not is_up and not Path(folder).exists():
            return
        time.sleep(0.1)
    pytest.fail(f"{url} still answers, or {folder} is still there")


def test_one_that_dies_at_its_start_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "PREFECT_SERVER_DATABASE_CONNECTION_URL", "nonsense://x")
    server = TemporaryServer()
    with pytest.raises(ServerError, match=r"did not start: .*nonsense") as error:
        server.wait()
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("path", ["/health", "/flows/filter", "/admin/version", "/../docs", "/.."])
def test_a_stranger_is_refused(server: TemporaryServer, path: str) -> None:
    for method in ("GET", "POST", "OPTIONS"):
        answer = CLIENT.request(method, server.url + path)
        assert answer.status_code == 401, (method, answer)
    wrong = CLIENT.get(server.url + path, headers={"Authorization": "Basic eDp5"})
    assert wrong.status_code == 401


@pytest.mark.parametrize("origin", ["https://evil.example", "http://127.0.0.1:8000", "null"])
def test_a_web_page_is_refused(server: TemporaryServer, origin: str) -> None:
    asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    for method, carried in (("OPTIONS", asked), ("POST", headers(server, Origin=origin))):
        answer = CLIENT.request(method, f"{server.url}/flows/filter", headers=carried, json={})
        assert answer.status_code == 403
        assert not [name for name in answer.headers if name.startswith("access-control")]


@pytest.mark.parametrize("host", ["evil.example", "localhost", "127.0.0.1", "127.0.0.1:1"])
def test_another_host_is_refused(server: TemporaryServer, host: str) -> None:
    answer = CLIENT.get(f"{server.url}/admin/version", headers=headers(server, Host=host))
    assert answer.status_code == 421


def test_its_own_process_is_answered(server: TemporaryServer) -> None:
    answer = CLIENT.post(f"{server.url}/flows/filter", headers=headers(server), json={})
    assert answer.json() == []


@pytest.mark.parametrize("origin", ["https://evil.example", None])
def test_a_web_socket_of_a_stranger_is_refused(server: TemporaryServer, origin: str) -> None:
    address = server.url.replace("http", "ws", 1) + "/events/in"
    if origin is not None:
        with pytest.raises(InvalidStatus, match="403"):
            connect(address, origin=origin)  # type: ignore[arg-type]
        return
    with connect(address, subprotocols=["prefect"]) as client:  # type: ignore[list-item]
        client.send(json.dumps({"type": "auth", "token": "guessed"}))
        with pytest.raises(Exception, match=r"1008|Invalid token"):
            client.recv(timeout=20)


def test_no_command_line_holds_the_secret(server: TemporaryServer) -> None:
    secret = server.auth_string.partition(":")[2].encode()
    shown = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
    assert any(b"flows.server.server_process" in words for words in shown)
    assert not any(secret in words for words in shown)


@pytest.mark.slow
def test_its_tables_are_those_of_the_migrations(tmp_path: Path) -> None:
    create_tables(tmp_path / "made.db")
    migrate = "import asyncio; from prefect.server.database import provide_database_interface as p;"
    subprocess.run(
        [sys.executable, "-c", f"{migrate} asyncio.run(p().create_db())"],
        env={**os.environ, "PREFECT_HOME": str(tmp_path)},
        check=True,
    )
    made, migrated = columns(tmp_path / "made.db"), columns(tmp_path / "prefect.db")
    # These two are for migrations, and for Prefect's cloud; no model reads them.
    assert migrated.keys() - made.keys() == {"alembic_version", "deployment_version"}
    for table, names in made.items():
        assert names == migrated[table] - {"version_id"}, table


def columns(path: Path) -> dict[str, set[str]]:
    inspector = sqlalchemy.inspect(sqlalchemy.create_engine(f"sqlite:///{path}"))
    return {
        table: {column["name"] for column in inspector.get_columns(table)}
        for table in inspector.get_table_names()
    }
