"""MoCME: the whole model, from frozen feature rows and edges to embeddings that are scored.

Blocks are scored side by side and trained each on a loss of its own:

- `content`: every modality's experts, fused within and between modalities (CMKF), together with
  what the neighbours' content says (`NeighbourMean`). It has nothing to memorise entities with.
- `content-<modality>`: the same of one modality alone, where there are several. A modality that
  is noise to most relations harms the fused block; these let its weight go to zero.
- `structure`: a learned row per entity that occurs in the training triples.
- `context`: the mean of learned rows of an entity's neighbours.

A joint embedding lets the learned rows drown the content, since they fit the training triples
perfectly (docs/model.md); apart, the weights of the blocks are a question that held-back triples
answer (model/relevance.py).

Shapes: E entities, R relations (inverses included), M modalities, K experts, D width.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from model.cmkf import inter_weights, intra_weights
from model.complementarity import modality_information, view_information
from model.config import ModelConfig
from model.experts import ModalityExperts
from model.inputs import ModalityRows
from model.neighbours import NeighbourMean
from model.scorers import build_scorer
from storage.errors import MocmeError

NEIGHBOURS = "neighbours"
STRUCTURE = "structure"
CONTENT = "content"
CONTEXT = "context"


@dataclass(frozen=True)
class EncodedBlock:
    """Embeddings that are scored together.

    Attributes:
        name: `content`, `content-<modality>`, `structure` or `context`.
        entities: Shape (E, D).
        relations: Shape (R, D).
        present: Which entities this block knows anything of. Shape: (E,), bool.
    """

    name: str
    entities: Tensor
    relations: Tensor
    present: Tensor


class ContentEncoder(nn.Module):
    """Encodes entities from the modalities they have and from their neighbours' content.

    Args:
        rows: Feature rows by modality.
        num_entities: E.
        num_relations: R.
        config: The config's `model` section.
    """

    inter_information: Tensor
    intra_information: Tensor
    dropout_rates: Tensor

    def __init__(
        self,
        rows: Mapping[str, ModalityRows],
        num_entities: int,
        num_relations: int,
        config: ModelConfig,
    ) -> None:
        super().__init__()
        self.config = config
        self.num_entities = num_entities
        self.rows = dict(rows)
        self.modalities = (*rows, *([NEIGHBOURS] if config.neighbours else []))
        dims = {name: rows[name].dim if name in rows else config.dim for name in self.modalities}
        self.experts = nn.ModuleDict(
            {
                f"{name}_experts": ModalityExperts(
                    dim, config.dim, config.num_experts, config.feature_dropout
                )
                for name, dim in dims.items()
            }
        )
        rates = [
            config.neighbour_dropout if name == NEIGHBOURS else config.modality_dropout
            for name in self.modalities
        ]
        self.register_buffer("dropout_rates", torch.tensor(rates), persistent=False)
        self.neighbour_mean = NeighbourMean(num_relations, config.dim)
        num_fallback = num_entities if config.fallback_rows else 1
        self.fallback = nn.Parameter(torch.randn(num_fallback, config.dim) * 0.01)
        count, experts = len(self.modalities), config.num_experts
        self.register_buffer("inter_information", torch.zeros(count, count))
        self.register_buffer("intra_information", torch.zeros(count, experts, experts))

    def forward(self, edges: Tensor, audible: Tensor) -> tuple[Tensor, Tensor]:
        """Encode all entities.

        Args:
            edges: Edges to hear neighbours over, with inverses. Shape: (N, 3).
            audible: Which edges may carry a message. Shape: (N,), bool.

        Returns:
            Embeddings, (E, D), and the weight of every modality, (E, M).
        """
        encoded = {name: self._fuse_views(name, rows) for name, rows in self.rows.items()}
        if self.config.neighbours:
            heard = self._hear(self._fuse_modalities(encoded), edges, audible)
            encoded[NEIGHBOURS] = self._fuse_views(NEIGHBOURS, heard)
        fused, weights = self._fuse_modalities(encoded)
        nothing = weights.sum(1, keepdim=True) == 0
        return torch.where(nothing, self.fallback, fused), weights

    @torch.no_grad()
    def update_information(self, edges: Tensor) -> None:
        """Measure anew what views and modalities share; fusion weights follow from it."""
        everything = torch.ones(len(edges), dtype=torch.bool, device=edges.device)
        encoded: dict[str, ModalityRows] = {}
        for index, name in enumerate(self.modalities):
            if name == NEIGHBOURS:
                rows = self._hear(self._fuse_modalities(encoded), edges, everything).compact()
            else:
                rows = self.rows[name]
            self.intra_information[index] = view_information(
                self.experts[f"{name}_experts"](rows.values)
            )
            encoded[name] = self._fuse_views(name, rows)
        information = modality_information([(r.entities, r.values) for r in encoded.values()])
        self.inter_information.copy_(information)

    def _hear(self, fused: tuple[Tensor, Tensor], edges: Tensor, audible: Tensor) -> ModalityRows:
        content, weights = fused
        mean, heard = self.neighbour_mean(content, weights.sum(1) > 0, edges, audible)
        everyone = torch.arange(self.num_entities, device=content.device)
        return ModalityRows(everyone, mean, heard)

    def _fuse_views(self, name: str, rows: ModalityRows) -> ModalityRows:
        """Fuse a modality's views into one row per entity. Views: (K, P, D) -> (P, D)."""
        views = self.experts[f"{name}_experts"](rows.values)
        weights = views.new_full((len(views),), 1 / len(views))
        if self.config.fusion == "cmkf":
            information = self.intra_information[self.modalities.index(name)]
            weights = intra_weights(information, self.config.temperature)
        fused = torch.einsum("k,kpd->pd", len(views) * weights, views)
        return ModalityRows(rows.entities, fused, rows.mask)

    def _fuse_modalities(self, encoded: Mapping[str, ModalityRows]) -> tuple[Tensor, Tensor]:
        """Fuse the modalities each entity has. Returns (E, D) and weights (E, M).

        Weights count as many times as the entity has modalities: equal ones are a plain sum, and
        a text says the same of an entity whether or not there is a picture, too.
        """
        present = self._present(encoded)
        count = present.sum(1, keepdim=True)
        weights = present / count.clamp_min(1)
        if self.config.fusion == "cmkf":
            information = self.inter_information[: len(encoded), : len(encoded)]
            weights = inter_weights(information, present, self.config.temperature)
        heard = weights * count * self._kept(present)
        fused = weights.new_zeros(self.num_entities, self.config.dim)
        for index, rows in enumerate(encoded.values()):
            share = heard[rows.entities, index].unsqueeze(1)
            fused = fused.index_add(0, rows.entities, share * rows.values)
        return fused, weights

    def _present(self, encoded: Mapping[str, ModalityRows]) -> Tensor:
        """Who has what. Shape: (E, M), bool."""
        device = self.fallback.device
        present = torch.zeros(self.num_entities, len(encoded), dtype=torch.bool, device=device)
        for index, rows in enumerate(encoded.values()):
            present[rows.entities, index] = True if rows.mask is None else rows.mask
        return present

    def _kept(self, present: Tensor) -> Tensor:
        """Modality dropout: what is heard of `present` in this step, never nothing. (E, M)."""
        if not self.training:
            return present
        chance = torch.rand(present.shape, device=present.device)
        kept = present & (chance >= self.dropout_rates[: present.shape[1]])
        return torch.where(kept.any(1, keepdim=True), kept, present)


