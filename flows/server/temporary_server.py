"""A Prefect server for the length of one process, for machines that have no server.

Prefect starts one itself where no server is configured, but only after it has imported all of the
server into the asking process too, and that one answers everybody. This one starts while the asking
process imports Prefect, answers that process and its children alone, and ends with that process,
however that ends. Its database ends with it, unless the user has named one.
"""

import os
import re
import secrets
import socket
import subprocess
import tempfile
from base64 import b64encode
from contextlib import suppress
from pathlib import Path

from flows.server.surroundings import scratch_folder
from storage.errors import MocmeError
from storage.isolation import python_command, python_environment

_STARTUP_SECONDS = 120.0
_SECONDS_TO_END = 5.0
_MODULE = "flows.server.server_process"
_SETTINGS = {
    "PREFECT__SERVER_EPHEMERAL": "1",
    "PREFECT_SERVER_API_BASE_PATH": "/api",
    "PREFECT_SERVER_MEMOIZE_BLOCK_AUTO_REGISTRATION": "0",  # writes to PREFECT_HOME
    "PREFECT_UI_ENABLED": "0",
}
_ERROR_LINE = re.compile(r"[\w.]*(Error|Exception|Exit|Warning)\b.*")


class ServerError(MocmeError):
    """A Prefect server that does not answer as one."""


class TemporaryServer:
    """A server in a process of its own. Making it starts it and does not wait for it.

    The secret goes to the server by its environment, which other users cannot read.

    Attributes:
        url: Address of its API.
        auth_string: What a request must carry, as `PREFECT_API_AUTH_STRING`.
    """

    def __init__(self) -> None:
        self.auth_string = f"mocme:{secrets.token_urlsafe(32)}"
        self._folder = Path(tempfile.mkdtemp(prefix="server-", dir=scratch_folder()))
        self._log = tempfile.TemporaryFile(dir=scratch_folder())  # noqa: SIM115 - until the end
        secret = {"PREFECT_SERVER_API_AUTH_STRING": self.auth_string}
        read_end, self._lifeline = os.pipe()  # closes when this process ends
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.url = f"http://127.0.0.1:{listener.getsockname()[1]}/api"
            self._process = subprocess.Popen(  # noqa: S603 - our own module
                python_command("-m", _MODULE, str(listener.fileno()), str(self._folder)),
                stdin=read_end,
                stdout=self._log,
                stderr=self._log,
                pass_fds=[listener.fileno()],
                env=python_environment(**_SETTINGS, **secret),
                cwd=self._folder,
                start_new_session=True,  # an interrupt from the keyboard is for the run alone
            )
        os.close(read_end)

    def wait(self) -> None:
        """Wait until the server answers.

        Raises:
            ServerError: If it does not.
        """
        import httpx

        headers = {"Authorization": f"Basic {b64encode(self.auth_string.encode()).decode()}"}
        try:
            with httpx.Client(trust_env=False, headers=headers, timeout=_STARTUP_SECONDS) as client:
                client.get(f"{self.url}/health").raise_for_status()
        except httpx.HTTPError as error:
            self.stop()
            raise ServerError(
                f"Prefect's temporary server {self.url} did not start: {self._last_error(error)}; "
                "allowed: PREFECT_API_URL=ADDRESS of a running one, TMPDIR=FOLDER with room, or, "
                "where a database is named, one in a folder that exists"
            ) from error

    def connect(self) -> None:
        """Wait until the server answers, and keep this process's runs and its children's on it.

        Raises:
            ServerError: If it does not answer.
        """
        from prefect.context import refresh_global_settings_context

        self.wait()
        os.environ["PREFECT_API_URL"] = self.url
        os.environ["PREFECT_API_AUTH_STRING"] = self.auth_string
        os.environ["PREFECT_CLIENT_CUSTOM_HEADERS"] = "{}"  # those are for the user's own server
        refresh_global_settings_context()

    def stop(self) -> None:
        """Let the server end, without waiting for it."""
        os.close(self._lifeline)

    def _last_error(self, error: Exception) -> str:
        """Return the last error that the server wrote, else the client's."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_SECONDS_TO_END)
        self._log.seek(0)
        lines = self._log.read().decode(errors="replace").splitlines()
        return next(filter(_ERROR_LINE.match, reversed(lines)), str(error))
