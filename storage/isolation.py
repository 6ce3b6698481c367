"""How Python processes are started, so that they import nothing from the working folder.

A dataset comes from somebody else, and users work in its folder. Python puts that folder before all
others for `python -m`, and for an empty entry of `PYTHONPATH`: a file `random.py` there would run.
Every Python process of this project is started by what this module returns.
"""

import os
import site
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

_READERS = ("matplotlib", "torch")
"""Packages whose import reads `matplotlibrc` or runs `libcuda.so.1` of the working folder."""


def python_command(*arguments: str) -> list[str]:
    """Return the command line of a Python child.

    Args:
        arguments: What follows the interpreter and its options, for instance `-m`, `module`.
    """
    return [sys.executable, "-P", *arguments]


def python_environment(**changes: str) -> dict[str, str]:
    """Return the environment of a Python child: this process's, with the same import path.

    Args:
        changes: Variables to set beside them.
    """
    import_path = os.pathsep.join(it for it in sys.path if Path(it).is_absolute())
    return {**os.environ, "PYTHONSAFEPATH": "1", "PYTHONPATH": import_path, **changes}


def isolate_process() -> None:
    """Take the working folder off the import path, here and for all children.

    So are other relative entries of `PYTHONPATH`. A folder stays that the user names there by an
    absolute path, and one in which Python or this project is installed. Packages that read the
    working folder when they are imported are imported in another one.
    """
    given = [Path(it) for it in os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    named = [it for it in given if it.is_absolute()]
    os.environ["PYTHONPATH"] = os.pathsep.join(map(str, named))
    os.environ["PYTHONSAFEPATH"] = "1"  # for children of libraries, too
    with suppress(FileNotFoundError):  # a working folder that was deleted holds nothing
        unwanted = {Path.cwd(), *(it.absolute() for it in given)} - {*named, *_installations()}
        entries = [Path(it) if it else Path.cwd() for it in sys.path]
        sys.path[:] = [str(it) for it in entries if it.is_absolute() and it not in unwanted]
    if not any(isinstance(it, _FindsReaders) for it in sys.meta_path):
        sys.meta_path.insert(0, _FindsReaders())


@contextmanager
def working_in(folder: Path) -> Iterator[None]:
    """Work in a folder, and in the one from before afterwards, if that can still be entered."""
    before = None
    with suppress(FileNotFoundError):  # it was deleted
        before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        if before is not None:
            with suppress(OSError):  # this user may be in it, but may not enter it
                os.chdir(before)


class _FindsReaders(MetaPathFinder):
    """Finds the packages that are to be imported in another folder than the user's."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return how to import one of them; None for any other module."""
        spec = PathFinder.find_spec(fullname, path, target) if fullname in _READERS else None
        if spec is not None and spec.loader is not None:
            _import_elsewhere(spec.loader, Path(str(spec.origin)).parent)
        return spec


def _import_elsewhere(loader: Loader, folder: Path) -> None:
    """Have a package imported in its own folder, which holds nothing but the package."""
    run = loader.exec_module

    def run_elsewhere(module: ModuleType) -> None:
        with working_in(folder):
            run(module)

    loader.exec_module = run_elsewhere  # type: ignore[method-assign]


def _installations() -> set[Path]:
    """Return the folders that Python's, its packages' and this project's modules are in."""
    pythons = {*site.getsitepackages(), *sysconfig.get_paths().values()}
    if site.ENABLE_USER_SITE:
        pythons.add(site.getusersitepackages())
    return {Path(__file__).absolute().parents[1], *map(Path, pythons)}
