"""What was last measured of a content block's modalities and views, and the strengths it leads to.

Shapes: M modalities of the entities' own, K views of each, E entities.
"""

import torch
from torch import Tensor, nn

from model.config import ModelConfig
from model.fusion.cmkf import MAX_FUSED, pattern_of, patterns, plain_strengths, relevant_strengths
from model.fusion.relevance import fill_unmeasured
from storage.errors import MocmeError

_MODALITIES_WEIGHED = ("cmkf", "cmkf_inter", "cmkf_plain")
_VIEWS_WEIGHED = ("cmkf", "cmkf_intra", "cmkf_plain")


class Strengths(nn.Module):
    """Strengths of entities' own modalities, and of all views; all 1 before anything is measured.

    Args:
        num_own: M, modalities of the entities' own.
        num_modalities: Those, and the neighbours if they are heard.
        config: The config's `model` section.

    Attributes:
        inter_information: Nats per dimension that modalities share. Shape: (M, M).
        intra_information: Those that the views of each share, the neighbours' last.
            Shape: (num_modalities, K, K).
        inter_relevance: Nats that a modality knows alone; NaN: not measured. Shape: (M,).
        intra_relevance: Those that a view knows alone. Shape: (num_modalities, K).
        are_weighed: Whether the strengths depend on any of this.

    Raises:
        MocmeError: If there are too many modalities.
    """

    inter_information: Tensor
    intra_information: Tensor
    inter_relevance: Tensor
    intra_relevance: Tensor
    of_patterns: Tensor
    of_views: Tensor

    def __init__(self, num_own: int, num_modalities: int, config: ModelConfig) -> None:
        super().__init__()
        if num_own > MAX_FUSED:
            raise MocmeError(f"found {num_own} modalities to fuse; allowed: {MAX_FUSED}")
        self._fusion, self._temperature = config.fusion, config.temperature
        self._weighs_modalities = num_own > 1 and config.fusion in _MODALITIES_WEIGHED
        self._weighs_views = config.num_experts > 1 and config.fusion in _VIEWS_WEIGHED
        self.are_weighed = self._weighs_modalities or self._weighs_views
        shape = (num_modalities, config.num_experts)
        self.register_buffer("inter_information", torch.zeros(num_own, num_own))
        self.register_buffer("intra_information", torch.zeros(*shape, config.num_experts))
        self.register_buffer("inter_relevance", torch.full((num_own,), torch.nan))
        self.register_buffer("intra_relevance", torch.full(shape, torch.nan))
        self.register_buffer("of_patterns", patterns(num_own).float())
        self.register_buffer("of_views", torch.ones(shape))

    def of_entities(self, present: Tensor) -> Tensor:
        """Return the strengths of what entities have. Shapes: (E, M), bool -> (E, M)."""
        return self.of_patterns[pattern_of(present)]

    def expert_shares(self) -> Tensor:
        """Return the views' strengths, made to sum to 1 by modality. (num_modalities, K)."""
        return self.of_views / self.of_views.sum(1, keepdim=True)

    def update(self) -> None:
        """Let the strengths follow from what was measured."""
        if not self.are_weighed:
            return
        if self._weighs_views:
            self._weigh_views()
        if self._weighs_modalities:
            self._weigh_modalities()

    def _weigh_views(self) -> None:
        everyone = torch.ones(1, self.of_views.shape[1], dtype=torch.bool)
        measured = zip(self.intra_information, self.intra_relevance, strict=True)
        for index, (information, relevance) in enumerate(measured):
            self.of_views[index] = self._solve(information, relevance, everyone)[0]

    def _weigh_modalities(self) -> None:
        everything = patterns(len(self.inter_relevance))
        strengths = self._solve(self.inter_information, self.inter_relevance, everything)
        self.of_patterns.copy_(strengths)

    def _solve(self, information: Tensor, relevance: Tensor, present: Tensor) -> Tensor:
        """Solve by the config's kind of fusion; see `model.fusion.cmkf`. Shape: as `present`."""
        information = information.cpu()
        if self._fusion == "cmkf_plain":
            return plain_strengths(information, self._temperature, present)
        return relevant_strengths(information, fill_unmeasured(relevance.cpu()), present)
