"""What to say of an entity or a relation that a run's dataset has, and the run has not.

It is no misspelling: it came after the training. What helps is another command, not another name.
"""

import shlex
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from flows.stages.run_source import find_source
from flows.stages.staged_run import CONFIG_FILE, PLACED_FOLDER, StagedRun
from model.prediction.names import UnknownNameError, entities_called, some_relations
from model.runs.run_graph import read_run_graph
from storage.datasets.graph import Graph
from storage.errors import MocmeError
from storage.words.visible import quoted, shortened


@dataclass(frozen=True)
class AskedRun:
    """The run that a command asks, and how the command was given it.

    Attributes:
        run: The run.
        config: The config that the command names; None: it names none.
        overrides: What was laid on that config.
    """

    run: StagedRun
    config: Path | None = None
    overrides: tuple[str, ...] = ()

    @property
    def arguments(self) -> str:
        """The words that name the same config to another command."""
        path = self.run.path / CONFIG_FILE if self.config is None else self.config
        overrides = (word for it in self.overrides for word in ("--set", it))
        return shlex.join([str(path), *overrides])


def explained(error: MocmeError, asked: AskedRun | None) -> str:
    """Return an error's message; of a name that came after a run's training, what helps.

    The dataset is read only for a name that the run does not have. Where that fails, or the dataset
    does not have it either, the message is the error's own.

    Args:
        error: What a question to a run has raised.
        asked: The run; None: there is none.
    """
    if asked is None or not isinstance(error, UnknownNameError) or not error.is_absent:
        return str(error)
    with suppress(MocmeError):
        run = read_run_graph(asked.run.path)
        explain = _of_relation if error.part == "relation" else _of_entity
        return explain(error, asked, run) or str(error)
    return str(error)


def _of_entity(error: UnknownNameError, asked: AskedRun, run: Graph) -> str | None:
    found = f"{error.part}: found {quoted(error.name)}"
    placed = StagedRun(asked.run.path / PLACED_FOLDER)
    with suppress(MocmeError):
        if placed.path.is_dir() and _ids_of(error.name, read_run_graph(placed.path)):
            return (
                f"{found}, which was placed after this run was trained; allowed: an entity of the "
                f"run, or `--run {shlex.quote(str(placed.path))}`, which has it"
            )
    ids = _ids_of(error.name, _dataset_of(asked.run))
    if known := sorted(set(ids) & set(run.entities)):
        return f"{found}, which the run has under another name; allowed: {_listed(known)}"
    if not ids:
        return None
    return (
        f"{found}, which is in the dataset and not in this run; allowed: an entity of the run, or "
        f"first `mocme place {asked.arguments}`, which adds it without training, or "
        f"`mocme run {asked.arguments}`"
    )


def _of_relation(error: UnknownNameError, asked: AskedRun, run: Graph) -> str | None:
    if error.name not in _dataset_of(asked.run).relations:
        return None
    return (
        f"{error.part}: found {quoted(error.name)}, which is in the dataset and not in this run; "
        f"allowed: {some_relations(run)}, or first `mocme run {asked.arguments}`, as a relation "
        "has to be trained"
    )


def _dataset_of(run: StagedRun) -> Graph:
    """Read the graph of a run's dataset as it is now.

    Raises:
        MocmeError: If it cannot be read.
    """
    source = find_source(run)
    if source.dataset is None:
        raise MocmeError(str(source.problem))
    return source.dataset.graph


def _ids_of(name: str, graph: Graph) -> list[str]:
    """Return the ids of the entities that a name may mean."""
    return [name] if name in graph.entities else entities_called(graph, name)


def _listed(ids: Sequence[str]) -> str:
    return " or ".join(map(shortened, ids[:5]))