class StructureTable(nn.Module):
    """A learned row per entity that occurs in training; the others read the mean row.

    The mean row makes an unseen entity an average answer, neither favoured nor excluded.

    Args:
        seen: Which entities occur in the training triples. Shape: (E,), bool.
        dim: D.
    """

    seen: Tensor

    def __init__(self, seen: Tensor, dim: int) -> None:
        super().__init__()
        self.rows = nn.Parameter(torch.randn(len(seen), dim) * 0.01)
        self.register_buffer("seen", seen, persistent=False)

    def forward(self) -> Tensor:
        """Return the rows. Shape: (E, D)."""
        if self.training or bool(self.seen.all()):
            return self.rows
        return torch.where(self.seen.unsqueeze(1), self.rows, self.rows[self.seen].mean(0))


class ContextTable(nn.Module):
    """What the learned rows of an entity's neighbours say of it.

    Args:
        num_entities: E.
        num_relations: R, inverses included.
        dim: D.
    """

    def __init__(self, num_entities: int, num_relations: int, dim: int) -> None:
        super().__init__()
        self.rows = nn.Parameter(torch.randn(num_entities, dim) * 0.01)
        self.neighbour_mean = NeighbourMean(num_relations, dim)

    def forward(self, edges: Tensor, audible: Tensor) -> tuple[Tensor, Tensor]:
        """Return the means, (E, D), and who heard something, (E,)."""
        everyone = torch.ones(len(self.rows), dtype=torch.bool, device=edges.device)
        heard: tuple[Tensor, Tensor] = self.neighbour_mean(self.rows, everyone, edges, audible)
        return heard


