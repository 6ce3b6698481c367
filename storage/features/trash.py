"""Deleting folders of a store: moved out of sight first, so a kill at any moment leaves no half."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_TRASH = ".garbage"  # what is in it lies deeper than a store's feature spaces, so is none of them


def discard(root: Path, directory: Path) -> None:
    """Delete a folder below a store's; one that is gone already is no error."""
    (root / _TRASH).mkdir(exist_ok=True)
    trash = Path(tempfile.mkdtemp(dir=root / _TRASH))
    with suppress(FileNotFoundError):
        directory.rename(trash / directory.name)
    shutil.rmtree(trash)


@contextmanager
def scratch_folder(root: Path) -> Iterator[Path]:
    """Yield a folder out of sight, deleted in the end; if the process is killed, with the trash."""
    (root / _TRASH).mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=root / _TRASH, ignore_cleanup_errors=True) as outer:
        folder = Path(outer) / "scratch"
        folder.mkdir()
        yield folder


def empty_trash(root: Path) -> None:
    """Delete what was moved out of sight by a process that was killed before it was done."""
    shutil.rmtree(root / _TRASH, ignore_errors=True)
