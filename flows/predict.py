"""The `predict` flow: the most probable missing triples, by the newest run of a config."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State

from flows.artifacts import publish_stages
from flows.config import PipelineConfig, load_config
from flows.keys import predict_key
from flows.run_record import RunRecord, take_record
from flows.staged_run import PREDICTIONS_FILE, StagedRun, newest_run_of
from flows.stages import run_stage
from flows.states import as_state, failure_recorded
from model.config import PredictConfig
from storage.atomic import write_whole

if TYPE_CHECKING:
    from model.predictor import PredictedTriple


def _predict(folder: StagedRun, config: PredictConfig) -> Sequence[Path]:
    from model.predictor import Predictor  # imports torch

    relations = None if config.relations == "all" else config.relations
    triples = Predictor(folder.path).missing_triples(relations, config.k)
    path = folder.path / PREDICTIONS_FILE
    write_whole(path, "".join(f"{line}\n" for line in prediction_lines(triples)))
    return [path]


def prediction_lines(triples: Iterable["PredictedTriple"]) -> Iterator[str]:
    """Yield the lines of `predictions.tsv`: a heading, then a triple each, the weights last."""
    modalities: list[str] | None = None
    for triple in triples:
        if modalities is None:
            modalities = list(triple.modality_weights)
            weights = [f"weight_{modality}" for modality in modalities]
            yield "\t".join(["head", "relation", "tail", "probability", *weights])
        numbers = [triple.probability, *(triple.modality_weights[name] for name in modalities)]
        cells = [triple.head, triple.relation, triple.tail, *(f"{x:.6g}" for x in numbers)]
        yield "\t".join(cells)


@task(name="predict", cache_policy=NO_CACHE)
def predict_task(folder: StagedRun, config: PipelineConfig) -> Any:
    """Complete the graph by a run's model unless its predictions are up to date."""
    key = predict_key(folder.trained, config)
    outcome = run_stage(folder, key, lambda: _predict(folder, config.predict))
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
    predict_triples(newest_run_of(settings), settings, record)
    publish_stages(record)
    return record.as_json()
