"""A user's own code is checked against the types of the package, by mypy's strict mode."""

import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("mocme", "flows", "extractors", "model", "storage")

RIGHT = """
from mocme import Predictor, __version__

predictor = Predictor("data/runs/newest")
first = predictor.answers(head="a", relation="r", k=3)[0]
name: str = first.name
probability: float = first.probability
for triple in predictor.missing_triples(["r"]):
    head: str = triple.head
print(predictor.predict(tail="b", relation="r"), __version__)
"""
WRONG = """
from mocme import Predictor

predictor = Predictor(7)
numbers: list[int] = [it.head for it in predictor.missing_triples(["r"])]
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment in which the packages are installed, and no source."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, symlinks=True)
    (site_packages,) = folder.glob("lib/python*/site-packages")
    for name in PACKAGES:
        shutil.copytree(ROOT / name, site_packages / name)
    return folder / "bin/python"


def check(folder: Path, python: Path, text: str) -> tuple[int, str]:
    (folder / "mine.py").write_text(text)
    words = ["-m", "mypy", "--strict", "--python-executable", python, "mine.py"]
    done = subprocess.run(
        [sys.executable, *map(str, words)], cwd=folder, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout


def test_right_code_passes_and_wrong_code_does_not(tmp_path: Path, python: Path) -> None:
    code, told = check(tmp_path, python, RIGHT)
    assert code == 0, told
    code, told = check(tmp_path, python, WRONG)
    assert code == 1
    assert "mine.py:4: error: Argument 1" in told
    assert "mine.py:5: error: List comprehension has incompatible type" in told
