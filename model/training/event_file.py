"""TensorBoard's files, written by the caller's own thread, whose errors reach the caller.

`SummaryWriter` writes from a thread. What fails there, as on a full disk, ends in a traceback.
"""

import os
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class EventFile:
    """A new file of events.

    Args:
        folder: Where it is made.

    Raises:
        OSError: If it cannot be made.
    """

    def __init__(self, folder: Path) -> None:
        from tensorboard.compat.proto.event_pb2 import SessionLog
        from tensorboard.summary.writer.record_writer import RecordWriter

        name = f"events.out.tfevents.{int(time.time())}.{socket.gethostname()}.{os.getpid()}.0"
        self._file = (folder / name).open("xb")
        self._records = RecordWriter(self._file)
        self._write(file_version="brain.Event:2")
        # A TensorBoard that is watching forgets what it has read of earlier files.
        self._write(step=1, session_log=SessionLog(status=SessionLog.START))

    def add(self, step: int, numbers: Mapping[str, float]) -> None:
        """Write numbers of a step, by name.

        Raises:
            OSError: If the system fails to write them.
        """
        from torch.utils.tensorboard.summary import scalar

        for name, value in numbers.items():
            self._write(step=step, summary=scalar(name, value))
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _write(self, **fields: Any) -> None:
        from tensorboard.compat.proto.event_pb2 import Event

        event = Event(wall_time=time.time(), **fields)
        self._records.write(event.SerializeToString())
