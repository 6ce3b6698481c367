"""What the extractors with a pretrained backbone share: weights, precision, laziness, pickling."""

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from extractors.base import Extractor, ExtractorConfig, torch_device
from extractors.loading import one_line
from extractors.weights import (
    ResolvedWeights,
    WeightFiles,
    WeightsError,
    local_folder,
    read_json,
    resolve,
)

if TYPE_CHECKING:
    import torch

TRANSFORMERS_FILES = WeightFiles(
    safetensors=("model.safetensors", "model-*-of-*.safetensors"),
    pickled=("pytorch_model.bin", "pytorch_model-*-of-*.bin"),
)

_loading = RLock()
"""The transformers library imports lazily, and not safely so in two threads at once."""

ModelName = Annotated[
    str, Field(min_length=1, description="Checkpoint: a local folder, or an id on the hub.")
]
LoadedT = TypeVar("LoadedT")
CheckpointConfigT = TypeVar("CheckpointConfigT", bound="CheckpointConfig")


class CheckpointConfig(ExtractorConfig):
    """Which weights to take; the base of every pretrained extractor's config."""

    model: ModelName
    revision: str | None = Field(
        None,
        min_length=1,
        description="Commit, tag or branch of a hub id; null = its main branch.",
    )


class PretrainedExtractor(Extractor[CheckpointConfigT, LoadedT]):
    """An extractor whose vectors come from a checkpoint.

    Weights are resolved once, in the process that asks for the fingerprint, and travel to the
    workers as a path; the processor is loaded by each process that needs it, the backbone by the
    one that encodes.

    Attributes:
        model_type: The `model_type` that a checkpoint's config.json must name; None: any.
        loads_by_processor: Whether `load` needs the processor.
    """

    model_type: ClassVar[str | None] = None
    loads_by_processor: ClassVar[bool] = True

    def check(self) -> None:
        """Refuse a local folder that is no checkpoint of the kind, by its files' names and config.

        Raises:
            WeightsError: If it is none; where only this machine may be asked, also if the weights
                of a hub id are not here.
        """
        config = self.config
        folder = local_folder(config.model, config.revision, TRANSFORMERS_FILES)
        if folder is not None:
            self._refuse_other_type(folder)
        elif self.runtime.offline:
            _ = self.weights

    @cached_property
    def weights(self) -> ResolvedWeights:
        """The checkpoint's folder and identity."""
        config, offline = self.config, self.runtime.offline
        found = resolve(config.model, config.revision, offline, TRANSFORMERS_FILES)
        self._refuse_other_type(found.folder)
        return found

    def _refuse_other_type(self, folder: Path) -> None:
        model_type = read_json(folder, "config.json").get("model_type")
        if self.model_type not in (None, model_type):
            raise WeightsError(
                f"{folder / 'config.json'}: found model_type {model_type!r}; "
                f"allowed for {self.name}: '{self.model_type}'"
            )

    @cached_property
    def architecture(self) -> Mapping[str, Any]:
        """The checkpoint's config.json.

        Read as JSON, for an unchanged run must not pay for the import of a backbone's library.
        """
        return read_json(self.weights.folder, "config.json")

    def setting(self, *keys: str) -> Any:
        """Return a value of config.json that the extractor cannot do without.

        Raises:
            WeightsError: If the checkpoint does not tell it.
        """
        found: Any = self.architecture
        for key in keys:
            if not isinstance(found, Mapping) or key not in found:
                raise WeightsError(
                    f"{self.weights.folder}: found no {'.'.join(keys)} in its config; allowed: a "
                    "checkpoint that tells it"
                )
            found = found[key]
        return found

    @cached_property
    def processor(self) -> Any:
        """What turns an item into the backbone's input; each process loads its own."""
        with _loading:
            return self.build_processor()

    @cached_property
    def backbone(self) -> "torch.nn.Module":
        """The backbone, on its device, for inference."""
        with _loading:
            return self.build_backbone().to(torch_device(self.runtime.device)).eval()

    @property
    def device(self) -> "torch.device":
        """Where the backbone computes."""
        return next(self.backbone.parameters()).device

    @abstractmethod
    def build_processor(self) -> Any:
        """Load the checkpoint's tokenizer, feature extractor or transform."""

    @abstractmethod
    def build_backbone(self) -> "torch.nn.Module":
        """Load the backbone, in float32 and onto the CPU.

        Raises:
            WeightsError: If the checkpoint lacks any weight that a vector depends on.
        """

    @abstractmethod
    def embed(self, batch: Sequence[LoadedT]) -> "torch.Tensor":
        """Run the backbone. Shape: (len(batch), dim)."""

    def encode(self, batch: Sequence[LoadedT]) -> NDArray[np.float32]:
        """Encode loaded items, un-normalised. Shape: (len(batch), dim).

        A GPU computes in float16, whose rounding is that of the stored rows (bfloat16's is eight
        times as coarse), and once more in float32 should a number have left float16's range.
        """
        import torch

        device = self.device.type
        with torch.inference_mode():
            with torch.autocast(device, torch.float16, enabled=device == "cuda"):
                vectors = self.embed(batch)
            if device == "cuda" and not vectors.isfinite().all():
                vectors = self.embed(batch)
        encoded: NDArray[np.float32] = vectors.float().cpu().numpy()
        return encoded

    def warm_up(self) -> None:
        """Load the backbone."""
        _ = self.backbone

    def __getstate__(self) -> dict[str, Any]:
        heavy = ("backbone", "processor")
        return {key: value for key, value in self.__dict__.items() if key not in heavy}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Arrive in a worker, and get ready there before the first item's time limit runs.

        Importing a backbone's library may take longer than any item; and a checkpoint without a
        processor is no item's fault.
        """
        self.__dict__.update(state)
        if self.loads_by_processor:
            _ = self.processor


def load_transformer(
    model_class: Any, weights: ResolvedWeights, unused: tuple[str, ...] = (), **options: Any
) -> "torch.nn.Module":
    """Load a backbone of the transformers library from local files only.

    Args:
        model_class: The library's class.
        weights: The checkpoint.
        unused: Prefixes of weights that no vector depends on and that may therefore be missing.
        **options: Further arguments of `from_pretrained`.

    Raises:
        WeightsError: If the checkpoint cannot be loaded or lacks weights; the library itself
            would make up random ones.
    """
    import torch

    with _quiet_transformers():
        backbone, report = load_part(
            model_class,
            weights,
            dtype=torch.float32,
            weights_only=True,
            ignore_mismatched_sizes=True,  # they are refused here, by name
            output_loading_info=True,
            **options,
        )
    absent = {*report["missing_keys"], *(key for key, *_ in report["mismatched_keys"])}
    needed = sorted(key for key in absent if not key.startswith(unused))
    if needed:
        raise WeightsError(
            f"{weights.folder}: {len(needed)} of the backbone's weights are missing or of another "
            f"shape: {', '.join(needed[:5])}{', ...' if len(needed) > 5 else ''}; allowed: a "
            f"checkpoint that holds all of {model_class.__name__}"
        )
    return backbone  # type: ignore[no-any-return]


def load_part(part_class: Any, weights: ResolvedWeights, **options: Any) -> Any:
    """Load a model, tokenizer or processor by its class's `from_pretrained`, from local files.

    Code that a checkpoint brings along is never run.

    Raises:
        WeightsError: If the checkpoint does not hold it.
    """
    try:
        return part_class.from_pretrained(
            weights.folder, local_files_only=True, trust_remote_code=False, **options
        )
    except Exception as error:  # the library raises anything, from OSError to UnpicklingError
        raise WeightsError(
            f"{weights.folder}: cannot be loaded as {part_class.__name__}: {one_line(str(error))}"
        ) from error


def read_preprocessing(weights: ResolvedWeights, part: str) -> Mapping[str, Any]:
    """Read the preprocessing that a checkpoint of the transformers library prescribes.

    Args:
        weights: The checkpoint.
        part: The entry of processor_config.json that holds it where processors were saved whole.
    """
    if (weights.folder / "processor_config.json").is_file():
        found = read_json(weights.folder, "processor_config.json").get(part)
        if isinstance(found, dict):  # the library, too, looks here first
            return found
    return read_json(weights.folder, "preprocessor_config.json")


@contextmanager
def _quiet_transformers() -> Iterator[None]:
    """Silence the library's progress bar and its table of weights, which are judged here."""
    from transformers.utils import logging

    verbosity, showed_progress = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if showed_progress:
            logging.enable_progress_bar()
