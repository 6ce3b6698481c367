"""What the tests of the flows call: the command line, with settings that make a run quick."""

import json
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from tempfile import NamedTemporaryFile
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
import json, os, sys
from mocme.cli.app import app

for line in sys.stdin:
    commands, output = json.loads(line)
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        print(flush=True)
        continue
    os.dup2(os.open(output, os.O_WRONLY), 1)
    for words in commands:
        try: app(words)
        except SystemExit: pass
        print(json.dumps(sorted({"prefect", "torch"} & sys.modules.keys())), flush=True)
    os._exit(0)
"""


@cache
def _process_without_libraries() -> "subprocess.Popen[str]":
    """Start a process that has imported the command line alone, and forks for all that is asked.

    A process for each question would import the same anew. It ends with this one, by its input.
    """
    words = [sys.executable, "-c", _LOOKING]
    return subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def run_all_and_look_at_imports(
    commands: Iterable[Sequence[object]],
) -> list[tuple[dict[str, Any], list[str]]]:
    """Run commands one after the other in a process of their own.

    Returns:
        For each the JSON that it printed, and which of Prefect and torch are imported after it.
    """
    process = _process_without_libraries()
    assert process.stdin is not None
    assert process.stdout is not None
    with NamedTemporaryFile() as output:
        given = [[str(argument) for argument in words] for words in commands]
        print(json.dumps([given, output.name]), file=process.stdin, flush=True)
        assert process.stdout.readline() == "\n"
        lines = [json.loads(line) for line in output.read().splitlines()]
    return list(zip(lines[::2], lines[1::2], strict=True))


def run_and_look_at_imports(*arguments: object) -> tuple[dict[str, Any], list[str]]:
    """Run a command in a process of its own.

    Returns:
        The JSON that it printed, and which of Prefect and torch it has imported.
    """
    (found,) = run_all_and_look_at_imports([arguments])
    return found
