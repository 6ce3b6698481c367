"""Scores of a trained model: its blocks' embeddings and rules, weighed per relation.

Everything that ranks or predicts reads this form, so neither features nor edges are needed then.

Shapes: B batch, E entities, R relations (inverses included), D width.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from model.config import CONTENT, RULES, ScorerName
from model.encoded_block import EncodedBlock
from model.rules.rule_block import PARTS, RuleBlock
from model.scorers import build_scorer
from model.scoring.block import Block
from model.scoring.calibration import Calibration
from storage.atomic import replacing
from storage.files.file_errors import write_errors


@dataclass(frozen=True)
class BlockScoring:
    """Blocks that are scored side by side.

    Attributes:
        blocks: Embeddings, all with the same kind of scorer, and behind them the rules, if the
            model has any.
        block_weights: Weight of each block's score. Shape: (R, num_blocks).
        calibration: What turns scores into probabilities; `Calibration.none` in training.
    """

    blocks: Sequence[Block]
    block_weights: Tensor
    calibration: Calibration

    @property
    def fused(self) -> EncodedBlock | None:
        """The block in which modalities are fused, if there is one."""
        return next((block for block in self.encoded if block.name == CONTENT), None)

    @property
    def encoded(self) -> Sequence[EncodedBlock]:
        """The blocks that are embeddings."""
        return [block for block in self.blocks if isinstance(block, EncodedBlock)]

    @property
    def rules(self) -> RuleBlock | None:
        """The block of rules, if there is one."""
        return next((block for block in self.blocks if isinstance(block, RuleBlock)), None)

    @property
    def modalities(self) -> tuple[str, ...]:
        """Names of the fused content's modalities; none without it."""
        return () if self.fused is None else self.fused.modalities

    @property
    def modality_weights(self) -> Tensor:
        """Fusion weight of each of those. Shape: (E, M)."""
        nothing = self.block_weights.new_zeros(self.num_entities, 0)
        return nothing if self.fused is None else self.fused.shares

    @property
    def num_entities(self) -> int:
        """E."""
        return self.blocks[0].num_entities

    @property
    def num_relations(self) -> int:
        """Relations of the graph, inverses not counted."""
        return len(self.block_weights) // 2

    def scores(self, heads: Tensor, relations: Tensor) -> Tensor:
        """Score all entities as tails.

        Args:
            heads: Shape (B,).
            relations: Index of the relation, plus R/2 to ask for heads. Shape: (B,).

        Returns:
            Logits: their softmax over entities is the model's belief. Shape: (B, E).
        """
        start = torch.zeros((), device=heads.device)
        return sum(self.weighted_scores(heads, relations), start=start)

    def weighted_scores(self, heads: Tensor, relations: Tensor) -> Iterator[Tensor]:
        """Yield what each block adds to `scores`, block by block. Shape: (B, E) each."""
        for index in range(len(self.blocks)):
            yield self._block_scores(index, heads, relations)

    def entity_rows(self) -> tuple[Tensor, dict[str, tuple[int, int]]]:
        """The entities' embeddings of all blocks that have any, side by side.

        Returns:
            Rows, (E, sum of the blocks' D), and the first column of each block and the one after
            its last.
        """
        columns, start = {}, 0
        for block in self.encoded:
            columns[block.name] = (start, start + block.entities.shape[1])
            start += block.entities.shape[1]
        return torch.cat([block.entities for block in self.encoded], dim=1), columns

    def block_parts(self, heads: Tensor, relations: Tensor, answers: Tensor) -> Tensor:
        """What each block adds to the scores of answers, above its mean over all entities.

        Args:
            heads: Shape (B,).
            relations: As in `scores`. Shape: (B,).
            answers: Shape (B,).

        Returns:
            Shape (B, num_blocks).
        """
        columns = [
            scores.gather(1, answers.unsqueeze(1))[:, 0] - scores.mean(1)
            for scores in self.weighted_scores(heads, relations)
        ]
        return torch.stack(columns, dim=1)

    @torch.no_grad()
    def _block_scores(self, index: int, heads: Tensor, relations: Tensor) -> Tensor:
        weight = self.block_weights[relations, index].unsqueeze(1)
        return weight * self.blocks[index].scores(heads, relations)

    def save(self, path: Path) -> None:
        """Write everything to one safetensors file, whole or not at all."""
        tensors = {"block_weights": self.block_weights, **self.calibration.tensors()}
        for block in self.encoded:
            tensors[f"{block.name}.entities"] = block.entities
            tensors[f"{block.name}.relations"] = block.relations
            tensors[f"{block.name}.present"] = block.present
            tensors[f"{block.name}.shares"] = block.shares
            tensors[f"{block.name}.experts"] = block.experts
            for key, value in block.scorer.state_dict().items():
                tensors[f"{block.name}.scorer.{key}"] = value
        if self.rules is not None:
            tensors |= {f"{RULES}.{part}": value for part, value in self.rules.tensors().items()}
        metadata = {
            "scorer": self.encoded[0].scorer.name,
            "blocks": json.dumps({block.name: block.modalities for block in self.encoded}),
        }
        with write_errors(path), replacing(path) as temporary:
            save_file(
                {k: v.detach().cpu().contiguous() for k, v in tensors.items()}, temporary, metadata
            )

    @staticmethod
    def load(path: Path, device: torch.device | str = "cpu") -> "BlockScoring":
        """Read what `save` wrote."""
        with safe_open(path, framework="pt", device=str(device)) as file:
            metadata = file.metadata()
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        weights = tensors["block_weights"]
        blocks: list[Block] = [
            _encoded_block(name, tuple(modalities), metadata["scorer"], tensors)
            for name, modalities in json.loads(metadata["blocks"]).items()
        ]
        rules = {part: tensors[f"{RULES}.{part}"] for part in PARTS if f"{RULES}.{part}" in tensors}
        if rules:
            shape = (blocks[0].num_entities, len(weights))
            blocks.append(RuleBlock.of_tensors(rules, *shape, weights.device))
        return BlockScoring(blocks, weights, Calibration.of_tensors(tensors))


def _encoded_block(
    name: str,
    modalities: tuple[str, ...],
    scorer_name: ScorerName,
    tensors: Mapping[str, Tensor],
) -> EncodedBlock:
    """Put together what `BlockScoring.save` took apart."""
    entities, relations, present, shares, experts = (
        tensors[f"{name}.{part}"]
        for part in ("entities", "relations", "present", "shares", "experts")
    )
    scorer = build_scorer(scorer_name, entities.shape[1]).to(entities.device)
    scorer.load_state_dict({key: tensors[f"{name}.scorer.{key}"] for key in scorer.state_dict()})
    return EncodedBlock(name, entities, relations, present, scorer, modalities, shares, experts)