class MoCME(nn.Module):
    """The blocks of one graph.

    Args:
        rows: Feature rows by modality; may be empty.
        seen: Which entities occur in the training triples. Shape: (E,), bool.
        num_relations: Relations of the graph, inverses not counted.
        config: The config's `model` section.
        inverse_relations: Whether inverses have rows of their own or are derived.

    Raises:
        MocmeError: If there is neither a modality nor structure to learn from, or a modality has
            a name of the model's own parts.
    """

    def __init__(
        self,
        rows: Mapping[str, ModalityRows],
        seen: Tensor,
        num_relations: int,
        config: ModelConfig,
        inverse_relations: bool,
    ) -> None:
        super().__init__()
        reserved = {NEIGHBOURS, STRUCTURE, CONTEXT} & set(rows)
        if reserved:
            raise MocmeError(
                f"found modalities named {sorted(reserved)}; allowed: names other than "
                f"{NEIGHBOURS}, {STRUCTURE} and {CONTEXT}, which are the model's own"
            )
        if not rows and not config.structure:
            raise MocmeError(
                "found no modality with features and model.structure: false; allowed: at least "
                "one modality, or model.structure: true"
            )
        self.scorer = build_scorer(config.scorer)
        self.inverse_relations = inverse_relations
        num_rows = 2 * num_relations if inverse_relations else num_relations
        self.relations = nn.ParameterDict()
        self.contents = nn.ModuleDict()
        self.structure: StructureTable | None = None
        self.context: ContextTable | None = None
        for name, parts in _content_blocks(rows, config.alone).items():
            self.contents[name] = ContentEncoder(parts, len(seen), 2 * num_relations, config)
            self.relations[name] = nn.Parameter(torch.randn(num_rows, config.dim))
        if config.structure:
            self.structure = StructureTable(seen, config.dim)
            self.relations[STRUCTURE] = nn.Parameter(torch.randn(num_rows, config.dim) * 0.01)
        if config.structure and config.context:
            self.context = ContextTable(len(seen), 2 * num_relations, config.dim)
            self.relations[CONTEXT] = nn.Parameter(torch.randn(num_rows, config.dim) * 0.01)

    @property
    def modalities(self) -> tuple[str, ...]:
        """Names of the fused content's modalities, the neighbours last."""
        return next((content.modalities for _, content in self._encoders()), ())

    def update_information(self, edges: Tensor) -> None:
        """Measure anew what views and modalities share; see `ContentEncoder`."""
        for _, content in self._encoders():
            content.update_information(edges)

    def _encoders(self) -> Iterator[tuple[str, ContentEncoder]]:
        """The content blocks' encoders, the fused one first."""
        for name, content in self.contents.items():
            yield name, cast(ContentEncoder, content)

    def forward(self, edges: Tensor, audible: Tensor) -> tuple[list[EncodedBlock], Tensor]:
        """Encode every entity and relation.

        Args:
            edges: Edges to hear neighbours over, with inverses. Shape: (N, 3).
            audible: Which edges may carry a message. Shape: (N,), bool.

        Returns:
            The blocks, and the content's modality weights, (E, M).
        """
        blocks = []
        weights = edges.new_zeros(0, 0, dtype=torch.float)
        for name, content in self._encoders():
            entities, shares = content(edges, audible)
            blocks.append(EncodedBlock(name, entities, self._relations(name), shares.sum(1) > 0))
            if name == CONTENT:
                weights = shares
        if self.structure is not None:
            present = self.structure.seen
            entities = self.structure()
            blocks.append(EncodedBlock(STRUCTURE, entities, self._relations(STRUCTURE), present))
        if self.context is not None:
            entities, present = self.context(edges, audible)
            blocks.append(EncodedBlock(CONTEXT, entities, self._relations(CONTEXT), present))
        return blocks, weights

    def _relations(self, block: str) -> Tensor:
        rows = self.relations[block]
        return rows if self.inverse_relations else torch.cat([rows, self.scorer.inverse(rows)])


def _content_blocks(
    rows: Mapping[str, ModalityRows], alone: bool
) -> dict[str, Mapping[str, ModalityRows]]:
    """Which modalities each content block encodes, by the block's name."""
    if not rows:
        return {}
    each = {f"{CONTENT}-{name}": {name: parts} for name, parts in rows.items()}
    return {CONTENT: rows, **(each if alone and len(rows) > 1 else {})}
