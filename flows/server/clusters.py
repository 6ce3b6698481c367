"""Shards of an extraction as Prefect tasks, run by Dask or by Ray.

Workers share three paths with the flow: the dataset's, the store's and those of local models. What
travels is the config and positions of items, never media or vectors.
"""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from contextvars import Context, copy_context
from functools import cached_property, lru_cache
from typing import Any, Protocol, cast
from uuid import uuid4

from prefect import task
from prefect.cache_policies import NO_CACHE

from extractors.options import ExtractOptions
from extractors.plan import ModalityPlan
from extractors.shards import Pending, Shard, ShardReport, extract_shard
from flows.configs.pipeline_config import PipelineConfig
from flows.configs.yaml_reader import ConfigError
from flows.inputs import check_task_runner, plan_modality
from storage.datasets.dataset import Dataset, read_dataset
from storage.datasets.items import Item

_NUM_RETRIES = 2
_SECONDS_BETWEEN_TRIES = 1

_one_at_a_time = threading.Lock()  # in a worker process: an extractor is no affair of two threads


class _Runner(Protocol):
    """What Prefect's task runners have in common; a context."""

    def __enter__(self) -> "_Runner": ...

    def __exit__(self, *error: object) -> None: ...

    def submit(self, task: Any, parameters: dict[str, Any]) -> Pending: ...


class ShardCluster:
    """Has shards extracted by Dask or Ray, which are started with the first one.

    Make it in the flow. Shards are submitted as the flow's tasks, wherever `submit` is called: what
    is in the caller's context would travel with each of them.

    Args:
        config: The run's config.
        closing: Where to leave what is to be stopped in the end.
    """

    def __init__(self, config: PipelineConfig, closing: ExitStack) -> None:
        self._options = config.extract
        self._config = config.model_dump_json()
        self._run = uuid4().hex
        self._closing = closing
        self._flow: Context = copy_context()
        self._error: ConfigError | None = None

    def submit(self, shard: Shard) -> Pending:
        """Hand a shard out as a task.

        Raises:
            ConfigError: If there is no cluster at the config's address.
        """
        if self._error is not None:  # to find out takes half a minute
            raise self._error
        parameters = {"config": self._config, "run": self._run, "shard": shard}
        try:
            return self._flow.run(self._runner.submit, shard_task, parameters)
        except (OSError, ValueError) as error:  # ValueError: it is no address at all
            place = self._options.cluster or "this machine"
            self._error = ConfigError(
                f"'extract.cluster': found no {self._options.task_runner} cluster at {place}: "
                f"{error}; allowed: the address of a running one"
            )
            raise self._error from error

    @cached_property
    def _runner(self) -> _Runner:
        return self._closing.enter_context(_build_runner(self._options))


@contextmanager
def open_cluster(config: PipelineConfig) -> Iterator[ShardCluster | None]:
    """Yield what extracts shards; None if this process is to extract.

    Raises:
        ConfigError: If the config's task runner is not installed.
    """
    check_task_runner(config)
    if config.extract.task_runner == "threads":
        yield None
        return
    with ExitStack() as closing:
        yield ShardCluster(config, closing)


def _build_runner(options: ExtractOptions) -> _Runner:
    """Return a task runner for a running cluster, or for one of this machine that ends with it."""
    num_workers = options.cluster_workers
    if options.task_runner == "ray":
        from prefect_ray import RayTaskRunner

        init = {} if options.cluster else {"num_cpus": num_workers, "include_dashboard": False}
        return cast(_Runner, RayTaskRunner(options.cluster, init_kwargs=init))
    from prefect_dask import DaskTaskRunner

    if options.cluster:
        return cast(_Runner, DaskTaskRunner(address=options.cluster))
    # memory_limit: what a backbone takes is not Dask's to judge; it would kill the worker.
    local = {"n_workers": num_workers, "threads_per_worker": 1, "memory_limit": 0}
    # security: other users of this machine could otherwise send its workers code.
    closed = {"dashboard_address": None, "security": True}
    return cast(_Runner, DaskTaskRunner(cluster_kwargs={**local, **closed}))


@task(
    name="extract-shard",
    task_run_name="extract-{shard.modality}-{shard.name}",
    cache_policy=NO_CACHE,
    retries=_NUM_RETRIES,
    retry_delay_seconds=_SECONDS_BETWEEN_TRIES,
)
def shard_task(config: str, run: str, shard: Shard) -> ShardReport:
    """Extract a shard into its own store, in a worker's process.

    Args:
        config: The run's config, as JSON.
        run: The same for all shards of a run, so that a worker reads the dataset once for all.
        shard: What to extract.
    """
    return _extract(config, run, shard)


def _extract(config: str, run: str, shard: Shard) -> ShardReport:
    """Do what the task is for; the task itself travels with all that its function refers to."""
    settings = PipelineConfig.model_validate_json(config)
    with _one_at_a_time:
        dataset, plan, items = _prepare(config, run, shard.modality)
        return extract_shard(dataset.root, items, plan, shard, settings.store, settings.extract)


@lru_cache(maxsize=1)
def _prepare(config: str, run: str, modality: str) -> tuple[Dataset, ModalityPlan, list[Item]]:
    """Read a dataset and prepare an extractor, whose backbone is kept for the next shard."""
    settings = PipelineConfig.model_validate_json(config)
    dataset, plan = (
        read_dataset(settings.dataset, settings.split_salt),
        plan_modality(settings, modality),
    )
    return dataset, plan, plan.items_of(dataset)
