"""The stored features of one of a config's modalities, by entity."""

from pathlib import Path

from extractors.preview import Preview, preview_modality
from flows.configs.pipeline_config import PipelineConfig
from flows.configs.yaml_reader import ConfigError
from flows.inputs import plan_modality, read_inputs
from flows.stages.run_record import RunRecord
from storage.errors import StoreError
from storage.features.export import ExportedFeatures, files_of
from storage.features.store import FeatureStore, space_folder
from storage.words.suggestion import did_you_mean


def require_no_input(out: Path, config: PipelineConfig) -> None:
    """Refuse an export that would replace features which a modality imports, or their ids.

    Args:
        out: The file.
        config: Whose modalities count.

    Raises:
        ConfigError: If a modality reads such a file.
    """
    targets = {file.resolve() for file in files_of(out)}
    for name, entry in config.modalities.items():
        for key, path in entry.path_options.items():
            if Path(path).resolve() in targets:
                raise ConfigError(
                    f"{path}: found a file that 'modalities.{name}.{key}' reads; "
                    "allowed: another name"
                )


def stored_features(config: PipelineConfig, modality: str) -> tuple[ExportedFeatures, Preview]:
    """Read the vectors of every item that has one, in entity order; nothing is extracted.

    Args:
        config: The config.
        modality: One of its modalities.

    Returns:
        The vectors, and what else the dataset lists.

    Raises:
        ConfigError: If the config has no such modality.
        StoreError: If nothing of it is stored, or a vector is damaged.
    """
    if modality not in config.modalities:
        raise ConfigError(
            f"MODALITY: found '{modality}'{did_you_mean(modality, config.modalities)}; "
            f"allowed: {', '.join(config.modalities) or 'none, the config has no modalities'}"
        )
    dataset = read_inputs(config, RunRecord())
    plan = plan_modality(config, modality, offline=True)
    preview = preview_modality(dataset, plan, config.store, config.extract)
    if preview.space is None or not preview.references:
        raise StoreError(
            f"{config.store}: found no features of the modality '{modality}' as the config has "
            "it; allowed: one that `mocme extract CONFIG` has run for"
        )
    with FeatureStore.open_readonly(space_folder(config.store, preview.space)) as store:
        rows = store.read([digest for _, digest in preview.references])
    ids = [dataset.entities[entity].id for entity, _ in preview.references]
    return ExportedFeatures(ids, rows), preview
