"""The package as users meet it: its names, what its import costs, and older names of it."""

import subprocess
import sys

import pytest

from storage.isolation import python_command

_HEAVY = "sorted({'numpy', 'prefect', 'pydantic', 'torch', 'typer'} & sys.modules.keys())"


def output_of(*arguments: str) -> str:
    done = subprocess.run(python_command(*arguments), capture_output=True, text=True, check=True)
    return done.stdout


def test_importing_the_package_imports_no_library() -> None:
    assert output_of("-c", f"import sys, mocme; print({_HEAVY})") == "[]\n"


def test_the_predictor_is_the_models() -> None:
    import mocme
    from model.prediction.predictor import Predictor

    assert mocme.Predictor is Predictor
    with pytest.raises(AttributeError, match="'mocme' has no attribute 'Predicter'"):
        _ = mocme.Predicter


def test_the_older_module_is_the_command_line() -> None:
    assert output_of("-m", "flows.cli", "--help") == output_of("-m", "mocme", "--help")


def test_the_command_line_has_one_name_however_it_is_started() -> None:
    program = sys.executable.rsplit("/", 1)[0] + "/mocme"
    by_name = subprocess.run([program, "--help"], capture_output=True, text=True, check=True)
    assert by_name.stdout == output_of("-m", "mocme", "--help")
