"""Text by an encoder of the BERT family: the mean of its last hidden states, or its CLS state."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from extractors.base import MediaError, RawContent
from extractors.pretrained import (
    CheckpointConfig,
    ModelName,
    PretrainedExtractor,
    load_part,
    load_transformer,
)
from extractors.weights import WeightsError

if TYPE_CHECKING:
    import torch

TokenIds = NDArray[np.int64]

MAX_CHARACTERS_PER_TOKEN = 64
"""Characters read per token allowed, so that a text of megabytes costs no more than a page."""

_LENGTH_STEP = 16  # batches are padded to a multiple of it, so at most 15 tokens an item are waste
_HIDDEN_SIZES = ("hidden_size", "dim")  # the latter is DistilBERT's


class BertConfig(CheckpointConfig):
    """Config of `text_bert`."""

    model: ModelName = "google-bert/bert-base-uncased"
    pooling: Literal["mean", "cls"] = Field(
        "mean",
        description="What stands for a text: the mean of its tokens' states, or the first token's.",
    )
    max_length: int = Field(
        512,
        ge=8,
        le=8192,
        description="Most tokens that are read of a text; the model may have a lower limit.",
    )


class BertExtractor(PretrainedExtractor[BertConfig, TokenIds]):
    """Encodes a text by a BERT-like encoder."""

    name = "text_bert"
    modality = "text"
    item_kind = "text"
    decodes_in_workers = False
    Config = BertConfig

    @property
    def dim(self) -> int:
        """Width of the encoder."""
        if self.architecture.get("is_encoder_decoder"):
            raise WeightsError(f"{self.weights.folder}: found a decoder; allowed: an encoder")
        for key in _HIDDEN_SIZES:
            if key in self.architecture:
                return int(self.architecture[key])
        raise WeightsError(
            f"{self.weights.folder / 'config.json'}: found no width; allowed: a model with one of "
            f"{', '.join(_HIDDEN_SIZES)}"
        )

    def fingerprint_parts(self) -> Mapping[str, Any]:
        """Name the weights (the tokenizer is among them), the pooling and the length."""
        return {
            "weights": self.weights.identity,
            "pooling": self.config.pooling,
            "max_length": self.config.max_length,
        }

    def load(self, content: RawContent) -> TokenIds:
        """Tokenize a text. Shape: (num_tokens,), cut to the longest that the encoder takes."""
        text = str(content)[: self._max_length * MAX_CHARACTERS_PER_TOKEN]
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise MediaError(f"not a text: {error.reason} at character {error.start}") from None
        tokens = self.processor(text, truncation=True, max_length=self._max_length)
        return np.asarray(tokens["input_ids"], np.int64)

    def batch_key(self, loaded: TokenIds) -> int:
        """Return the length that the item is padded to."""
        return -(-len(loaded) // _LENGTH_STEP) * _LENGTH_STEP

    def build_processor(self) -> Any:
        """Load the tokenizer.

        Without a vocabulary the library makes up one in which every word is unknown.
        """
        from transformers import AutoTokenizer

        tokenizer = load_part(AutoTokenizer, self.weights)
        folder, files = self.weights.folder, sorted(tokenizer.vocab_files_names.values())
        if not any((folder / name).is_file() for name in files):
            raise WeightsError(f"{folder}: found no vocabulary; allowed: one of {', '.join(files)}")
        if len(tokenizer) > int(self.setting("vocab_size")):
            raise WeightsError(
                f"{folder}: found a tokenizer of {len(tokenizer)} tokens beside an encoder of "
                f"{self.setting('vocab_size')}; allowed: the encoder's own tokenizer"
            )
        return tokenizer

    def build_backbone(self) -> "torch.nn.Module":
        """Load the encoder; its pooler, which many checkpoints lack, is not used."""
        from transformers import AutoModel

        return load_transformer(
            AutoModel, self.weights, unused=("pooler.",), attn_implementation="sdpa"
        )

    def embed(self, batch: Sequence[TokenIds]) -> "torch.Tensor":
        """Pool the last hidden states. Shape: (len(batch), dim)."""
        import torch

        length = max(self.batch_key(ids) for ids in batch)
        input_ids = torch.full((len(batch), length), self.processor.pad_token_id or 0)
        mask = torch.zeros(len(batch), length, dtype=torch.int64)
        for row, ids in enumerate(batch):
            input_ids[row, : len(ids)] = torch.from_numpy(ids)
            mask[row, : len(ids)] = 1
        mask = mask.to(self.device)
        output = self.backbone(input_ids=input_ids.to(self.device), attention_mask=mask)
        states = output.last_hidden_state.float()  # (len(batch), length, dim)
        if self.config.pooling == "cls":
            pooled = states[:, 0]
        else:
            pooled = (states * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
        vectors: torch.Tensor = pooled
        return vectors

    @cached_property
    def _max_length(self) -> int:
        """Tokens kept of a text: the config's limit, the tokenizer's and the encoder's."""
        positions = self.architecture.get("max_position_embeddings") or self.config.max_length
        return int(min(self.config.max_length, self.processor.model_max_length, positions))
