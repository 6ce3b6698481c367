"""Stage keys: the digest of everything that determines what a stage yields.

A stage whose key has not changed is skipped. Where things lie and what they run on (the paths of
dataset, store and runs, the device, the number of processes) is no part of a key, so a moved folder
keeps its results.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from flows.configs.pipeline_config import PipelineConfig
from flows.stages.negatives import negatives_digest
from storage.datasets.reading.negatives import NEGATIVES_FILE
from storage.words.visible import shortened

Stage = Literal["extract", "train", "evaluate", "predict"]

_VERSIONS: Mapping[Stage, int] = {"train": 11, "evaluate": 6, "predict": 7}
"""Raise a stage's version whenever the same parts would yield another result."""

PLACES = ("device", "processes")
"""Keys of the config's `train` section that say where to train: results differ by rounding only."""

_LONGEST_TEXT_SHOWN = 24  # characters; a digest says nothing to a reader


@dataclass(frozen=True)
class StageKey:
    """What determines a stage's result.

    Attributes:
        stage: The stage.
        parts: All that determines its result, as JSON values.
    """

    stage: Stage
    parts: Mapping[str, Any]

    @property
    def digest(self) -> str:
        """SHA-256 of the stage, its version and its parts in canonical JSON, in hex."""
        whole = {"stage": self.stage, "version": _VERSIONS[self.stage], "parts": self.parts}
        text = json.dumps(whole, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


def train_key(
    config: PipelineConfig, graph_digest: str, content_digests: Mapping[str, str]
) -> StageKey:
    """Return the key of a training.

    Args:
        config: The run's config.
        graph_digest: Digest of entities, relations and triples.
        content_digests: Of each modality, the digest of its feature space and of its items.
    """
    modalities = {
        name: {"content": digest, "max_items": config.modalities[name].max_items}
        for name, digest in content_digests.items()
    }
    parts = {
        "graph": graph_digest,
        "modalities": modalities,
        "model": config.model.model_dump(mode="json"),
        "train": config.train.model_dump(mode="json", exclude=set(PLACES)),
    }
    return StageKey("train", parts)


def evaluate_key(trained: str) -> StageKey:
    """Return the key of an evaluation, given the training's digest."""
    return StageKey("evaluate", {"trained": trained})


def predict_key(trained: str, config: PipelineConfig) -> StageKey:
    """Return the key of a prediction, given the training's digest.

    Raises:
        FileError: If the dataset's file of negatives cannot be read.
    """
    parts: dict[str, Any] = {"trained": trained, "predict": config.predict.model_dump(mode="json")}
    if config.relation_types:
        stated = config.relation_types.items()
        parts["relation_types"] = {name: it.model_dump(mode="json") for name, it in stated}
    if (negatives := negatives_digest(config.dataset)) is not None:
        parts[NEGATIVES_FILE] = negatives
    return StageKey("predict", parts)


def changes(old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Name the parts in which two keys differ, as `train.epochs 5 -> 6`.

    Args:
        old: The parts of the one.
        new: The parts of the other.
        prefix: What stands before the names.
    """
    for name in dict.fromkeys([*new, *old]):
        if name not in old:
            yield f"{prefix}{name} is new"
        elif name not in new:
            yield f"{prefix}{name} is gone"
        elif isinstance(old[name], Mapping) and isinstance(new[name], Mapping):
            yield from changes(old[name], new[name], f"{prefix}{name}.")
        elif old[name] != new[name]:
            yield f"{prefix}{name} {_from_to(old[name], new[name])}"


def _from_to(old: Any, new: Any) -> str:
    """Show the old value and the new one; of texts as long as digests, that they differ."""
    before, after = json.dumps(old), json.dumps(new)
    for value, text in ((old, before), (new, after)):
        if isinstance(value, str) and len(text) > _LONGEST_TEXT_SHOWN:
            return "changed"
    return f"{shortened(before)} -> {shortened(after)}"
