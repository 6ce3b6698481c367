"""The package as users meet it: its names, what its import costs, and older names of it."""

import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from storage.isolation import python_command

ROOT = Path(__file__).parents[2]

_HEAVY = "sorted({'numpy', 'prefect', 'pydantic', 'torch', 'typer'} & sys.modules.keys())"


def output_of(*arguments: str) -> str:
    done = subprocess.run(python_command(*arguments), capture_output=True, text=True, check=True)
    return done.stdout


def test_importing_the_package_imports_no_library() -> None:
    assert output_of("-c", f"import sys, mocme; print({_HEAVY})") == "[]\n"


def test_the_predictor_is_the_models() -> None:
    import mocme
    from model.prediction.predictor import Predictor

    assert issubclass(mocme.Predictor, Predictor)
    with pytest.raises(AttributeError, match="'mocme' has no attribute 'Predicter'"):
        _ = mocme.Predicter


def test_the_older_module_is_the_command_line() -> None:
    wanted = output_of("-m", "mocme", "--help")
    assert output_of("-m", "flows.cli", "--help") == wanted
    assert output_of("-c", "from flows.cli import main; main()", "--help") == wanted


def test_the_command_line_has_one_name_however_it_is_started() -> None:
    program = sys.executable.rsplit("/", 1)[0] + "/mocme"
    by_name = subprocess.run([program, "--help"], capture_output=True, text=True, check=True)
    assert by_name.stdout == output_of("-m", "mocme", "--help")


def test_an_editable_installation_is_a_path_which_type_checkers_follow(tmp_path: Path) -> None:
    pytest.importorskip("setuptools")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    for package in project["tool"]["setuptools"]["packages"]["find"]["include"]:
        folder = tmp_path / package.removesuffix("*")
        folder.mkdir()
        (folder / "__init__.py").touch()
    build = "from setuptools import build_meta as it; it.build_editable('.')"
    subprocess.run(python_command("-c", build), cwd=tmp_path, capture_output=True, check=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as parts:
        (path,) = (name for name in parts.namelist() if name.endswith(".pth"))
        assert parts.read(path).decode().strip() == str(tmp_path)
