"""What an extractor is: from one item of raw media to one feature vector.

Adding a modality is adding one file `extractors/<modality>_<backbone>.py` with one subclass of
`Extractor`; the registry finds it by its name.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from storage.datasets.items import ItemKind
from storage.features.space import FeatureDtype, FeatureLayout, FeatureSpace

LoadedT = TypeVar("LoadedT")
ConfigT = TypeVar("ConfigT", bound="ExtractorConfig")

RawContent = Path | str | Mapping[str, object]
"""What `load` is given: a file's absolute path, a text, or numbers by attribute."""


class MediaError(Exception):
    """An item that cannot be decoded; the message is the reason that is recorded for it."""


class ExtractorConfig(BaseModel):
    """Base of every extractor's own config; an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


@dataclass(frozen=True)
class Runtime:
    """Where and how to compute; nothing here may change a vector beyond rounding.

    Attributes:
        device: A torch device, or `auto`: the first GPU if there is one, else the CPU.
        offline: Whether weights may only come from this machine.
    """

    device: str = "auto"
    offline: bool = False


class Extractor(ABC, Generic[ConfigT, LoadedT]):
    """Turns items of one modality into vectors.

    `load` runs in worker processes ahead of `encode`, so an extractor must be picklable before
    its first `encode`: build the backbone lazily.

    Attributes:
        name: Name in the config; equals the module's.
        modality: The modality, and the default field of an entity.
        item_kind: What the items are: files, texts or numbers.
        version: Raise it whenever the same item would yield another vector.
        layout: What a row holds; see `FeatureSpace`.
        fixed_dtype: Dtype of the stored rows if the config's choice must not apply.
        default_fields: Fields of an entity that hold the items where the config names none; if
            this is empty, the field of the config entry's name does.
        decodes_in_workers: Whether `load` is dear enough for a worker process.
    """

    name: ClassVar[str]
    modality: ClassVar[str]
    item_kind: ClassVar[ItemKind]
    version: ClassVar[int] = 1
    layout: ClassVar[FeatureLayout] = "dense"
    fixed_dtype: ClassVar[FeatureDtype | None] = None
    default_fields: ClassVar[tuple[str, ...]] = ()
    decodes_in_workers: ClassVar[bool] = True
    Config: ClassVar[type[ExtractorConfig]]

    def __init__(self, config: ConfigT, runtime: Runtime | None = None) -> None:
        self.config = config
        self.runtime = runtime or Runtime()

    def check(self) -> None:
        """Refuse files of the config that cannot do, as far as that is soon found.

        Called before a run begins; nothing is fetched or loaded. The default refuses nothing.

        Raises:
            MocmeError: If the extractor would fail for them.
        """

    def prepare(self, contents: Iterable[RawContent]) -> None:
        """Learn from all items of the dataset what the space depends on (say, its attributes).

        Called once, before `dim` and `fingerprint_parts`. The default learns nothing.

        Args:
            contents: As the dataset lists them: a file by its relative path.
        """

    def covers(self, content: RawContent) -> bool:
        """Whether there is anything to extract of a content; else it counts as missing.

        Called after `prepare`. By default there always is.
        """
        return True

    @property
    @abstractmethod
    def dim(self) -> int:
        """Length of a row."""

    @abstractmethod
    def fingerprint_parts(self) -> Mapping[str, Any]:
        """Return, as JSON values, all that determines a vector besides the item's content.

        Weights (revision or digest), preprocessing, pooling; not the name or the version,
        which are added to every space.
        """

    @abstractmethod
    def load(self, content: RawContent) -> LoadedT:
        """Decode one item on the CPU.

        Raises:
            MediaError: If the item cannot be decoded; the message is the recorded reason.
        """

    @abstractmethod
    def encode(self, batch: Sequence[LoadedT]) -> NDArray[np.float32]:
        """Encode loaded items. Shape: (len(batch), dim)."""

    def warm_up(self) -> None:
        """Get ready to encode; runs while the first items are being decoded."""

    def batch_key(self, loaded: LoadedT) -> int:
        """Return a key, at least 0; only items of equal keys share a batch (say, of a length)."""
        return 0

    def space(self, dtype: FeatureDtype) -> FeatureSpace:
        """Describe the feature space that this extractor writes to.

        Args:
            dtype: Dtype of the stored rows, unless the extractor fixes its own.
        """
        parts = {"version": self.version, **self.fingerprint_parts()}
        return FeatureSpace(self.name, parts, self.dim, self.fixed_dtype or dtype, self.layout)


def torch_device(name: str) -> str:
    """Resolve `auto` to the first GPU if there is one, else the CPU."""
    if name != "auto":
        return name
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"
