"""What a run has predicted, in short: the surest triples, and where all of them are."""

import shlex
from collections.abc import Sequence
from pathlib import Path

from flows.stages.manifest import PREDICTIONS_FILE
from flows.stages.predictions import Prediction, read_predictions
from flows.stages.staged_run import StagedRun
from flows.terminal.output import STDOUT, print_line
from mocme.reliability import Reliability, print_reliability, read_reliability
from mocme.tables import MOST_WEIGHTS, table, weights

_MOST_SHOWN = 5


def print_predictions(run_dir: Path, config: Path, overrides: Sequence[str]) -> None:
    """Print the surest predicted triples of a run, their file, and what to do next.

    Args:
        run_dir: Folder of a run whose stage `predict` has finished.
        config: Its config.
        overrides: What was laid on that.
    """
    path = run_dir / PREDICTIONS_FILE
    found, reliability = read_predictions(path), read_reliability(StagedRun(run_dir))
    surest = sorted(found, key=lambda it: -it.probability)[:_MOST_SHOWN]
    columns = ["head", "relation", "tail", "probability", "weights"]
    title = f"The surest {len(surest)} of {len(found)} missing triples"
    STDOUT.print(table(title, columns, [_row(it, reliability) for it in surest]))
    print_reliability(reliability)
    words = [str(config), *(word for it in overrides for word in ("--set", it))]
    print_line(f"all of them: {path}")
    print_line(f"ask: mocme predict {shlex.join(words)} --head X --new")
    print_line(f"see: mocme report {shlex.quote(str(run_dir))}")


def _row(found: Prediction, reliability: Reliability) -> tuple[object, ...]:
    return (
        found.head,
        found.relation,
        found.tail,
        reliability.shown(found.probability),
        weights(found.weights, MOST_WEIGHTS),
    )
