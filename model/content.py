"""The content of an entity: what its modalities, and its neighbours' modalities, say of it.

Shapes: E entities, R relations (inverses included), M modalities, K experts, P entities that have a
modality, D width.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from model.cmkf import inter_weights, intra_weights
from model.complementarity import modality_information, view_information
from model.config import NEIGHBOURS, ModelConfig
from model.experts import ModalityExperts
from model.inputs import ModalityRows
from model.item_attention import ItemAttention
from model.neighbours import Neighbourhood, NeighbourMean


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
        self.attention = nn.ModuleDict(
            {
                f"{name}_items": ItemAttention(config.dim)
                for name, parts in rows.items()
                if parts.owners is not None
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

    def forward(self, neighbourhood: Neighbourhood, audible: Tensor) -> tuple[Tensor, Tensor]:
        """Encode all entities.

        Args:
            neighbourhood: Edges to hear neighbours over.
            audible: Which of its N edges may carry a message. Shape: (N,), bool.

        Returns:
            Embeddings, (E, D), and the weight of every modality, (E, M).
        """
        encoded = {name: self._fuse_views(name, rows) for name, rows in self.rows.items()}
        if self.config.neighbours:
            heard = self._hear(self._fuse_modalities(encoded), neighbourhood, audible)
            encoded[NEIGHBOURS] = self._fuse_views(NEIGHBOURS, heard)
        fused, weights = self._fuse_modalities(encoded)
        nothing = weights.sum(1, keepdim=True) == 0
        return torch.where(nothing, self.fallback, fused), weights

    @torch.no_grad()
    def update_information(self, neighbourhood: Neighbourhood) -> None:
        """Measure anew what views and modalities share; fusion weights follow from it."""
        everything = torch.ones(
            neighbourhood.num_edges, dtype=torch.bool, device=self.fallback.device
        )
        encoded: dict[str, ModalityRows] = {}
        for index, name in enumerate(self.modalities):
            if name == NEIGHBOURS:
                fused = self._fuse_modalities(encoded)
                rows = self._hear(fused, neighbourhood, everything).compact()
            else:
                rows = self.rows[name]
            self.intra_information[index] = view_information(
                self.experts[f"{name}_experts"](rows.values), self.config.complementarity
            )
            encoded[name] = self._fuse_views(name, rows)
        information = modality_information(
            [(r.entities, r.values) for r in encoded.values()], self.config.complementarity
        )
        self.inter_information.copy_(information)

    def _hear(
        self, fused: tuple[Tensor, Tensor], neighbourhood: Neighbourhood, audible: Tensor
    ) -> ModalityRows:
        content, weights = fused
        mean, heard = self.neighbour_mean(content, weights.sum(1) > 0, neighbourhood, audible)
        everyone = torch.arange(self.num_entities, device=content.device)
        return ModalityRows(everyone, mean, heard)

    def _fuse_views(self, name: str, rows: ModalityRows) -> ModalityRows:
        """Fuse a modality's views, and the items of an entity, into one row each. (P, D)."""
        views = self.experts[f"{name}_experts"](rows.values)
        weights = views.new_full((len(views),), 1 / len(views))
        if self.config.fusion == "cmkf":
            information = self.intra_information[self.modalities.index(name)]
            weights = intra_weights(information, self.config.temperature)
        fused = torch.einsum("k,kpd->pd", len(views) * weights, views)
        if rows.owners is not None:
            fused = self.attention[f"{name}_items"](fused, rows.owners, len(rows.entities))
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
