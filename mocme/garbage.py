"""Which stored features a set of configs refers to, and collecting the others."""

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

from extractors.preview import preview_modality
from flows.configs.pipeline_config import PipelineConfig
from flows.configs.yaml_reader import ConfigError
from flows.inputs import plan_modality, read_inputs
from flows.stages.run_record import RunRecord
from storage.errors import StoreError
from storage.features.garbage import Garbage, Used, collect_garbage, find_garbage
from storage.features.lock import deleting
from storage.features.store import space_folder


def collect(configs: Sequence[PipelineConfig], *, dry_run: bool) -> list[Garbage]:
    """Delete the feature spaces and vectors of a store that none of its configs refers to.

    Args:
        configs: All configs whose features shall stay; their store is one.
        dry_run: Whether only to say what would go.

    Returns:
        What was or would be deleted.

    Raises:
        ConfigError: If the configs name several stores.
        StoreError: If a run is writing to the store, or it cannot be told what a config refers to.
    """
    stores = sorted({config.store for config in configs})
    if len(stores) != 1:
        raise ConfigError(
            f"store: found {', '.join(map(str, stores))}; allowed: configs of one store"
        )
    with nullcontext() if dry_run else deleting(stores[0]):
        used = _used(configs)
        return (find_garbage if dry_run else collect_garbage)(stores[0], used)


def _used(configs: Sequence[PipelineConfig]) -> Used:
    """Return what the configs refer to; all of a space in which a file cannot be read now."""
    used: dict[Path, frozenset[bytes] | None] = {}
    for config in configs:
        dataset = read_inputs(config, RunRecord())
        for name in config.modalities:
            plan = plan_modality(config, name, offline=True)
            preview = preview_modality(dataset, plan, config.store, config.extract)
            if preview.space is None:
                raise StoreError(
                    f"modality '{name}': found no weights of it on this machine, by which its "
                    "feature space could be told; allowed: configs whose weights are here"
                )
            folder = space_folder(config.store, preview.space)
            before = used.get(folder, frozenset())
            if before is None or preview.num_unreadable > 0:
                used[folder] = None
            else:
                used[folder] = before | preview.digests
    return used
