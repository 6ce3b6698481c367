"""The block of mined rules: an answer is as plausible as the most confident rule that leads to it.

Shapes: B batch, E entities, R relations (inverses included), N edges, n rules, L relations of the
longest body.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from operator import itemgetter
from typing import Self

import numpy as np
import torch
from torch import Tensor

from model.candidates import CandidateSample
from model.config import RULES
from model.inputs import with_inverses
from model.rules.mining import Rules, mine_rules
from model.rules.paths import RulePath, find_path
from model.rules.rule_scores import RuleScores
from model.rules.walks import Body, Walks
from storage.datasets.graph import Graph, Triples

_NUMBERS_AT_ONCE = 2**25  # scores in memory
PARTS = ("heads", "bodies", "confidences", "edges")
"""What a file holds of the block."""


@dataclass(frozen=True)
class RuleBlock:
    """Rules and the facts that they are applied to; scores answers as other blocks do.

    Attributes:
        rules: What implies what.
        edges: Training triples with inverses: what is walked on. Shape: (N, 3).
        num_entities: E.
        num_relations: R.
        device: Where scores are wanted; they are found on the CPU.
    """

    rules: Rules
    edges: Triples
    num_entities: int
    num_relations: int
    device: torch.device

    name = RULES
    modalities = (RULES,)

    @classmethod
    def mined(cls, graph: Graph, longest: int, device: torch.device) -> Self:
        """Mine the rules of a graph's training triples, bodies of `longest` relations at most."""
        size = (graph.num_entities, 2 * graph.num_relations)
        walks = Walks(with_inverses(graph.train, graph.num_relations), *size)
        return cls(mine_rules(walks, longest), walks.edges, *size, device)

    @cached_property
    def shares(self) -> Tensor:
        """Nobody but the rules speaks here: ones. Shape: (E, 1)."""
        return torch.ones(self.num_entities, 1, device=self.device)

    @cached_property
    def experts(self) -> Tensor:
        """Rules have no experts: a one. Shape: (1, 1)."""
        return torch.ones(1, 1, device=self.device)

    @cached_property
    def _walks(self) -> Walks:
        return Walks(self.edges, self.num_entities, self.num_relations)

    @cached_property
    def _scores(self) -> RuleScores:
        return RuleScores(self.rules, self._walks)

    def scores(self, heads: Tensor, relations: Tensor) -> Tensor:
        """Score all entities as tails, as `RuleScores` do.

        Questions of the same relation cost less together, and those that were scored before.

        Args:
            heads: Shape (B,).
            relations: Shape (B,).

        Returns:
            At least 0; 0 where no rule leads. Shape: (B, E).
        """
        found = np.zeros((len(heads), self.num_entities), dtype=np.float32)
        starts, asked = heads.cpu().numpy(), relations.cpu().numpy()
        for relation in np.unique(asked).tolist():
            rows = np.flatnonzero(asked == relation)
            self._scores.write(relation, starts[rows], rows, found)
        return torch.from_numpy(found).to(self.device)

    def candidate_scores(self, sample: CandidateSample) -> Tensor:
        """Score the true answers (column 0) and the candidates of a sample. Shape: (Q, 1 + C)."""
        order = sample.questions[:, 1].argsort()
        columns = sample.candidates.expand(len(order), -1)
        wanted = torch.cat([sample.questions[:, 2:], columns], dim=1)
        scores = torch.empty(wanted.shape, device=self.device)
        for rows in order.split(max(1, _NUMBERS_AT_ONCE // self.num_entities)):
            heads, relations, _ = sample.questions[rows].unbind(1)
            scores[rows] = self.scores(heads, relations).gather(1, wanted[rows])
        return scores

    def best_rules(
        self, heads: Tensor, relation: int, answers: Tensor
    ) -> list[tuple[Body, float] | None]:
        """Find the rule by which each answer to a question of one relation scores.

        Args:
            heads: Shape (B,).
            relation: As in `scores`.
            answers: Shape (B,).

        Returns:
            Body and confidence; None where no rule leads.
        """
        best: list[tuple[Body, float] | None] = [None] * len(heads)
        starts, rows = np.unique(heads.cpu().numpy(), return_inverse=True)
        places = rows, np.array(answers.cpu())  # scipy wants indices that it may write to
        walk = self._walks.walk_from(starts)
        open_rows = np.ones(len(heads), dtype=np.bool_)
        for rule in sorted(self.rules.of(relation), key=itemgetter(1), reverse=True):
            if not open_rows.any():
                break
            led_to = open_rows & (np.asarray(walk.along(rule[0])[places])[0] > 0)
            for row in np.flatnonzero(led_to).tolist():
                best[row] = rule
            open_rows &= ~led_to
        return best

    def path(self, body: Body, start: int, end: int) -> RulePath | None:
        """Return a path along a body between two entities; None if it does not lead there."""
        return find_path(self._walks, body, start, end)

    def grown(self, edges: Triples, num_entities: int) -> Self:
        """Apply the same rules to other edges, of more entities."""
        return replace(self, edges=edges, num_entities=num_entities)

    def tensors(self) -> Mapping[str, Tensor]:
        """What a file needs to hold; see `of_tensors`."""
        rules = self.rules
        arrays = (rules.heads, rules.bodies, rules.confidences, self.edges)
        return {part: torch.from_numpy(it) for part, it in zip(PARTS, arrays, strict=True)}

    @classmethod
    def of_tensors(
        cls,
        tensors: Mapping[str, Tensor],
        num_entities: int,
        num_relations: int,
        device: torch.device,
    ) -> Self:
        """Put together what `tensors` told."""
        heads, bodies, confidences, edges = (tensors[part].cpu().numpy() for part in PARTS)
        return cls(Rules(heads, bodies, confidences), edges, num_entities, num_relations, device)
