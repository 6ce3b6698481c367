"""Every scorer against PyKEEN's implementation of the same paper, on the same weights.

The differences are of convention: PyKEEN stores complex numbers as such, has no margin, and orders
TuckER's core by head, relation, tail.
"""

from collections.abc import Callable

import pytest
import torch
from pykeen.nn.modules import (
    ComplExInteraction,
    DistMultInteraction,
    Interaction,
    RotatEInteraction,
    TransEInteraction,
    TuckERInteraction,
)
from torch import Tensor

from model.scorers import SCORERS, RotatEScorer, Scorer, TransEScorer, TuckERScorer, build_scorer

DIM, NUM_HEADS, NUM_ENTITIES = 20, 5, 9


def as_it_is(rows: Tensor) -> Tensor:
    return rows


def as_complex(rows: Tensor) -> Tensor:
    return torch.complex(*rows.chunk(2, dim=-1))


def as_turns(angles: Tensor) -> Tensor:
    return torch.polar(torch.ones_like(angles), angles)


def tucker_of(scorer: Scorer) -> Interaction:
    """Return PyKEEN's TuckER with our core and without what our scorer leaves out."""
    assert isinstance(scorer, TuckERScorer)
    interaction = TuckERInteraction(
        DIM,
        scorer.relation_dim,
        head_dropout=0.0,
        relation_dropout=0.0,
        head_relation_dropout=0.0,
        apply_batch_normalization=False,
    )
    interaction.core_tensor.data = scorer.core.detach().permute(1, 0, 2)
    return interaction


Form = Callable[[Tensor], Tensor]
PYKEEN: dict[str, tuple[Callable[[Scorer], Interaction], Form, Form, float]] = {
    "complex": (lambda _: ComplExInteraction(), as_complex, as_complex, 0.0),
    "distmult": (lambda _: DistMultInteraction(), as_it_is, as_it_is, 0.0),
    "rotate": (lambda _: RotatEInteraction(p=2), as_complex, as_turns, RotatEScorer.margin),
    "transe": (lambda _: TransEInteraction(p=2), as_it_is, as_it_is, TransEScorer.margin),
    "tucker": (tucker_of, as_it_is, as_it_is, 0.0),
}
"""The interaction, the form it takes entities and relations in, and our margin."""


@pytest.mark.parametrize("name", sorted(SCORERS))
class TestAgainstPyKEEN:
    def test_scores_agree(self, name: str) -> None:
        scorer, heads, relations, entities = drawn(name)
        found = scorer.score_all(scorer.query(heads, relations), entities)
        torch.testing.assert_close(found, expected(scorer, heads, relations, entities))

    def test_gradients_agree(self, name: str) -> None:
        scorer, *rows = drawn(name)
        heads, relations, entities = rows
        for row in rows:
            row.requires_grad_()
        ours = scorer.score_all(scorer.query(heads, relations), entities).sin().sum()
        theirs = expected(scorer, heads, relations, entities).sin().sum()
        for found, wanted in zip(
            torch.autograd.grad(ours, rows), torch.autograd.grad(theirs, rows), strict=True
        ):
            torch.testing.assert_close(found, wanted)


def drawn(name: str) -> tuple[Scorer, Tensor, Tensor, Tensor]:
    """Draw a scorer, heads, relations and entities in double precision."""
    torch.manual_seed(0)
    scorer = build_scorer(name, DIM).double()
    shapes = (NUM_HEADS, DIM), (NUM_HEADS, scorer.relation_dim), (NUM_ENTITIES, DIM)
    heads, relations, entities = (torch.randn(shape, dtype=torch.double) for shape in shapes)
    return scorer, heads, relations, entities


def expected(scorer: Scorer, heads: Tensor, relations: Tensor, entities: Tensor) -> Tensor:
    """Score all entities by PyKEEN. Shape: (NUM_HEADS, NUM_ENTITIES)."""
    make, of_entities, of_relations, margin = PYKEEN[scorer.name]
    rows = (
        of_entities(heads).unsqueeze(1),
        of_relations(relations).unsqueeze(1),
        of_entities(entities).unsqueeze(0),
    )
    scores: Tensor = margin + make(scorer).double()(*rows)
    return scores
