"""The loss of a batch of questions in one block: of its scores, and of the size of its rows."""

import torch
from torch import Tensor
from torch.nn import functional as F

from model.config import TrainConfig
from model.encoded_block import EncodedBlock
from model.inputs import KnownTails
from model.mocme import MoCME
from model.negatives.all_entities import AllEntities
from model.negatives.chunked_loss import chunked_loss
from model.negatives.egns import one_vs_all_loss, sampled_loss


class BatchLoss:
    """Computes losses.

    Args:
        model: The model whose blocks they are.
        known: Training triples, which are no negatives, whoever drew them.
        config: The config's `train` section.
        dtype: What products of all entities are computed in.
    """

    def __init__(
        self, model: MoCME, known: KnownTails, config: TrainConfig, dtype: torch.dtype
    ) -> None:
        self._model, self._known, self._config, self._dtype = model, known, config, dtype

    def mean(
        self, block: EncodedBlock, questions: Tensor, negatives: Tensor | AllEntities
    ) -> Tensor:
        """Return the mean loss of questions.

        Args:
            block: Where they are asked.
            questions: Triples, h and r asking for t. Shape: (B, 3).
            negatives: Those drawn for each, (B, N), or all entities.

        Returns:
            Shape ().
        """
        if isinstance(negatives, AllEntities):
            loss = self._one_vs_all_loss(block, negatives) / len(questions)
        else:
            loss = self._sampled_loss(block, questions, negatives)
        penalised = self._model.penalised(block)
        if penalised is not None and self._config.n3_weight:
            heads, relations, tails = questions.unbind(1)
            rows, held = penalised
            parts = (F.embedding(heads, rows), held[relations], F.embedding(tails, rows))
            penalty = block.scorer.penalty(*parts)
            loss = loss + self._config.n3_weight * penalty.mean()
        return loss

    def _one_vs_all_loss(self, block: EncodedBlock, asked: AllEntities) -> Tensor:
        """Score every question once, however many answers to it stand side by side; return the sum.

        Shape: ().
        """

        def chunk_loss(product: Tensor, place: slice) -> Tensor:
            scores = block.scorer.from_product(product)
            answers, known = asked.of_chunk(place)
            return one_vs_all_loss(scores, answers, known, self._config.negatives).sum()

        query = _query(block, *asked.questions.unbind(1))
        left, right = block.scorer.factors(query, block.entities)
        dtype = self._dtype if block.scorer.is_bilinear else left.dtype
        return chunked_loss(left, right, chunk_loss, dtype)

    def _sampled_loss(self, block: EncodedBlock, questions: Tensor, drawn: Tensor) -> Tensor:
        query = _query(block, questions[:, 0], questions[:, 1])
        positive = block.scorer.score_pairs(query, block.entities[questions[:, 2:]])
        negatives = block.scorer.score_pairs(query, block.entities[drawn])
        is_known = self._known.contains(questions[:, :1], questions[:, 1:2], drawn)
        negatives = negatives.masked_fill(is_known, -torch.inf)
        return sampled_loss(positive, negatives, self._config.negatives).mean()


def _query(block: EncodedBlock, heads: Tensor, relations: Tensor) -> Tensor:
    head = F.embedding(heads, block.entities)  # its gradient is faster than indexing's
    return block.scorer.query(head, block.relations[relations])
