"""What `extract` would do on a config, and why a feature space is new; nothing is done."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from extractors.preview import Preview, preview_modality
from flows.configs.pipeline_config import PipelineConfig
from flows.inputs import plan_modality
from flows.stages.keys import changes
from storage.datasets.dataset import Dataset
from storage.features.pages import DATA_FILE
from storage.features.space import FeatureSpace
from storage.features.store import FeatureStore, feature_spaces, space_folder

NO_WEIGHTS = "the weights are not on this machine yet"


@dataclass(frozen=True)
class DryRun:
    """What an extraction of one modality would do.

    Attributes:
        preview: What is stored and what is not.
        why: Why the feature space is new; None if there are features of it already.
    """

    preview: Preview
    why: str | None

    def as_json(self) -> dict[str, Any]:
        """Return the object that `--json` prints for the modality."""
        space, warning = self.preview.space, self.preview.warning
        return {
            **asdict(self.preview.counts),
            "contents": self.preview.num_contents,
            "fingerprint": None if space is None else space.fingerprint,
            "why": self.why,
            **({} if warning is None else {"warning": warning}),
        }


def dry_run(config: PipelineConfig, dataset: Dataset) -> dict[str, DryRun]:
    """Say for each modality of a config what an extraction would do.

    The network is not asked for weights.
    """
    found = {}
    for name in config.modalities:
        plan = plan_modality(config, name, offline=True)
        preview = preview_modality(dataset, plan, config.store, config.extract)
        found[name] = DryRun(preview, why_new(config.store, preview.space))
    return found


def why_new(store_root: Path, space: FeatureSpace | None) -> str | None:
    """Say why a store has no features of a space, by the most similar space that it has.

    Args:
        store_root: Folder of the feature store.
        space: The space; None if its weights are not on this machine.

    Returns:
        The parts that differ, as `max_length 64 -> 128`; None if the store has the space.
    """
    if space is None:
        return NO_WEIGHTS
    existing = [
        folder for folder in feature_spaces(store_root) if folder.parent.name == space.extractor
    ]
    if space_folder(store_root, space) in existing:
        return None
    differences = [list(changes(_parts(old), _parts(space))) for old in _newest_first(existing)]
    if not differences:
        return f"no features of {space.extractor} here yet"
    fewest = min(differences, key=lambda found: len(found))
    return ", ".join(fewest)


def _newest_first(folders: list[Path]) -> Iterator[FeatureSpace]:
    for folder in sorted(folders, key=_last_written, reverse=True):
        with FeatureStore.open_readonly(folder) as store:
            yield store.space


def _last_written(folder: Path) -> float:
    return (folder / DATA_FILE).stat().st_mtime


def _parts(space: FeatureSpace) -> Mapping[str, Any]:
    """Return all that determines a space's fingerprint, the extractor's name apart."""
    return {**space.parts, "dim": space.dim, "dtype": space.dtype, "layout": space.layout}
