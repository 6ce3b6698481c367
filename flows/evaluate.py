"""The `evaluate` flow: the metrics of the newest run of a config."""

import json
from typing import Any

from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State

from flows.configs.pipeline_config import PipelineConfig, load_config
from flows.inputs import run_to_work_in
from flows.server.artifacts import publish_metrics, publish_stages
from flows.server.states import as_state, failure_recorded
from flows.stages.keys import evaluate_key
from flows.stages.manifest import EVALUATION_FILE
from flows.stages.run_record import RunRecord, take_record
from flows.stages.stage import Outcome, run_stage
from flows.stages.staged_run import StagedRun
from storage.atomic import write_whole
from storage.files.file_errors import DamagedFileError, write_errors


def evaluate_folder(folder: StagedRun) -> Outcome:
    """Evaluate a run's model into `evaluation.json`, unless that is up to date."""
    key = evaluate_key(folder.trained)
    outcome = run_stage(folder, key, lambda: _evaluate(folder))
    try:
        folder.evaluation()
    except DamagedFileError:  # left before there were checksums
        folder.forget("evaluate")
        outcome = run_stage(folder, key, lambda: _evaluate(folder))
    return outcome


def _evaluate(folder: StagedRun) -> None:
    from model.evaluation.evaluate import evaluate_run  # imports torch

    path = folder.path / EVALUATION_FILE
    text = json.dumps(evaluate_run(folder.path), indent=1)
    with write_errors(path):
        write_whole(path, f"{text}\n")


@task(name="evaluate", cache_policy=NO_CACHE)
def evaluate_task(folder: StagedRun) -> Any:
    """Evaluate a run's model unless its evaluation is up to date."""
    outcome = evaluate_folder(folder)
    return as_state("evaluate", outcome, outcome)


def evaluate_model(folder: StagedRun, record: RunRecord) -> None:
    """Bring a run's evaluation up to date and publish its metrics."""
    record.run_dir = folder.path
    with failure_recorded(record, "evaluate"):
        state: State[Any] = evaluate_task(folder, return_state=True)
        record.stages["evaluate"] = state.result()
        record.evaluation = folder.evaluation()
    publish_metrics(record)


@flow(name="evaluate")
def evaluate(config: PipelineConfig | str) -> dict[str, Any]:
    """Evaluate the newest run of a config.

    Args:
        config: The whole config, or the path of a YAML file that holds it.
    """
    settings, record = load_config(config), take_record()
    evaluate_model(run_to_work_in(settings, record), record)
    publish_stages(record)
    return record.as_json()
