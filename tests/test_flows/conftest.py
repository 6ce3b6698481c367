"""A small sample dataset that has been run once, for tests to change copies of."""

import shutil
from pathlib import Path

import pytest
from small_runs import Command, small

from extractors.sample import write_sample


@pytest.fixture(scope="session")
def first_run(
    tmp_path_factory: pytest.TempPathFactory, prefect_server: str
) -> tuple[Path, Command]:
    """A sample's folder and the run that was its first."""
    folder = tmp_path_factory.mktemp("first") / "sample"
    write_sample(folder, num_things=60)
    return folder, small("run", folder / "mocme.yaml")


@pytest.fixture
def project(first_run: tuple[Path, Command], tmp_path: Path) -> Path:
    """A copy, in another place, of the folder that has been run once."""
    folder, command = first_run
    assert command.exit_code == 0, command.stderr
    return Path(shutil.copytree(folder, tmp_path / "moved", symlinks=True))


@pytest.fixture(scope="session")
def first_extraction(tmp_path_factory: pytest.TempPathFactory, prefect_server: str) -> Path:
    """A sample's folder whose features were extracted."""
    folder = tmp_path_factory.mktemp("extraction") / "sample"
    write_sample(folder, num_things=60)
    command = small("extract", folder / "mocme.yaml")
    assert command.exit_code == 0, command.stderr
    return folder


@pytest.fixture
def extracted(first_extraction: Path, tmp_path: Path) -> Path:
    """A copy, in another place, of the folder whose features were extracted."""
    return Path(shutil.copytree(first_extraction, tmp_path / "moved", symlinks=True))
