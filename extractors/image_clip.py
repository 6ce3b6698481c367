"""Pictures by CLIP, as open_clip has it: the image embedding, un-normalised."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field, ValidationError

from extractors.base import RawContent
from extractors.loading import one_line
from extractors.media.picture import central_box, read_picture
from extractors.media.scaling import Pixels, Scaling
from extractors.pretrained import CheckpointConfig, PretrainedExtractor
from extractors.weights import (
    ResolvedWeights,
    WeightFiles,
    WeightsError,
    local_folder,
    read_json,
    resolve,
)
from storage.words.suggestion import did_you_mean

if TYPE_CHECKING:
    import torch

CONFIG_FILE = "open_clip_config.json"
OPEN_CLIP_FILES = WeightFiles(
    safetensors=("open_clip_model.safetensors", "open_clip_pytorch_model.safetensors"),
    pickled=("open_clip_pytorch_model.bin",),
)
_HUB_PREFIX = "hf-hub:"
_DEFAULT_IMAGE_SIZE = 224  # of an image tower that tells none, as open_clip has it


class ClipConfig(CheckpointConfig):
    """Config of `image_clip`."""

    model: str = Field(
        "hf-hub:laion/CLIP-ViT-B-32-laion2B-s34B-b79K",
        min_length=1,
        description=f"A folder with {CONFIG_FILE}, a hub id, or one of open_clip's architectures.",
    )
    pretrained: str | None = Field(
        None,
        min_length=1,
        description="Tag of an architecture's weights in open_clip; null = `model` names them.",
    )


class ClipExtractor(PretrainedExtractor[ClipConfig, Pixels]):
    """Encodes a picture by the image tower of a CLIP model."""

    name = "image_clip"
    modality = "image"
    item_kind = "file"
    version = 3
    Config = ClipConfig

    def check(self) -> None:
        """Refuse a local folder that is no checkpoint of open_clip, by its files' names and config.

        Raises:
            WeightsError: If it is none; where only this machine may be asked, also if the weights
                of a hub id are not here.
        """
        config = self.config
        if config.pretrained is not None:
            return  # open_clip knows which weights these are, and takes seconds to import
        folder = local_folder(config.model, config.revision, OPEN_CLIP_FILES)
        if folder is not None:
            read_json(folder, CONFIG_FILE)
        elif self.runtime.offline or "/" not in config.model:
            _ = self.weights

    @cached_property
    def weights(self) -> ResolvedWeights:
        """The checkpoint's folder and identity.

        open_clip knows no revisions; hence an architecture and a tag stand for the hub id that
        open_clip has for them.
        """
        config = self.config
        model = config.model.removeprefix(_HUB_PREFIX)
        if config.pretrained is not None:
            model = _hub_id_of_tag(config.model, config.pretrained)
        elif "/" not in model:
            raise WeightsError(
                f"model: found '{model}' without `pretrained`, and no folder of that name; "
                f"allowed: a folder, {_HUB_PREFIX}organisation/name, or an architecture of "
                "open_clip with one of its tags"
            )
        return resolve(model, config.revision, self.runtime.offline, OPEN_CLIP_FILES)

    @cached_property
    def architecture(self) -> Mapping[str, Any]:
        """The checkpoint's open_clip_config.json."""
        return read_json(self.weights.folder, CONFIG_FILE)

    @property
    def dim(self) -> int:
        """Width of the space that CLIP shares between pictures and texts."""
        self._refuse_incomplete()
        return int(self.setting("model_cfg", "embed_dim"))

    def fingerprint_parts(self) -> Mapping[str, Any]:
        """Name the weights and how the picture is prepared."""
        return {"weights": self.weights.identity, "preprocessing": self._preprocessing}

    def load(self, content: RawContent) -> Pixels:
        """Read, resize and crop a picture. Shape: (3, height, width)."""
        scaling: Scaling = self.processor
        picture = read_picture(Path(str(content)))
        if scaling.resize_mode == "shortest":
            picture = picture.crop(central_box(*picture.size))
        return scaling.apply(picture)

    def build_processor(self) -> Scaling:
        """Build the transform for inference, short of the normalisation.

        That follows on the device, so that workers hand over bytes instead of floats.
        """
        found = {key: value for key, value in self._preprocessing.items() if value is not None}
        try:
            return Scaling.model_validate(found)
        except ValidationError as error:
            wrong = error.errors()[0]
            raise WeightsError(
                f"{self.weights.folder / CONFIG_FILE}: preprocess_cfg."
                f"{'.'.join(map(str, wrong['loc']))}: found {wrong['input']!r}; {wrong['msg']}"
            ) from None

    def build_backbone(self) -> "torch.nn.Module":
        """Load the model; open_clip refuses missing and unexpected weights by itself."""
        import open_clip

        self._refuse_incomplete()
        try:
            return open_clip.create_model(  # type: ignore[no-any-return]
                f"local-dir:{self.weights.folder}", precision="fp32", require_pretrained=True
            )
        except Exception as error:  # from RuntimeError (missing weights) to UnpicklingError
            raise WeightsError(
                f"{self.weights.folder}: cannot be loaded by open_clip: {one_line(str(error))}"
            ) from error

    def embed(self, batch: Sequence[Pixels]) -> "torch.Tensor":
        """Embed pictures. Shape: (len(batch), dim)."""
        import torch

        backbone: Any = self.backbone
        scale = self._preprocess_cfg
        mean = torch.tensor(scale.mean, device=self.device)[:, None, None]
        std = torch.tensor(scale.std, device=self.device)[:, None, None]
        pixels = torch.from_numpy(np.stack(batch)).to(self.device).float() / 255
        embedded: torch.Tensor = backbone.encode_image((pixels - mean) / std).float()
        return embedded

    def _refuse_incomplete(self) -> None:
        """Refuse a model whose text tower would be fetched from another hub id, unpinned."""
        if "hf_model_name" in self.setting("model_cfg", "text_cfg"):
            raise WeightsError(
                f"{self.weights.folder / CONFIG_FILE}: found a text tower that is a checkpoint of "
                "its own; allowed: a model that is complete in itself"
            )

    @property
    def _preprocess_cfg(self) -> Any:
        """open_clip's description of the transform, its own defaults filled in."""
        from open_clip.transform import PreprocessCfg, merge_preprocess_dict

        return PreprocessCfg(**merge_preprocess_dict(PreprocessCfg(), self._preprocessing))

    @cached_property
    def _preprocessing(self) -> Mapping[str, Any]:
        """The checkpoint's transform; the picture's size is always the image tower's."""
        size = self.setting("model_cfg", "vision_cfg").get("image_size", _DEFAULT_IMAGE_SIZE)
        return {**self.architecture.get("preprocess_cfg", {}), "size": size}


def _hub_id_of_tag(architecture: str, tag: str) -> str:
    """Return the hub id that open_clip has for an architecture's tag."""
    import open_clip

    architectures = sorted({known for known, _ in open_clip.list_pretrained()})
    if architecture not in architectures:
        raise WeightsError(
            f"model: found '{architecture}'{did_you_mean(architecture, architectures)} beside "
            f"`pretrained`; allowed: an architecture of open_clip: {', '.join(architectures)}"
        )
    tags = open_clip.list_pretrained_tags_by_model(architecture)
    hub_id = open_clip.get_pretrained_cfg(architecture, tag).get("hf_hub", "").rpartition("/")[0]
    if not hub_id:
        raise WeightsError(
            f"pretrained: found '{tag}'{did_you_mean(tag, tags)}; allowed for {architecture}: "
            f"{', '.join(tags)}"
        )
    return str(hub_id)
