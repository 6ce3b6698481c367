"""An extractor whose files say what is to happen to them; importable in worker processes."""

import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from extractors.base import Extractor, ExtractorConfig, MediaError, RawContent
from storage.errors import MocmeError

DIM = 4


class ScriptedConfig(ExtractorConfig):
    """What to note down, and what the device can bear."""

    log: Path | None = None
    largest_batch: int = 10**9
    seconds_per_batch: float = 0.0


class ScriptedExtractor(Extractor[ScriptedConfig, Any]):
    """Reads a file `VERB ARGUMENT`; see `_VERBS`. Its vector is the argument, four times."""

    name = "scripted"
    modality = "image"
    item_kind = "file"
    Config = ScriptedConfig

    def __init__(self, config: ScriptedConfig | None = None) -> None:
        super().__init__(config or ScriptedConfig())
        self.batches: list[list[Any]] = []

    @property
    def dim(self) -> int:
        return DIM

    def fingerprint_parts(self) -> Mapping[str, Any]:
        return {}

    def load(self, content: RawContent) -> Any:
        if self.config.log is not None:
            with self.config.log.open("a") as log:
                log.write(f"{Path(str(content)).name}\n")
        verb, argument = Path(str(content)).read_text().split(" ", maxsplit=1)
        return _VERBS[verb](argument)

    def batch_key(self, loaded: Any) -> int:
        return loaded[1] if isinstance(loaded, tuple) else 0

    def encode(self, batch: Sequence[Any]) -> NDArray[np.float32]:
        self.batches.append(list(batch))
        time.sleep(self.config.seconds_per_batch)
        if len(batch) > self.config.largest_batch:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")
        if "poison" in batch:
            raise ValueError("cannot encode poison")
        values = [loaded[0] if isinstance(loaded, tuple) else loaded for loaded in batch]
        return np.repeat(np.array(values, dtype=np.float32)[:, np.newaxis], DIM, axis=1)


class BrokenExtractor(ScriptedExtractor):
    """Cannot encode anything."""

    def encode(self, batch: Sequence[Any]) -> NDArray[np.float32]:
        raise RuntimeError("no kernel image is available")


class MisshapenExtractor(ScriptedExtractor):
    """Promises other vectors than it makes."""

    def encode(self, batch: Sequence[Any]) -> NDArray[np.float32]:
        return np.zeros((len(batch), DIM + 1), dtype=np.float32)


class UnloadableExtractor(ScriptedExtractor):
    """Cannot arrive in a worker."""

    def __setstate__(self, state: dict[str, Any]) -> None:
        raise ImportError("libmissing.so.1: cannot open shared object file")


class DyingExtractor(ScriptedExtractor):
    """Kills every worker that it arrives in."""

    def __setstate__(self, state: dict[str, Any]) -> None:
        os.kill(os.getpid(), signal.SIGSEGV)


def _hang(_: str) -> None:
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    while True:
        pass


def _kill_self(signal_name: str) -> None:
    os.kill(os.getpid(), getattr(signal, signal_name))


def _kill_self_once(marker: str) -> float:
    if not Path(marker).exists():
        Path(marker).touch()
        _kill_self("SIGKILL")
    return 1.0


def _raise(error: Callable[[str], Exception]) -> Callable[[str], None]:
    def verb(message: str) -> None:
        raise error(message)

    return verb


def _change_file(arguments: str) -> float:
    """Rewrite a file, as somebody else might while it is read."""
    path, content = arguments.split("|", maxsplit=1)
    if Path(path).read_text() != content:
        Path(path).write_text(content)
    return -1.0


_VERBS: Mapping[str, Callable[[str], Any]] = {
    "process": lambda _: os.getpid(),
    "vector": float,
    "keyed": lambda argument: (float(argument.split()[0]), int(argument.split()[1])),
    "array": lambda argument: np.full(int(argument), 7, dtype=np.uint8),
    "sleep": lambda argument: time.sleep(float(argument)) or float(argument),
    "poison": lambda _: "poison",
    "lambda": lambda _: lambda: None,
    "hang": _hang,
    "kill": _kill_self,
    "kill-once": _kill_self_once,
    "exit": lambda code: os._exit(int(code)),
    "media-error": _raise(MediaError),
    "bug": _raise(LookupError),
    "machine": _raise(OSError),
    "setup": _raise(MocmeError),
    "change": _change_file,
    "print": lambda text: print(text) or 1.0,  # noqa: T201
}
