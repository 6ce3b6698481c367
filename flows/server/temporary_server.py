"""A Prefect server for the length of one process, for machines that have no server.

Prefect starts one itself where no server is configured, but only after it has imported all of the
server into the asking process too. This one starts while the asking process imports Prefect, and
ends with that process, however that ends. Both keep their runs in the same database, which
`prefect server start` shows.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from threading import Thread

_STARTUP_SECONDS = 120.0  # the first start of all creates the database
_SHUTDOWN_SECONDS = 10.0


class TemporaryServer:
    """A server in a process of its own. Making it starts it and does not wait for it.

    Attributes:
        url: Address of its API.
    """

    def __init__(self) -> None:
        read_end, self._lifeline = os.pipe()  # closes when this process ends
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.url = f"http://127.0.0.1:{listener.getsockname()[1]}/api"
            subprocess.Popen(  # noqa: S603 - our own module
                [sys.executable, "-m", __name__, str(listener.fileno())],
                stdin=read_end,
                pass_fds=[listener.fileno()],
                env={**os.environ, "PREFECT__SERVER_EPHEMERAL": "1", "PREFECT_UI_ENABLED": "0"},
                start_new_session=True,  # an interrupt from the keyboard is for the run alone
            )
        os.close(read_end)

    def wait(self) -> None:
        """Wait until the server answers.

        Raises:
            RuntimeError: If it does not.
        """
        import httpx

        try:
            httpx.get(f"{self.url}/health", timeout=_STARTUP_SECONDS).raise_for_status()
        except httpx.HTTPError as error:
            self.stop()
            raise RuntimeError(f"Prefect's temporary server {self.url} did not start") from error

    def stop(self) -> None:
        """Let the server end, without waiting for it."""
        os.close(self._lifeline)


def serve(listener: socket.socket) -> None:
    """Be the server until standard input ends.

    Args:
        listener: Where requests arrive; those of the time before it answers wait there.
    """
    Thread(target=_end_with_parent, daemon=True).start()
    import uvicorn
    from prefect.server.api.server import create_app

    config = uvicorn.Config(create_app, factory=True, log_level="error", lifespan="on")
    uvicorn.Server(config).run(sockets=[listener])


def _end_with_parent() -> None:
    """End in good order when the process that started this one has ended, however it did."""
    while os.read(sys.stdin.fileno(), 1):  # a buffered read would upset the interpreter's end
        pass
    silence = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):  # whoever reads the parent's output waits no longer
        os.dup2(silence, stream.fileno())
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_SHUTDOWN_SECONDS)
    os._exit(1)


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])))
