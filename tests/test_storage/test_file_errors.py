"""Errors of files: what the system refuses is no damage, and damage is told by the file's name."""

import errno
import re
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError

from storage.files.file_errors import DamagedFileError, FileError, read_errors, write_errors

PATH = Path("run/scoring.safetensors")
NO_MEMORY = "Cannot allocate memory"


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (PermissionError(errno.EACCES, "x", str(PATH)), "Permission denied"),
        (OSError(errno.EMFILE, "x"), "Too many open files"),
        (OSError(errno.ENFILE, "x"), "Too many open files in system"),
        (OSError(errno.EIO, "x"), "Input/output error"),
        (OSError(errno.ESTALE, "x"), "Stale file handle"),
        (OSError(errno.ENOMEM, "x"), NO_MEMORY),
        (FileNotFoundError(errno.ENOENT, "x"), "No such file or directory"),
        (MemoryError(), NO_MEMORY),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), NO_MEMORY),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), NO_MEMORY),
        (SafetensorError("I/O error: Input/output error (os error 5)"), "Input/output error"),
    ],
    ids=lambda it: type(it).__name__ if isinstance(it, Exception) else it,
)
def test_what_the_system_refuses_is_no_damage(error: Exception, reason: str) -> None:
    read = re.escape(f"{PATH}: cannot be read: {reason}")
    with pytest.raises(FileError, match=f"^{read}$"), read_errors(PATH, "train"):
        raise error
    written = re.escape(f"{PATH}: cannot be written: {reason}; ")
    with pytest.raises(FileError, match=written), write_errors(PATH):
        raise error


@pytest.mark.parametrize(
    "error",
    [
        ValueError("bad"),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"),
        KeyError("bad"),
        IndexError("bad"),
        RecursionError("bad"),
        RuntimeError("size\nmismatch, bad"),
        SafetensorError("bad header"),
    ],
    ids=lambda it: type(it).__name__,
)
def test_wrong_bytes_are_damage(error: Exception) -> None:
    with pytest.raises(DamagedFileError) as caught, read_errors(PATH, "`x` makes it anew"):
        raise error
    assert re.fullmatch(rf"{PATH}: found a damaged file \(.*bad.*\); .*", str(caught.value))
    assert str(caught.value).endswith("`x` makes it anew")


def test_other_errors_while_writing_are_not_the_systems() -> None:
    with pytest.raises(RuntimeError, match="size mismatch"), write_errors(PATH):
        raise RuntimeError("size mismatch")
