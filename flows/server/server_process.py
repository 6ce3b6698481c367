"""The temporary server's process: `python -m flows.server.server_process LISTENER FOLDER`.

It reads nothing of the working folder, and answers only who has its secret; see
`flows/server/temporary_server.py`.
"""

import os
import shutil
import signal
import socket
import sys
import time
from base64 import b64encode
from collections.abc import Awaitable, Callable, MutableMapping
from functools import partial
from hmac import compare_digest
from pathlib import Path
from threading import Thread
from typing import Any

from flows.server.surroundings import DATABASES

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_SHUTDOWN_SECONDS = 10.0
_POLICY_VIOLATION = 1008  # RFC 6455


class Guard:
    """Answers the process that started the server and its children, and refuses everybody else.

    Prefect's own check of the secret remains, which is the one for web sockets: their clients send
    it as the first message. A browser says by `Origin` that a page asks, and by `Host` under which
    name; the answers to both carry no header that lets a page read them.

    Args:
        app: Prefect's server.
        host: The only `Host`: address and port.
        auth_string: The secret.
    """

    def __init__(self, app: App, host: str, auth_string: str) -> None:
        self._app = app
        self._host = host.encode()
        self._authorization = b"Basic " + b64encode(auth_string.encode())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer or refuse a request; see the ASGI specification."""
        from starlette.responses import JSONResponse

        if scope["type"] == "lifespan" or (status := self._refuse(scope)) is None:
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": _POLICY_VIOLATION})
        else:
            await JSONResponse({"detail": "refused"}, status)(scope, receive, send)

    def _refuse(self, scope: Scope) -> int | None:
        """Return the status to refuse a request with; None to answer it."""
        headers = scope["headers"]
        if [value for name, value in headers if name == b"host"] != [self._host]:
            return 421
        if any(name == b"origin" for name, _ in headers):
            return 403
        given = b"".join(value for name, value in headers if name == b"authorization")
        if scope["type"] == "http" and not compare_digest(given, self._authorization):
            return 401
        return None


def serve(listener: socket.socket, folder: Path) -> None:
    """Be the server until standard input ends.

    Args:
        listener: Where requests arrive; those of the time before it answers wait there.
        folder: The server's own; deleted in the end.
    """
    parent = os.getppid()
    clean_up = partial(_clean_up, folder, parent)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())  # uvicorn passes it on when it has ended
    Thread(target=_end_with_parent, args=(clean_up,), daemon=True).start()
    try:
        import uvicorn

        _choose_database(folder)
        from prefect.server.api.server import create_app

        host, port = listener.getsockname()
        secret = os.environ["PREFECT_SERVER_API_AUTH_STRING"]
        app = Guard(create_app(), f"{host}:{port}", secret)
        config = uvicorn.Config(app, log_level="error", lifespan="on")
        uvicorn.Server(config).run(sockets=[listener])
    finally:
        clean_up()


def _choose_database(folder: Path) -> None:
    """Make a database in the folder, unless the user has named one.

    Migrations take seconds, and a new database needs none: its tables are made as Prefect's models
    describe them.
    """
    from prefect.context import refresh_global_settings_context
    from prefect.settings import get_current_settings

    settings = get_current_settings()
    url = settings.server.database.connection_url
    default = f"sqlite+aiosqlite:///{settings.home}/prefect.db"
    is_named = url is not None and url.get_secret_value() != default
    if is_named or any(map(os.environ.get, DATABASES)):
        return
    path = folder / "prefect.db"
    os.environ[DATABASES[0]] = f"sqlite+aiosqlite:///{path}"
    os.environ["PREFECT_API_DATABASE_MIGRATE_ON_START"] = "0"
    os.environ["PREFECT_API_BLOCKS_REGISTER_ON_START"] = "0"
    refresh_global_settings_context()
    create_tables(path)


def create_tables(path: Path) -> None:
    """Make Prefect's tables in a new SQLite file."""
    from prefect.server.database import provide_database_interface
    from sqlalchemy import create_engine
    from sqlalchemy.schema import CreateIndex, CreateTable

    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        for table in provide_database_interface().Base.metadata.sorted_tables:
            connection.execute(CreateTable(table))
            for index in table.indexes:  # the models list some twice
                connection.execute(CreateIndex(index, if_not_exists=True))
    engine.dispose()


def _end_with_parent(clean_up: Callable[[], None]) -> None:
    """End in good order when the process that started this one has ended, however it did."""
    while os.read(sys.stdin.fileno(), 1):  # a buffered read would upset the interpreter's end
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_SHUTDOWN_SECONDS)
    clean_up()
    os._exit(1)


def _clean_up(folder: Path, parent: int) -> None:
    """Delete the server's folder, and the one around it if the process that it is of was killed."""
    is_orphan = os.getppid() != parent
    shutil.rmtree(folder.parent if is_orphan else folder, ignore_errors=True)


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])), Path(sys.argv[2]))
