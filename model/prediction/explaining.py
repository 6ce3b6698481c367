"""What spoke for answers, by ids and names: modalities, the nearest facts, the best rule.

Shapes: B answers to questions of one relation, R relations (inverses not counted).
"""

from typing import NamedTuple

import torch
from torch import Tensor

from model.prediction.answers import AppliedRule, NearFact
from model.prediction.evidence import divided_shares, shares_of_triples
from model.prediction.nearest_facts import FactIndex
from model.prediction.wording import Wording
from model.rules.paths import RulePath
from model.rules.rule_block import RuleBlock
from model.rules.walks import Body
from model.scoring.blocks import BlockScoring
from storage.datasets.graph import Graph

_DECIMALS = 6  # of a similarity: further ones depend on how many triples are compared at once


class Evidence(NamedTuple):
    """What spoke for an answer: four fields of `model.prediction.answers.Answer`."""

    modality_weights: dict[str, float]
    expert_weights: dict[str, list[float]]
    nearest_facts: tuple[NearFact, ...]
    rule: AppliedRule | None


class AskedAnswers(NamedTuple):
    """Answers to questions of one relation.

    Attributes:
        relation: Index, plus R where heads were asked for.
        entities: Those that the questions name. Shape: (B,).
        answers: Shape (B,).
        shares: Of `model.prediction.evidence.block_shares`. Shape: (B, num_blocks).
    """

    relation: int
    entities: Tensor
    answers: Tensor
    shares: Tensor


class Explainer:
    """Finds what spoke for answers.

    Args:
        graph: The graph.
    """

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._facts = FactIndex(graph.train, graph.num_relations)
        self.wording = Wording(graph)
        inverses = (f"inverse of {relation}" for relation in graph.relations)
        self._step_names = (*graph.relations, *inverses)

    def evidence(
        self,
        scoring: BlockScoring,
        asked: AskedAnswers,
        num_facts: int,
        *,
        with_paths: bool = False,
    ) -> list[Evidence]:
        """Return what spoke for each answer.

        Args:
            scoring: The model.
            asked: The answers.
            num_facts: Training facts wanted of each.
            with_paths: Whether rules come with a path and a sentence.
        """
        weights = weights_of(scoring, asked)
        facts = self._nearest(scoring, asked, num_facts)
        rules = self._rules(scoring.rules, asked, with_paths=with_paths)
        return [
            Evidence(*of_answer, near, rule)
            for of_answer, near, rule in zip(weights, facts, rules, strict=True)
        ]

    def _nearest(
        self, scoring: BlockScoring, asked: AskedAnswers, k: int
    ) -> list[tuple[NearFact, ...]]:
        """Return the k training facts most like each triple, of those that are like it at all.

        Whichever end was asked for, blocks count by their shares when the tail is asked for.
        """
        relation = asked.relation % self._graph.num_relations
        heads, tails, shares = asked.entities, asked.answers, asked.shares
        if relation != asked.relation:
            heads, tails = tails, heads
            shares = shares_of_triples(scoring, heads, relation, tails)
        found = self._facts.nearest(scoring, relation, heads, tails, k, shares)
        similarities = found.similarities.double().round(decimals=_DECIMALS).tolist()
        columns = (found.heads.tolist(), found.tails.tolist(), similarities)
        return [
            tuple(self._near_fact(*fact) for fact in zip(*rows, strict=True) if fact[-1] > 0)
            for rows in zip(*columns, strict=True)
        ]

    def _near_fact(self, head: int, tail: int, similarity: float) -> NearFact:
        ids, names = self._graph.entities, self._graph.names
        return NearFact(ids[head], names[head], ids[tail], names[tail], similarity)

    def _rules(
        self, rules: RuleBlock | None, asked: AskedAnswers, *, with_paths: bool
    ) -> list[AppliedRule | None]:
        """Return the most confident rule that leads to each answer; None where none does."""
        if rules is None:
            return [None] * len(asked.answers)
        found = rules.best_rules(asked.entities, asked.relation, asked.answers)
        if not with_paths:
            return [rule and AppliedRule(self._names(rule[0]), rule[1]) for rule in found]
        ends = zip(asked.entities.tolist(), asked.answers.tolist(), strict=True)
        return [
            rule and self._applied(asked.relation, *rule, rules.path(rule[0], *pair))
            for rule, pair in zip(found, ends, strict=True)
        ]

    def _names(self, body: Body) -> tuple[str, ...]:
        return tuple(self._step_names[step] for step in body)

    def _applied(
        self, relation: int, body: Body, confidence: float, path: RulePath | None
    ) -> AppliedRule:
        """Return a rule with the path by which it leads to an answer, and as a sentence."""
        names = self._names(body)
        if path is None:
            return AppliedRule(names, confidence)
        ids = tuple(self._graph.entities[row] for row in path.entities)
        sentence = self.wording.rule(relation, body, confidence, *path)
        return AppliedRule(names, confidence, ids, path.num_paths, sentence)


def no_evidence(scoring: BlockScoring) -> Evidence:
    """Return evidence with the modalities and experts of a model, all of weight 0."""
    none = torch.empty(0, dtype=torch.long)
    found = divided_shares(scoring, torch.empty(0, len(scoring.blocks)), none, none)
    experts = {name: [0.0] * share.shape[1] for name, share in found.items()}
    several = {name: weights for name, weights in experts.items() if len(weights) > 1}
    return Evidence(dict.fromkeys(experts, 0.0), several, (), None)


def weights_of(
    scoring: BlockScoring, asked: AskedAnswers
) -> list[tuple[dict[str, float], dict[str, list[float]]]]:
    """Return every answer's weights by modality, and by expert."""
    found = divided_shares(scoring, asked.shares, asked.entities, asked.answers)
    columns = {name: share.tolist() for name, share in found.items()}
    rows = [
        {name: column[number] for name, column in columns.items()}
        for number in range(len(asked.answers))
    ]
    return [
        (
            {name: sum(weights) for name, weights in row.items()},
            {name: weights for name, weights in row.items() if len(weights) > 1},
        )
        for row in rows
    ]
