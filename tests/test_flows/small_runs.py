"""What the tests of the flows call: the command line, with settings that make a run quick."""

import json
from dataclasses import dataclass
from typing import Any

from typer.testing import CliRunner

from flows.cli.app import app

SMALL = (
    "model.dim=8",
    "model.num_experts=2",
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
