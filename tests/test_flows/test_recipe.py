"""What the documents tell a newcomer to do, followed to the letter."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import yaml
from small_runs import SMALL, mocme, settings

from extractors.sample import write_sample

ROOT = Path(__file__).parents[2]
PROGRAM = ".venv/bin/mocme"
MAIN = "import sys; from mocme.cli import main; sys.exit(main())"
RECIPE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    """Return the recipe's code block of a language."""
    recipe = RECIPE[RECIPE.index("## How to add a modality") :]
    found = re.search(rf"```{language}\n(.*?)```", recipe, re.DOTALL)
    assert found
    return textwrap.dedent(found[1])


def test_one_file_and_one_config_entry_are_a_modality_that_trains(
    tmp_path: Path, prefect_server: str
) -> None:
    path = re.search(r"Write `(extractors/\w+\.py)`", RECIPE)
    assert path
    for name in ("mocme", "flows", "extractors", "model", "storage"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, tmp_path / "copy" / name, ignore=ignored)
    (tmp_path / "copy" / path[1]).write_text(block("python"), encoding="utf-8")
    write_sample(tmp_path / "sample", num_things=60)
    config = tmp_path / "sample" / "mocme.yaml"
    entry = yaml.safe_load(block("yaml"))
    config.write_text(yaml.safe_dump({**yaml.safe_load(config.read_text()), **entry}))
    ran = subprocess.run(
        [
            sys.executable,
            "-c",
            MAIN,
            "run",
            config,
            "--json",
            *settings(*SMALL, "train.final=selected"),
        ],
        env={**os.environ, "PYTHONPATH": str(tmp_path / "copy")},
        cwd=tmp_path / "copy",
        capture_output=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr.decode()
    found = json.loads(ran.stdout)
    assert found["extracted"].keys() == {"palette"}
    assert found["extracted"]["palette"]["new"] > 20
    assert found["stages"] == dict.fromkeys(("extract", "train", "evaluate", "predict"), "ran")
    assert not (ROOT / path[1]).exists()


def test_the_readmes_own_dataset_runs_as_it_stands(
    tmp_path: Path, prefect_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    found = re.search(r"```sh\n(mkdir -p zoo\n.*?)```", readme, re.DOTALL)
    assert found
    start = found[1].index(PROGRAM)
    subprocess.run(["bash", "-e", "-c", found[1][:start]], cwd=tmp_path, check=True)
    monkeypatch.chdir(tmp_path)
    for line in found[1][start:].splitlines():
        program, *words = shlex.split(line, comments=True)
        assert program == PROGRAM
        ran = mocme(*words)
        assert ran.exit_code == 0, ran.stderr
    first = next(line for line in ran.stdout.splitlines() if line.startswith("│"))
    assert ran.stdout.splitlines()[0].strip().startswith("dingo  lives_in"), ran.stdout
    assert first.startswith("│ desert"), ran.stdout
