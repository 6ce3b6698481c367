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

import yaml
from small_runs import SMALL, settings

from extractors.sample import write_sample

ROOT = Path(__file__).parents[2]
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


def test_the_readmes_own_dataset_runs_as_it_stands(tmp_path: Path, prefect_server: str) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    found = re.search(r"```sh\n(mkdir -p zoo\n.*?)```", readme, re.DOTALL)
    assert found
    command = shlex.join([sys.executable, "-c", MAIN])
    ran = subprocess.run(
        ["bash", "-e", "-c", found[1].replace(".venv/bin/mocme", command)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    answers = ran.stdout[ran.stdout.index("dingo  lives_in") :]
    first = next(line for line in answers.splitlines() if line.startswith("│"))
    assert first.startswith("│ desert"), answers
