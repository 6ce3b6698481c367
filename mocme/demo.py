"""`make demo`: a sample graph from raw media to predicted facts, beside structure alone."""

import time
from pathlib import Path
from typing import Any

from flows.configs.pipeline_config import PipelineConfig, load_config
from flows.local_runs import open_flow
from flows.stages.manifest import PREDICTIONS_FILE
from flows.stages.predictions import Prediction, read_predictions
from flows.stages.run_record import RunRecord, start_record
from flows.stages.staged_run import StagedRun
from flows.terminal.output import STDERR, STDOUT
from mocme.reliability import print_reliability, read_reliability
from mocme.summary import metrics_table, print_summary
from mocme.tables import MOST_WEIGHTS, table, weights
from storage.isolation import isolate_process

DEMO_DIR = Path("data/demo")
CONFIG = DEMO_DIR / "mocme.yaml"
STRUCTURE_ONLY = ("modalities={}",)


def main() -> None:
    """Make the sample if it is not there, run the pipeline twice, and show what came out."""
    isolate_process()
    start = time.monotonic()
    if not CONFIG.exists():
        from extractors.sample import write_sample

        STDERR.print(f"writing a sample graph to {DEMO_DIR} ...", highlight=False)
        write_sample(DEMO_DIR)
    structure_only, every_modality = load_config(CONFIG, STRUCTURE_ONLY), load_config(CONFIG)
    with open_flow("pipeline") as pipeline:
        structure = _run(pipeline, "structure alone", structure_only)
        fused = _run(pipeline, "all modalities", every_modality)
    test = {"structure alone": structure.metrics["test"], "all modalities": fused.metrics["test"]}
    STDOUT.print(metrics_table(test))
    if fused.run_dir is not None:
        _show_predictions(fused.run_dir)
        _show_next_commands(fused.run_dir)
    STDOUT.print(f"{time.monotonic() - start:.0f} s in all", highlight=False)


def _run(pipeline: Any, title: str, config: PipelineConfig) -> RunRecord:
    """Run the pipeline on the sample and print what it did."""
    start = time.monotonic()
    STDOUT.rule(title, align="left")
    record = start_record()
    record.prefect_started = True
    pipeline(config)
    print_summary(STDOUT, record, time.monotonic() - start)
    return record


def _show_predictions(folder: Path) -> None:
    """Show each relation's most probable missing fact, and how many of all were planted."""
    lines = (DEMO_DIR / "unstated.tsv").read_text().splitlines()
    planted = {tuple(line.split("\t")) for line in lines}
    predictions = read_predictions(folder / PREDICTIONS_FILE)
    reliability = read_reliability(StagedRun(folder))
    best: dict[str, Prediction] = {}
    for found in sorted(predictions, key=lambda it: -it.probability):
        best.setdefault(found.relation, found)
    cells = [
        (
            f"{found.head} {found.relation} {found.tail}",
            "yes" if _triple(found) in planted else "no",
            reliability.shown(found.probability),
            weights(found.weights, MOST_WEIGHTS),
        )
        for found in best.values()
    ]
    columns = ["triple", "holds?", "probability", "weights"]
    STDOUT.print(table("Gaps filled, the surest of each relation", columns, cells))
    print_reliability(reliability)
    num_true = sum(_triple(found) in planted for found in predictions)
    STDOUT.print(
        f"{num_true} of {len(predictions)} predictions hold; "
        f"{len(planted)} facts had been held back",
        highlight=False,
    )


def _triple(found: Prediction) -> tuple[str, ...]:
    return found.head, found.relation, found.tail


def _show_next_commands(folder: Path) -> None:
    """Print what a newcomer may try on the sample."""
    first = read_predictions(folder / PREDICTIONS_FILE)[0]
    STDOUT.rule("next", align="left")
    for command in (
        f"mocme predict {CONFIG} --head {first.head} --relation {first.relation} -k 5 --why",
        f"mocme report {folder}",
        f"mocme run {CONFIG} --set train.epochs=50",
        f"mocme audit {DEMO_DIR}",
        f"mocme store stats {DEMO_DIR}/data/features",
    ):
        STDOUT.print(f".venv/bin/{command}", markup=False, highlight=False, soft_wrap=True)


if __name__ == "__main__":
    main()
