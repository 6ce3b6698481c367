"""The process that decodes for its parent: `python -m extractors.engine.worker FD`.

Decoders hang, crash and run out of memory. So nothing is shared with other processes, neither a
lock nor a pipe, which a sudden death would leave in disorder; and unlike a process of
`multiprocessing`, this one does not import the caller's main module again.

Protocol, over the socket FD, each message pickled. In: the loader and the time limit. Out:
`READY`, or the traceback of why it cannot start. Then, again and again, in: a content; out: what
`load` returned for it, or the `Failure`.
"""

import pickle
import resource
import signal
import sys
import traceback
import warnings
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path

from extractors.loading import Failure, Loadable, Loader, failure_of, load_item, one_line
from storage.errors import MocmeError

READY = "ready"


def main() -> None:
    """Decode until the other side closes the connection, be it by dying."""
    _isolate()
    connection = Connection(int(sys.argv[1]))
    with suppress(EOFError, ConnectionError):
        try:
            loader, timeout_seconds = connection.recv()
        except Exception:  # say, a module that cannot be imported here
            connection.send(traceback.format_exc())
            return
        connection.send(READY)
        while True:
            connection.send_bytes(_decode(loader, connection.recv(), timeout_seconds))


def _isolate() -> None:
    """Crash without a core file, be the out-of-memory killer's first choice, keep quiet."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with suppress(OSError):  # Linux only
        Path("/proc/self/oom_score_adj").write_text("1000")
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    warnings.simplefilter("ignore")


def _decode(loader: Loader, content: Loadable, timeout_seconds: float) -> bytes:
    """Return the decoded item, pickled.

    When the time limit passes, the kernel ends this process by SIGALRM: no decoder can withstand
    that, and it works even after the other side has died.
    """
    signal.setitimer(signal.ITIMER_REAL, timeout_seconds)
    try:
        loaded = load_item(loader, content)
    except MocmeError as error:
        loaded = Failure(one_line(str(error)), lasting=False)
    signal.setitimer(signal.ITIMER_REAL, 0)
    try:
        return pickle.dumps(loaded, protocol=pickle.HIGHEST_PROTOCOL)
    except Exception as error:
        return pickle.dumps(failure_of(error))


if __name__ == "__main__":
    main()
