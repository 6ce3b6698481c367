"""Writing a config, so that the file moves with the data it names."""

import os
from pathlib import Path

import yaml

from flows.configs.pipeline_config import PipelineConfig
from flows.configs.yaml_schema import ConfigDumper
from storage.atomic import write_whole


def write_config(config: PipelineConfig, path: Path, comment: str = "") -> None:
    """Write the whole config as YAML, paths relative to the file's folder.

    Args:
        config: The config.
        path: The file; its folder must exist.
        comment: One line to stand above it.
    """
    described = config.model_dump(mode="json")
    for name in ("dataset", "store", "runs"):
        described[name] = os.path.relpath(described[name], path.parent)
    for name, entry in config.modalities.items():
        paths = {key: os.path.relpath(it, path.parent) for key, it in entry.path_options.items()}
        described["modalities"][name].update(paths)
    text = yaml.dump(described, Dumper=ConfigDumper, sort_keys=False, allow_unicode=True)
    write_whole(path, f"# {comment}\n{text}" if comment else text)
