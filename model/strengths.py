"""What was last measured of a content block's modalities and views, and the strengths it leads to.

Shapes: M modalities (the neighbours last, if they are one), K views of each, E entities.
"""

import torch
from torch import Tensor, nn

from model.cmkf import MAX_FUSED, pattern_of, patterns, plain_strengths, relevant_strengths
from model.config import ModelConfig
from model.relevance import fill_unmeasured
from storage.errors import MocmeError

_VIEWS_WEIGHED = ("cmkf", "cmkf_intra", "cmkf_plain")


class Strengths(nn.Module):
    """Strengths of modalities and of their views; all 1 before anything is measured.

    Neighbours are other entities: relevance-aware fusion leaves what they say as it is.

    Args:
        num_own: Modalities of the entities' own.
        num_modalities: M.
        config: The config's `model` section.

    Attributes:
        inter_information: Nats per dimension that modalities share. Shape: (M, M).
        intra_information: Those that the views of each share. Shape: (M, K, K).
        inter_relevance: Nats that a modality knows alone; NaN: not measured. Shape: (M,).
        intra_relevance: Those that a view knows alone. Shape: (M, K).
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
        if num_modalities > MAX_FUSED:
            raise MocmeError(
                f"found {num_modalities} modalities to fuse, neighbours included; "
                f"allowed: {MAX_FUSED}"
            )
        self._fusion, self._temperature = config.fusion, config.temperature
        weighed = {"cmkf": num_own, "cmkf_inter": num_own, "cmkf_plain": num_modalities}
        self._num_weighed = weighed.get(config.fusion, 0)
        self._weighs_views = config.num_experts > 1 and config.fusion in _VIEWS_WEIGHED
        self.are_weighed = self._num_weighed > 1 or self._weighs_views
        shape = (num_modalities, config.num_experts)
        self.register_buffer("inter_information", torch.zeros(num_modalities, num_modalities))
        self.register_buffer("intra_information", torch.zeros(*shape, config.num_experts))
        self.register_buffer("inter_relevance", torch.full(shape[:1], torch.nan))
        self.register_buffer("intra_relevance", torch.full(shape, torch.nan))
        self.register_buffer("of_patterns", patterns(num_modalities).float())
        self.register_buffer("of_views", torch.ones(shape))

    def of_entities(self, present: Tensor) -> Tensor:
        """Return the strengths of what entities have. Shapes: (E, M), bool -> (E, M)."""
        return self.of_patterns[pattern_of(present)]

    def update(self) -> None:
        """Let the strengths follow from what was measured."""
        if not self.are_weighed:
            return
        if self._weighs_views:
            self._weigh_views()
        if self._num_weighed:
            self._weigh_modalities()

    def _weigh_views(self) -> None:
        everyone = torch.ones(1, self.of_views.shape[1], dtype=torch.bool)
        measured = zip(self.intra_information, self.intra_relevance, strict=True)
        for index, (information, relevance) in enumerate(measured):
            self.of_views[index] = self._solve(information, relevance, everyone)[0]

    def _weigh_modalities(self) -> None:
        weighed = slice(self._num_weighed)
        self.of_patterns[:, weighed] = self._solve(
            self.inter_information[weighed, weighed],
            self.inter_relevance[weighed],
            patterns(len(self.inter_relevance))[:, weighed],
        )

    def _solve(self, information: Tensor, relevance: Tensor, present: Tensor) -> Tensor:
        """Solve by the config's kind of fusion; see model/cmkf.py. Shape: that of `present`."""
        information = information.cpu()
        if self._fusion == "cmkf_plain":
            return plain_strengths(information, self._temperature, present)
        return relevant_strengths(information, fill_unmeasured(relevance.cpu()), present)
