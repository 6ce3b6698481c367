"""The loss of a batch of questions in one block: of its scores, and of the size of its rows."""

import torch
from torch import Tensor
from torch.nn import functional as F

from model.chunked_loss import chunked_loss
from model.config import TrainConfig
from model.egns import one_vs_all_loss, sampled_loss
from model.inputs import KnownTails
from model.mocme import EncodedBlock, MoCME


class BatchLoss:
    """Computes losses.

    Args:
        model: The model whose blocks they are.
        known: Training triples, which are no negatives; in 1-vs-all training they compete by
            `train.negatives.known_weight`.
        config: The config's `train` section.
        dtype: What products of all entities are computed in.
    """

    def __init__(
        self, model: MoCME, known: KnownTails, config: TrainConfig, dtype: torch.dtype
    ) -> None:
        self._model, self._known, self._config, self._dtype = model, known, config, dtype

    def mean(self, block: EncodedBlock, questions: Tensor, drawn: Tensor | None) -> Tensor:
        """Return the mean loss of questions.

        Args:
            block: Where they are asked.
            questions: Triples, h and r asking for t. Shape: (B, 3).
            drawn: Their negatives, (B, N); None: all entities.

        Returns:
            Shape ().
        """
        if drawn is None:
            loss = self._one_vs_all_loss(block, questions)
        else:
            loss = self._sampled_loss(block, questions, drawn)
        penalised = self._model.penalised(block)
        if penalised is not None and self._config.n3_weight:
            heads, relations, tails = questions.unbind(1)
            rows, held = penalised
            parts = (F.embedding(heads, rows), held[relations], F.embedding(tails, rows))
            penalty = block.scorer.penalty(*parts)
            loss = loss + self._config.n3_weight * penalty.mean()
        return loss

    def _one_vs_all_loss(self, block: EncodedBlock, triples: Tensor) -> Tensor:
        """Score every question once, however many answers to it stand side by side."""
        questions, question = torch.unique_consecutive(triples[:, :2], dim=0, return_inverse=True)
        heads, relations = questions.unbind(1)
        bounds = torch.arange(len(questions) + 1, device=question.device)
        first_answer = torch.searchsorted(question, bounds).tolist()

        def chunk_loss(product: Tensor, place: slice) -> Tensor:
            scores = block.scorer.from_product(product)
            known = torch.stack(self._known.lookup(heads[place], relations[place]))
            of_chunk = slice(first_answer[place.start], first_answer[place.stop])
            answers = torch.stack([question[of_chunk] - place.start, triples[of_chunk, 2]])
            return one_vs_all_loss(scores, answers, known, self._config.negatives).sum()

        query = _query(block, heads, relations)
        left, right = block.scorer.factors(query, block.entities)
        dtype = self._dtype if block.scorer.is_bilinear else left.dtype
        return chunked_loss(left, right, chunk_loss, dtype) / len(triples)

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
