"""Trains, is killed, and trains again: `python killed_trainings.py --help`.

Everything is imported before the first fork, so that a kill meets work and no start-up, and
hundreds of processes take seconds. The model's fusion depends on what is measured in early epochs
only, and on chance: whatever a checkpoint does not restore, the end shows.
"""

import argparse
import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import torch
import torch.utils.tensorboard
from planted_graph import planted_world
from small_training import model_config, train_config

from model.runs.run_folder import RunFolder
from model.scoring.blocks import BlockScoring
from model.training import optimizer, trainer
from model.training import train as training
from model.training.log import TrainingLog

MOMENTS: dict[str, tuple[Any, str]] = {
    "start": (RunFolder, "create"),
    "measuring": (trainer.Trainer, "_update_fusion"),
    "step": (optimizer.Adam, "step"),
    "evaluation": (trainer, "rank"),
    "log": (TrainingLog, "write"),
    "checkpoint": (trainer, "save_checkpoint"),
    "writing": (os, "fsync"),
    "putting in place": (Path, "replace"),
    "deletion": (Path, "unlink"),
    "export": (BlockScoring, "save"),
    "end": (RunFolder, "finish"),
}
"""Calls before which a training can be killed, by what they begin."""

WORLD = planted_world(num_things=40)
MODEL = model_config(alone=True, modality_dropout=0.2, feature_dropout=0.3)
TRAINING = train_config(
    epochs=5,
    batch_size=128,
    optimizer="adam",
    learning_rate=0.02,
    held_back=0.4,
    held_back_epochs=2,
    final="all",
)


def watch(on_moment: Callable[[str], None]) -> None:
    """Have a function called before each of the moments."""

    def watched(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            on_moment(name)
            return call(*args, **kwargs)

        return wrapper

    for name, (owner, attribute) in MOMENTS.items():
        setattr(owner, attribute, watched(name, getattr(owner, attribute)))


def train(run_dir: Path) -> None:
    """Train to the end."""
    training.train(WORLD.graph, WORLD.tables(), MODEL, TRAINING, run_dir)


def in_child(work: Callable[[], None], kill_after: float | None = None) -> bool:
    """Run in a process of its own, killed after some seconds, if any. Returns: whether killed."""
    child = os.fork()
    if not child:
        work()
        os._exit(0)
    if kill_after is not None:
        time.sleep(kill_after)
        os.kill(child, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code not in (0, -signal.SIGKILL):
        raise SystemExit(f"a training ended with {code}")
    return code != 0


def train_until(run_dir: Path, moment: int) -> None:
    """Train, and be killed at the nth moment, counted from 0."""
    passed = count()

    def on_moment(name: str) -> None:
        if next(passed) == moment:
            os.kill(os.getpid(), signal.SIGKILL)

    watch(on_moment)
    train(run_dir)


def train_noting_moments(run_dir: Path) -> None:
    """Train, and write down the names of the moments beside the run's folder.

    Raises:
        SystemExit: If that imported torch's compiler, which takes seconds and is not needed.
    """
    names: list[str] = []
    watch(names.append)
    train(run_dir)
    if "torch._dynamo" in sys.modules:
        raise SystemExit("a training imported torch's compiler")
    run_dir.with_name("moments.json").write_text(json.dumps(names))


def drawn_moments(names: Sequence[str], num_kills: int, chance: random.Random) -> Iterator[int]:
    """Draw a moment of each name, then any."""
    for name in MOMENTS:
        yield chance.choice([place for place, found in enumerate(names) if found == name])
    for _ in range(num_kills - len(MOMENTS)):
        yield chance.randrange(len(names))


def main() -> None:
    """Train to the end once, then be killed at moments and at times, as often as it is told."""
    parser = argparse.ArgumentParser()
    parser.add_argument("runs", type=Path)
    parser.add_argument("--kills", type=int, required=True)
    parser.add_argument("--kills-at-times", type=int, required=True)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    runs, chance = arguments.runs, random.Random(arguments.seed)  # noqa: S311
    started = time.monotonic()
    in_child(partial(train_noting_moments, runs / "whole"))
    seconds = time.monotonic() - started
    names = json.loads((runs / "moments.json").read_text())
    killed: dict[str, str] = {}
    for number, moment in enumerate(drawn_moments(names, arguments.kills, chance)):
        run_dir = runs / f"moment-{number}"
        if in_child(partial(train_until, run_dir, moment)):
            killed[run_dir.name] = names[moment]
            in_child(partial(train_until, run_dir, chance.randrange(len(names))))
    for number in range(arguments.kills_at_times):
        run_dir = runs / f"time-{number}"
        if in_child(partial(train, run_dir), chance.uniform(0, seconds)):
            killed[run_dir.name] = "any"
    for name in killed:
        in_child(partial(train, runs / name))
    sys.stdout.write(json.dumps(killed))


if __name__ == "__main__":
    main()
