"""The `pipeline` flow: raw media to predicted triples, each stage only if it must run."""

from typing import Any

from prefect import flow

from flows.configs.pipeline_config import PipelineConfig, load_config
from flows.evaluate import evaluate_model
from flows.extract import EXTRACTION_RUNNER, extract_features
from flows.inputs import read_inputs
from flows.predict import predict_triples
from flows.server.artifacts import publish_stages
from flows.stages.run_record import take_record
from flows.train import train_model


@flow(name="pipeline", task_runner=EXTRACTION_RUNNER)
def pipeline(config: PipelineConfig | str) -> dict[str, Any]:
    """Extract, train, evaluate and predict.

    Args:
        config: The whole config, or the path of a YAML file that holds it.
    """
    settings, record = load_config(config), take_record()
    dataset = read_inputs(settings, record)
    try:
        extractions = extract_features(settings, dataset, record)
        folder = train_model(settings, dataset, extractions, record)
        evaluate_model(folder, record)
        predict_triples(folder, settings, record)
    finally:
        publish_stages(record)
    return record.as_json()
