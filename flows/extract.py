"""The `extract` flow: raw media to stored feature vectors, one task per modality."""

from collections.abc import Mapping, MutableMapping
from typing import Any

from prefect import flow, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.events import emit_event
from prefect.task_runners import ThreadPoolTaskRunner

from extractors.extraction import ExtractionError, extract_modality
from extractors.plan import ModalityPlan
from extractors.report import Extraction, Progress
from flows.configs.pipeline_config import PipelineConfig, load_config
from flows.failure_report import write_failures
from flows.inputs import plan_modality, read_inputs
from flows.server.artifacts import publish_extraction, publish_stages
from flows.server.clusters import ShardCluster, open_cluster
from flows.server.feature_events import FEATURES_UPDATED, features_resource
from flows.server.progress import StageProgress
from flows.server.states import as_state, failure_recorded
from flows.stages.run_record import RunRecord, take_record
from flows.stages.stage import Outcome, since, start_clock
from storage.datasets.dataset import Dataset
from storage.words.visible import visible_line

EXTRACTION_RUNNER: Any = ThreadPoolTaskRunner(max_workers=1)
"""One modality at a time: each has worker processes of its own, or a cluster's, and a device has
room for one backbone. Two or five at once were no faster on 2 cores (9.4 and 9.7 s against 9.0 s,
stamps)."""


class ExtractionJob:
    """What the extraction tasks are given.

    No dataclass: Prefect walks through the fields of those item by item.
    """

    def __init__(
        self,
        config: PipelineConfig,
        dataset: Dataset,
        plans: MutableMapping[str, ModalityPlan],
        progress: StageProgress,
        cluster: ShardCluster | None,
    ) -> None:
        self._config = config
        self._dataset = dataset
        self._plans = plans
        self._progress = progress
        self._cluster = cluster

    def run(self, modality: str) -> tuple[Extraction, Outcome]:
        """Bring the features of one modality up to date."""
        start, num_tried = start_clock(), 0
        show = self._progress.of_items()

        def on_progress(progress: Progress) -> None:
            nonlocal num_tried
            num_tried = progress.total
            show(progress)

        config = self._config
        plan = self._plans.pop(modality, None) or plan_modality(config, modality)
        options = config.extract
        found = extract_modality(
            self._dataset, plan, config.store, options, on_progress, self._cluster
        )
        self._progress.items_done(modality)
        reason = _reason(found, num_tried, retried=options.retry_failed)
        outcome = Outcome("ran" if num_tried else "skipped", reason, since(start))
        return found, outcome


def _reason(found: Extraction, num_tried: int, *, retried: bool) -> str:
    """Say what was done, and whether that is worth little, since almost all of it failed."""
    kind = "new or failed" if retried else "new"
    if found.warning is None:
        return f"{num_tried} {kind} contents" if num_tried else "everything is stored"
    return f"{num_tried or 'no'} {kind} contents; {found.warning}"


@task(name="extract-modality", cache_policy=NO_CACHE, task_run_name="extract-{modality}")
def extract_task(modality: str, job: ExtractionJob) -> Any:
    """Bring the features of one modality up to date."""
    found, outcome = job.run(modality)
    return as_state(f"extract {modality}", outcome, (found, outcome))


def extract_features(
    config: PipelineConfig, dataset: Dataset, record: RunRecord
) -> dict[str, Extraction]:
    """Bring the features of all modalities up to date.

    Raises:
        ConfigError: If the config's task runner is not installed; before anything is extracted.
        ExtractionError: If too many items of a modality failed; after all modalities are done.
    """
    start = start_clock()
    with failure_recorded(record, "extract"):
        plans = record.inputs_for(config).plans
        extractions, outcomes, errors = _run_tasks(config, dataset, plans)
        record.extracted = {name: found.counts for name, found in extractions.items()}
        record.warnings = [found.warning for found in extractions.values() if found.warning]
        record.failures_file = write_failures(config.runs, extractions)
        publish_extraction(extractions, outcomes)
        for warning in record.warnings:
            get_run_logger().warning(warning)
        if errors:
            raise errors[0]
    ran = [f"{name}: {done.reason}" for name, done in outcomes.items() if done.status == "ran"]
    reason = ", ".join(ran) or "; ".join(record.warnings) or "everything is stored"
    record.stages["extract"] = Outcome("ran" if ran else "skipped", reason, since(start))
    return extractions


def _run_tasks(
    config: PipelineConfig, dataset: Dataset, plans: MutableMapping[str, ModalityPlan]
) -> tuple[dict[str, Extraction], dict[str, Outcome], list[BaseException]]:
    """Run one task per modality and wait for all of them, whatever becomes of each."""
    extractions: dict[str, Extraction] = {}
    outcomes: dict[str, Outcome] = {}
    errors: list[BaseException] = []
    with StageProgress() as progress, open_cluster(config) as cluster:
        job = ExtractionJob(config, dataset, plans, progress, cluster)
        futures = {name: extract_task.submit(name, job) for name in config.modalities}
        for name, future in futures.items():
            result: Any = future.result(raise_on_failure=False)
            if not isinstance(result, BaseException):
                extractions[name], outcomes[name] = result
                continue
            errors.append(result)
            if isinstance(result, ExtractionError):
                extractions[name] = result.extraction
                outcomes[name] = Outcome("failed", str(result), 0.0)
    return extractions, outcomes, errors


@flow(name="extract", task_runner=EXTRACTION_RUNNER)
def extract(config: PipelineConfig | str) -> dict[str, Any]:
    """Bring the stored features of a dataset up to date; say so if there are new ones.

    Args:
        config: The whole config, or the path of a YAML file that holds it.
    """
    settings, record = load_config(config), take_record()
    try:
        extract_features(settings, read_inputs(settings, record), record)
    finally:
        publish_stages(record)
        new = {name: counts.new for name, counts in record.extracted.items() if counts.new}
        _announce(settings, new)
    return record.as_json(extraction_only=True)


def _announce(config: PipelineConfig, num_new: Mapping[str, int]) -> None:
    """Emit the event that starts what waits for new features."""
    if num_new:
        emit_event(
            FEATURES_UPDATED,
            resource={
                "prefect.resource.id": features_resource(config),
                "prefect.resource.name": visible_line(f"{config.dataset} in {config.store}"),
            },
            payload={"new": dict(num_new)},
        )
