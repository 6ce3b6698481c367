"""The event that tells a server of new features, and which trainings it is for."""

import hashlib
import os

from flows.configs.pipeline_config import PipelineConfig

FEATURES_UPDATED = "mocme.features.updated"
"""Name of the event; `prefect.yaml` starts training by it."""

_ID_DIGITS = 16


def features_resource(config: PipelineConfig) -> str:
    """Return the id of what an extraction updates: the features of a dataset in a store.

    Configs that share both share the id, as the extraction of the one leaves nothing new for that
    of the other.
    """
    places = b"\0".join(map(os.fsencode, (config.dataset, config.store)))
    return f"mocme.cache.{hashlib.sha256(places).hexdigest()[:_ID_DIGITS]}"
