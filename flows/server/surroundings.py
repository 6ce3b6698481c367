"""What Prefect finds around it in this process: environment, homes, proxies and a working folder.

Prefect reads its settings from `.env`, `prefect.toml` and `pyproject.toml` of the working folder,
whenever it makes them anew, and other libraries read files of theirs. So flows run in an empty
folder of their own. All paths of a config are absolute; those of the environment are made so.
"""

import atexit
import os
import re
import shutil
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path

from storage.errors import MocmeError

DATABASES = ("PREFECT_SERVER_DATABASE_CONNECTION_URL", "PREFECT_API_DATABASE_CONNECTION_URL")
"""Variables by which a user names the database of Prefect's server."""

_SETTINGS = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    # Torch's threads spin while they wait: beside other work that makes a training 7 times slower.
    "OMP_WAIT_POLICY": "PASSIVE",
}
_PATHS = (
    "CURL_CA_BUNDLE",
    "HF_ASSETS_CACHE",
    "HF_HOME",
    "HF_HUB_CACHE",
    "HF_TOKEN_PATH",
    "HOME",
    "HUGGINGFACE_HUB_CACHE",
    "MPLCONFIGDIR",
    "PREFECT_API_SSL_CERT_FILE",
    "PREFECT_HOME",
    "PREFECT_LOCAL_STORAGE_PATH",
    "PREFECT_LOGGING_SETTINGS_PATH",
    "PREFECT_PROFILES_PATH",
    "PREFECT_RESULTS_LOCAL_STORAGE_PATH",
    "REQUESTS_CA_BUNDLE",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "TMPDIR",
    "TORCH_HOME",
    "TRANSFORMERS_CACHE",
    "XDG_CACHE_HOME",
    "XDG_CONFIG_HOME",
)
_RELATIVE_SQLITE = re.compile(r"(sqlite[^:]*:///)(?!/|file:|:memory:)(.+)")
_ONLY_OWNER = 0o700


@cache
def scratch_folder() -> Path:
    """Return this process's folder for temporary files; only its user can read it.

    The process deletes it when it ends. Where it was killed, its temporary server does.

    Raises:
        MocmeError: If there is no place for temporary files.
    """
    try:
        folder = Path(tempfile.mkdtemp(prefix="mocme-")).absolute()
    except OSError as error:
        raise MocmeError(
            f"found no folder for temporary files: {error}; allowed: TMPDIR=FOLDER, one that can "
            "be written"
        ) from error
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def prepare_environment() -> None:
    """Set what Prefect and the libraries read from the environment, before they are imported.

    Raises:
        MocmeError: If there is no place for temporary files.
    """
    for variable, value in _SETTINGS.items():
        os.environ.setdefault(variable, value)
    if os.environ.get("PREFECT_API_URL") == "":  # for which Prefect starts a server of its own
        del os.environ["PREFECT_API_URL"]
    _find_home()
    _resolve_paths()
    _find_prefect_home()


def empty_folder() -> Path:
    """Return an empty folder to work in."""
    folder = scratch_folder() / "empty"
    folder.mkdir(_ONLY_OWNER, exist_ok=True)
    return folder


def _find_home() -> None:
    """Give a user without a home one: libraries would make a folder `~` where they stand."""
    try:
        Path.home()
    except RuntimeError:
        os.environ["HOME"] = str(scratch_folder())


def _resolve_paths() -> None:
    """Make the environment's paths absolute; a `~` in them is the user's home."""
    for variable in _PATHS:
        if path := os.environ.get(variable):
            expanded = os.path.expanduser(path)  # noqa: PTH111 - of an unknown user, it stays
            os.environ[variable] = os.path.abspath(expanded)  # noqa: PTH100 - resolves no links
    for variable in DATABASES:
        if named := _RELATIVE_SQLITE.fullmatch(os.environ.get(variable, "")):
            os.environ[variable] = f"{named[1]}{Path(named[2]).absolute()}"


def _find_prefect_home() -> None:
    """Where Prefect's home cannot be written, use a throw-away one, with the user's profiles."""
    home = Path(os.environ.get("PREFECT_HOME") or Path.home() / ".prefect")
    if _is_writable(home):
        return
    profiles = home / "profiles.toml"
    if os.access(profiles, os.R_OK):
        os.environ.setdefault("PREFECT_PROFILES_PATH", str(profiles))
    os.environ["PREFECT_HOME"] = str(scratch_folder() / "prefect")


def _is_writable(folder: Path) -> bool:
    """Tell whether files can be written to a folder, which is made if there is none."""
    with suppress(OSError):
        folder.mkdir(_ONLY_OWNER, parents=True, exist_ok=True)
    return folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)
