"""What the tests of the flows call: the command line, with settings that make a run quick."""

import json
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from typer.testing import CliRunner

from mocme.cli.app import app

SMALL = (
    "model.dim=8",
    "model.num_experts=2",
    "model.alone=false",
    "model.rule_length=2",
    "train.epochs=2",
    "train.eval_every=1",
    "predict.k=3",
    "extract.num_workers=1",
)


@dataclass(frozen=True)
class Command:
    """What a command left."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.stdout)
        return found


def mocme(*arguments: object) -> Command:
    """Call the command line in this process."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    return Command(result.exit_code, result.stdout, result.stderr)


def settings(*pairs: str) -> list[str]:
    """Return the options that lay pairs of key and value on a config."""
    return [word for pair in pairs for word in ("--set", pair)]


def small(command: str, config: object, *pairs: str) -> Command:
    """Run a command on a config as JSON, quickly."""
    return mocme(command, config, "--json", *settings(*SMALL, *pairs))


_LOOKING = """
import json, sys
from mocme.cli.app import app
for words in json.loads(sys.argv[1]):
    try: app(words)
    except SystemExit: pass
    print(json.dumps(sorted({"prefect", "torch"} & sys.modules.keys())))
"""


def run_all_and_look_at_imports(
    commands: Iterable[Sequence[object]],
) -> list[tuple[dict[str, Any], list[str]]]:
    """Run commands one after the other in a process of their own.

    Returns:
        For each the JSON that it printed, and which of Prefect and torch are imported after it.
    """
    given = json.dumps([[str(argument) for argument in words] for words in commands])
    done = subprocess.run([sys.executable, "-c", _LOOKING, given], capture_output=True, check=True)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return list(zip(lines[::2], lines[1::2], strict=True))


def run_and_look_at_imports(*arguments: object) -> tuple[dict[str, Any], list[str]]:
    """Run a command in a process of its own.

    Returns:
        The JSON that it printed, and which of Prefect and torch it has imported.
    """
    (found,) = run_all_and_look_at_imports([arguments])
    return found
