"""The JSON schema of a config file, for editors: what they complete and underline."""

from typing import Any

from extractors.registry import load_extractor_class, names
from flows.configs.pipeline_config import ModalityConfig, PipelineConfig

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def editor_schema() -> dict[str, Any]:
    """Return the schema of a config, the own options of every extractor included."""
    schema = PipelineConfig.model_json_schema()
    entry = schema["$defs"][ModalityConfig.__name__]
    del entry["additionalProperties"]
    entry["allOf"] = [_options_of(extractor) for extractor in names()]
    entry["unevaluatedProperties"] = False
    return {"$schema": _DIALECT, **schema, "title": "Config of mocme"}


def _options_of(extractor: str) -> dict[str, Any]:
    """Return what an entry of an extractor may hold besides what every entry may."""
    options = load_extractor_class(extractor).Config.model_json_schema()
    own = {key: options[key] for key in ("properties", "required", "$defs") if key in options}
    is_it = {"properties": {"extractor": {"const": extractor}}, "required": ["extractor"]}
    return {"if": is_it, "then": own}
