"""The `predict` flow: the most probable missing triples, by the newest run of a config."""

from typing import Any

from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State

from flows.configs.pipeline_config import PipelineConfig, load_config
from flows.inputs import run_to_work_in
from flows.server.artifacts import publish_stages
from flows.server.states import as_state, failure_recorded
from flows.stages.keys import predict_key
from flows.stages.manifest import PREDICTIONS_FILE
from flows.stages.negatives import negatives_now
from flows.stages.predictions import write_table
from flows.stages.run_record import RunRecord, take_record
from flows.stages.stage import run_stage
from flows.stages.staged_run import StagedRun
from storage.atomic import replacing
from storage.files.file_errors import write_errors


def _predict(folder: StagedRun, config: PipelineConfig) -> None:
    from model.prediction.predictor import Predictor  # imports torch

    wanted = config.predict.relations
    predictor = Predictor(
        folder.path,
        missing_share=config.predict.missing_share,
        stated=config.relation_types,
    )
    predictor.leave_out(negatives_now(config.dataset, predictor.graph))
    triples = predictor.missing_triples(None if wanted == "all" else wanted, config.predict.k)
    folder.write_config(config)  # a later command asks this run by the statements made last
    path = folder.path / PREDICTIONS_FILE
    with write_errors(path), replacing(path) as temporary:
        write_table(temporary, triples, columns=predictor.triple_columns)


@task(name="predict", cache_policy=NO_CACHE)
def predict_task(folder: StagedRun, config: PipelineConfig) -> Any:
    """Complete the graph by a run's model unless its predictions are up to date."""
    key = predict_key(folder.trained, config)
    outcome = run_stage(folder, key, lambda: _predict(folder, config))
    return as_state("predict", outcome, outcome)


def predict_triples(folder: StagedRun, config: PipelineConfig, record: RunRecord) -> None:
    """Bring a run's predictions up to date."""
    record.run_dir = folder.path
    with failure_recorded(record, "predict"):
        state: State[Any] = predict_task(folder, config, return_state=True)
        record.stages["predict"] = state.result()


@flow(name="predict")
def predict(config: PipelineConfig | str) -> dict[str, Any]:
    """Complete the graph by the newest run of a config.

    Args:
        config: The whole config, or the path of a YAML file that holds it.
    """
    settings, record = load_config(config), take_record()
    predict_triples(run_to_work_in(settings, record), settings, record)
    publish_stages(record)
    return record.as_json()
