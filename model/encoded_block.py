"""A block of embeddings: entities and relations that are scored together.

Shapes: B batch, E entities, R relations (inverses included), M modalities, K experts, D width, Q
questions and C candidates of a sample.
"""

from dataclasses import dataclass

from torch import Tensor

from model.candidates import CandidateSample
from model.scorers import Scorer


@dataclass(frozen=True)
class EncodedBlock:
    """Embeddings that are scored together.

    Attributes:
        name: `content`, `content-<modality>`, `structure` or `context`; `#2` and so on behind it
            in an ensemble's further members.
        entities: Shape (E, D).
        relations: Shape (R, D_r); see `Scorer`.
        present: Which entities this block knows anything of. Shape: (E,), bool.
        scorer: How its triples are scored.
        modalities: What speaks in it: modalities, or parts of the model.
        shares: How much of each entity's embedding is each of those, at least zero, without
            gradient. Shape: (E, M).
        experts: How much of each of those each of its experts is, without gradient; rows sum to 1.
            Shape: (M, K).
    """

    name: str
    entities: Tensor
    relations: Tensor
    present: Tensor
    scorer: Scorer
    modalities: tuple[str, ...]
    shares: Tensor
    experts: Tensor

    @property
    def num_entities(self) -> int:
        """E."""
        return len(self.entities)

    @property
    def num_relations(self) -> int:
        """R."""
        return len(self.relations)

    def scores(self, heads: Tensor, relations: Tensor) -> Tensor:
        """Score all entities as tails. Shapes: (B,), (B,) -> (B, E)."""
        query = self.scorer.query(self.entities[heads], self.relations[relations])
        return self.scorer.score_all(query, self.entities)

    def candidate_scores(self, sample: CandidateSample) -> Tensor:
        """Score the true answers (column 0) and the candidates of a sample. Shape: (Q, 1 + C)."""
        asked = self.entities[sample.questions[:, 0]]
        return sample.scores(self.scorer, asked, self.relations, self.entities)
