"""What all tests share: a Prefect of their own, away from the user's, and samples run once."""

import atexit
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from small_runs import Command

_PREFECT_HOME = tempfile.mkdtemp(prefix="mocme-prefect-")
atexit.register(shutil.rmtree, _PREFECT_HOME, ignore_errors=True)

# Before anything imports Prefect: no server of the user's, no database or results of theirs.
os.environ.pop("PREFECT_API_URL", None)
os.environ["PREFECT_HOME"] = _PREFECT_HOME
os.environ["PREFECT_LOCAL_STORAGE_PATH"] = f"{_PREFECT_HOME}/storage"
os.environ["PREFECT_SERVER_ANALYTICS_ENABLED"] = "false"
os.environ["DO_NOT_TRACK"] = "1"
# Torch's threads spin while they wait, which takes minutes where other work needs the cores; and
# `make test` runs a process on each core already.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Prefect writes to the standard error of its import, which is another test's, closed since.
os.environ["PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL"] = "CRITICAL"


_LONGEST_FILES = (
    *("test_deployment.py", "test_distributed.py", "test_pipeline.py", "test_report.py"),
    *("test_quickstart.py", "test_planted_complementarity.py", "test_training.py"),
    *("test_resume.py", "test_recipe.py", "test_clusters.py", "test_killed_runs.py"),
    *("test_status.py", "test_training_pool.py", "test_tune_command.py", "test_options.py"),
    *("test_ablation.py", "test_clips.py", "test_tuning.py", "test_surroundings.py"),
    *("test_information_bounds.py", "test_cli.py", "test_temporary_server.py"),
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files that take longest first, so that no process is left with one at the end."""
    place = {name: number for number, name in enumerate(_LONGEST_FILES)}
    items.sort(key=lambda item: place.get(item.path.name, len(place)))


@pytest.fixture(scope="session")
def prefect_server() -> Iterator[str]:
    """One server for all tests that run flows, until they end; yields its API's address."""
    from flows.server.temporary_server import TemporaryServer

    server = TemporaryServer()
    from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

    server.connect()
    with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
        yield server.url


@pytest.fixture(scope="session")
def first_run(
    tmp_path_factory: pytest.TempPathFactory, prefect_server: str
) -> "tuple[Path, Command]":
    """A sample's folder and the run that was its first."""
    from small_runs import small

    from extractors.sample import write_sample

    folder = tmp_path_factory.mktemp("first") / "sample"
    write_sample(folder, num_things=60)
    return folder, small("run", folder / "mocme.yaml")


@pytest.fixture(scope="session")
def run(first_run: "tuple[Path, Command]") -> Path:
    """The folder of the sample's first run, to be read alone."""
    folder, command = first_run
    assert command.exit_code == 0, command.stderr
    return folder / "data/runs/newest"


@pytest.fixture
def project(first_run: "tuple[Path, Command]", tmp_path: Path) -> Path:
    """A copy, in another place, of the folder that has been run once."""
    folder, command = first_run
    assert command.exit_code == 0, command.stderr
    return Path(shutil.copytree(folder, tmp_path / "moved", symlinks=True))


@pytest.fixture(scope="session")
def first_extraction(tmp_path_factory: pytest.TempPathFactory, prefect_server: str) -> Path:
    """A sample's folder whose features were extracted."""
    from small_runs import small

    from extractors.sample import write_sample

    folder = tmp_path_factory.mktemp("extraction") / "sample"
    write_sample(folder, num_things=60)
    command = small("extract", folder / "mocme.yaml")
    assert command.exit_code == 0, command.stderr
    return folder


@pytest.fixture
def extracted(first_extraction: Path, tmp_path: Path) -> Path:
    """A copy, in another place, of the folder whose features were extracted."""
    return Path(shutil.copytree(first_extraction, tmp_path / "moved", symlinks=True))
