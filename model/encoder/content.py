"""The content of an entity: what its modalities, and its neighbours' modalities, say of it.

Shapes: E entities, R relations (inverses included), M modalities, K experts, P entities that have a
modality, D width.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.config import NEIGHBOURS, STRUCTURE, ModelConfig
from model.encoder.experts import ModalityExperts
from model.encoder.gates import JoiningGate
from model.encoder.item_attention import ItemAttention
from model.encoder.neighbours import Neighbourhood, NeighbourMean
from model.encoder.tables import StructureTable
from model.fusion.complementarity import modality_information, view_information
from model.fusion.learned import LEARNED_FUSIONS, LearnedFusion, normalised
from model.fusion.strengths import Strengths
from model.inputs import ModalityRows

Knowledge = Callable[[Tensor, Tensor], Tensor]
"""What embeddings of heads, (E, D), know of answers not trained on, in nats; NaN if hardly any of
those who have one, (E,), was asked."""


class ContentEncoder(nn.Module):
    """Encodes entities from the modalities they have and from their neighbours' content.

    Fusion of an entity's own modalities is a sum weighed by strengths (model/fusion/strengths.py),
    a plain sum, or learned (model/fusion/learned.py). What the neighbours say is joined to that
    (model/encoder/gates.py).

    Args:
        rows: Feature rows by modality.
        num_entities: E.
        num_relations: R.
        config: The config's `model` section.
        structure: A learned row per entity that occurs in training, as one more modality.

    Raises:
        MocmeError: If there are too many modalities.
    """

    joining_rates: Tensor

    def __init__(
        self,
        rows: Mapping[str, ModalityRows],
        num_entities: int,
        num_relations: int,
        config: ModelConfig,
        structure: StructureTable | None = None,
    ) -> None:
        super().__init__()
        self.config = config
        self.num_entities = num_entities
        self.rows = dict(rows)
        self.structure = structure
        self._dtype = next(iter(rows.values())).values.dtype
        own = (*rows, *([STRUCTURE] if structure is not None else []))
        self.modalities = (*own, *([NEIGHBOURS] if config.neighbours else []))
        self.experts = _experts(rows, config)
        self.attention = nn.ModuleDict(
            {
                f"{name}_items": ItemAttention(config.dim)
                for name, parts in rows.items()
                if parts.owners is not None
            }
        )
        learned = LEARNED_FUSIONS.get(config.fusion) if len(own) > 1 else None
        self.learned_fusion: LearnedFusion | None = None
        if learned is not None:
            self.learned_fusion = learned(len(own), config.dim, self._dtype)
        self.joining = JoiningGate(config.dim, self._dtype)
        rates = torch.tensor([0.0, config.neighbour_dropout])
        self.register_buffer("joining_rates", rates, persistent=False)
        self.neighbour_mean = NeighbourMean(num_relations, config.dim)
        num_fallback = num_entities if config.fallback_rows else 1
        self.fallback = nn.Parameter(torch.randn(num_fallback, config.dim) * 0.01)
        self.strengths = Strengths(len(own), len(self.modalities), config)

    def forward(self, neighbourhood: Neighbourhood, audible: Tensor) -> tuple[Tensor, Tensor]:
        """Encode all entities.

        Args:
            neighbourhood: Edges to hear neighbours over.
            audible: Which of its N edges may carry a message. Shape: (N,), bool.

        Returns:
            Embeddings, (E, D), and every modality's share in them, (E, M): at least zero, exactly
            zero where absent, rows sum to 1, or to 0 where nothing is present.
        """
        encoded = {name: self._encode(name, rows) for name, rows in self.rows.items()}
        if self.structure is not None:
            encoded[STRUCTURE] = self.structure.of_seen()
        fused, weights = self._fuse_modalities(encoded)
        if self.config.neighbours:
            heard = self._hear((fused, weights), neighbourhood, audible)
            fused, weights = self._join(fused, weights, self._encode(NEIGHBOURS, heard))
        return self._with_fallback(fused, weights.sum(1) == 0), weights

    def _with_fallback(self, fused: Tensor, has_nothing: Tensor) -> Tensor:
        """Give the entities that have nothing, whose rows are zero, what was learned for them."""
        rows = has_nothing.to(fused.dtype).unsqueeze(1)
        if len(self.fallback) == 1:
            return torch.addmm(fused, rows, self.fallback)
        return torch.addcmul(fused, rows, self.fallback)

    @torch.no_grad()
    def update_information(self, neighbourhood: Neighbourhood, audible: Tensor) -> None:
        """Measure anew what views and modalities share; see `forward` for the arguments.

        That is measured before the gates: by them a copy would seem to tell something of its own.
        """
        if not self.strengths.are_weighed:
            return
        own: list[tuple[Tensor, Tensor]] = []
        estimator, measured = self.config.complementarity, self.strengths
        for index, (raw, views, _) in enumerate(self._parts(neighbourhood, audible)):
            name = self.modalities[index]
            linear = views if name == STRUCTURE else self._experts_of(name).linear(raw.values)
            measured.intra_information[index] = view_information(linear, estimator)
            if name != NEIGHBOURS:
                rows = self._fuse_views(name, raw, linear)
                own.append((rows.entities, rows.values))
        measured.inter_information.copy_(modality_information(own, estimator))

    @torch.no_grad()
    def update_relevance(
        self,
        neighbourhood: Neighbourhood,
        audible: Tensor,
        knowledge: Knowledge,
        alone: Sequence[Tensor] = (),
    ) -> None:
        """Measure anew what every modality and view knows.

        Args:
            neighbourhood: Edges to hear neighbours over.
            audible: Which of them may carry a message.
            knowledge: Measures.
            alone: What each modality knows by itself, if that was measured in blocks of their own:
                trained together, it learns only what the others have left to explain.
        """
        measured = self.strengths
        for index, (raw, views, rows) in enumerate(self._parts(neighbourhood, audible)):
            if self.modalities[index] != NEIGHBOURS:
                is_known = index < len(alone)
                measured.inter_relevance[index] = (
                    alone[index] if is_known else self._known_by(rows, knowledge)
                )
            for number, view in enumerate(views if len(views) > 1 else ()):
                part = self._of_entities(self.modalities[index], raw, view)
                measured.intra_relevance[index, number] = self._known_by(part, knowledge)

    def _parts(
        self, neighbourhood: Neighbourhood, audible: Tensor
    ) -> Iterator[tuple[ModalityRows, Tensor, ModalityRows]]:
        """Yield every modality's rows, their views, (K, any, D), and each entity's fused one."""
        encoded: dict[str, ModalityRows] = {}
        for name in self.modalities:
            if name == STRUCTURE and self.structure is not None:
                encoded[name] = rows = self.structure.of_seen()
                yield rows, rows.values.unsqueeze(0), rows
                continue
            if name == NEIGHBOURS:
                fused = self._fuse_modalities(encoded)
                rows = self._hear(fused, neighbourhood, audible).compact()
            else:
                rows = self.rows[name]
            views = self._experts_of(name)(rows.values)
            encoded[name] = self._fuse_views(name, rows, views)
            yield rows, views, encoded[name]

    def _known_by(self, rows: ModalityRows, knowledge: Knowledge) -> Tensor:
        """Return what the heads' rows alone know."""
        asked = rows.values.new_zeros(self.num_entities, self.config.dim)
        has = torch.zeros(self.num_entities, dtype=torch.bool, device=asked.device)
        asked[rows.entities], has[rows.entities] = rows.values, True
        return knowledge(asked, has)

    def _hear(
        self, fused: tuple[Tensor, Tensor], neighbourhood: Neighbourhood, audible: Tensor
    ) -> ModalityRows:
        content, weights = fused
        mean, heard = self.neighbour_mean(content, weights.sum(1) > 0, neighbourhood, audible)
        everyone = torch.arange(self.num_entities, device=content.device)
        return ModalityRows(everyone, mean.to(self._dtype), heard)

    def _encode(self, name: str, rows: ModalityRows) -> ModalityRows:
        """Fuse a modality's views, and the items of an entity, into one row each. (P, D)."""
        return self._fuse_views(name, rows, self._experts_of(name)(rows.values))

    def _experts_of(self, name: str) -> ModalityExperts:
        return cast(ModalityExperts, self.experts[f"{name}_experts"])

    def _fuse_views(self, name: str, rows: ModalityRows, views: Tensor) -> ModalityRows:
        if len(views) == 1:
            return self._of_entities(name, rows, views.squeeze(0))
        strengths = self.strengths.of_views[self.modalities.index(name)]
        return self._of_entities(name, rows, torch.einsum("k,kpd->pd", strengths, views))

    def _of_entities(self, name: str, rows: ModalityRows, values: Tensor) -> ModalityRows:
        """Give every entity one row, whatever number of items it has."""
        if rows.owners is not None:
            values = self.attention[f"{name}_items"](values, rows.owners, len(rows.entities))
        return ModalityRows(rows.entities, values, rows.mask)

    def _fuse_modalities(self, encoded: Mapping[str, ModalityRows]) -> tuple[Tensor, Tensor]:
        """Fuse the modalities each entity has itself. Returns (E, D) and their shares, (E, M)."""
        present = self._present(encoded)
        kept = self._kept(present, self.config.modality_dropout)
        if self.learned_fusion is not None:
            return self._fuse_as_learned(self.learned_fusion, encoded, kept)
        strengths = self.strengths.of_entities(present)
        heard = strengths * kept
        if self.config.fusion != "sum":
            heard = F.normalize(heard, dim=1)
        fused = strengths.new_zeros(self.num_entities, self.config.dim)
        for index, rows in enumerate(encoded.values()):
            weight = heard[rows.entities, index].unsqueeze(1)
            fused = fused.index_add(0, rows.entities, weight * rows.values)
        return fused, normalised(strengths)

    def _join(
        self, own: Tensor, weights: Tensor, neighbours: ModalityRows
    ) -> tuple[Tensor, Tensor]:
        """Join own content with the neighbours'. Returns (E, D) and all shares, (E, M)."""
        has_own = weights.sum(1, keepdim=True) > 0
        present = torch.cat([has_own, self._present({NEIGHBOURS: neighbours})], dim=1)
        kept = self._kept(present, self.joining_rates)
        joined, shares = self.joining(own, neighbours.values, kept)
        return joined, torch.cat([weights * shares[:, :1], shares[:, 1:]], dim=1)

    def _fuse_as_learned(
        self, fusion: LearnedFusion, encoded: Mapping[str, ModalityRows], kept: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Let a learned fusion see those entities that have anything; the rest stays zero."""
        some = kept.any(1).nonzero()[:, 0]
        fused, shares = fusion(self._side_by_side(encoded, kept)[some], kept[some])
        everyone = (self.num_entities, self.config.dim)
        return (
            fused.new_zeros(everyone).index_copy(0, some, fused),
            shares.new_zeros(kept.shape).index_copy(0, some, shares),
        )

    def _side_by_side(self, encoded: Mapping[str, ModalityRows], kept: Tensor) -> Tensor:
        """Lay modalities side by side, zeros for what is not kept. Shape: (E, M, D)."""
        empty = self.fallback.new_zeros(self.num_entities, self.config.dim)
        parts = [
            empty.index_add(0, rows.entities, rows.values * kept[rows.entities, index, None])
            for index, rows in enumerate(encoded.values())
        ]
        return torch.stack(parts, dim=1)

    def _present(self, encoded: Mapping[str, ModalityRows]) -> Tensor:
        """Who has which of their own modalities. Shape: (E, M), bool."""
        shape = (self.num_entities, len(encoded))
        present = torch.zeros(shape, dtype=torch.bool, device=self.fallback.device)
        for index, rows in enumerate(encoded.values()):
            present[rows.entities, index] = True if rows.mask is None else rows.mask
        return present

    def _kept(self, present: Tensor, rates: float | Tensor) -> Tensor:
        """Dropout: what is heard of `present` in this step, never nothing. Shape: (E, M), bool."""
        if not self.training:
            return present
        chance = torch.rand(present.shape, device=present.device)
        kept = present & (chance >= rates)
        return torch.where(kept.any(1, keepdim=True), kept, present)


def _experts(rows: Mapping[str, ModalityRows], config: ModelConfig) -> nn.ModuleDict:
    """Make the experts of every modality that has features, and of the neighbours' content."""
    dims = {name: parts.dim for name, parts in rows.items()}
    if config.neighbours:
        dims[NEIGHBOURS] = config.dim
    return nn.ModuleDict(
        {
            f"{name}_experts": ModalityExperts(
                dim, config.dim, config.num_experts, config.feature_dropout
            )
            for name, dim in dims.items()
        }
    )
