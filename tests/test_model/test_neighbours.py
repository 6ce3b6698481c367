"""The neighbours' mean against a plain loop over the edges."""

from collections import defaultdict

import numpy as np
import torch
from numpy.typing import NDArray
from plain_scorers import complex_of
from torch import Tensor

from model.encoder.neighbours import Neighbourhood, NeighbourMean
from model.scorers import complex_product

NUM_ENTITIES, NUM_RELATIONS, DIM = 8, 3, 6

# Entity 6 hears only 1, who has nothing to tell; 5 hears both 1 and 3; nobody speaks to 7.
EDGES = torch.tensor(
    [[0, 0, 2], [0, 1, 3], [0, 1, 3], [2, 2, 2], [5, 0, 1], [5, 2, 3], [6, 1, 1], [4, 0, 0]]
)
AROUND = Neighbourhood(EDGES, NUM_ENTITIES, NUM_RELATIONS)
HAS_CONTENT = torch.tensor([True, False, True, True, True, False, True, True])
AUDIBLE = torch.tensor([True, True, True, True, True, True, True, False])


def drawn() -> tuple[NeighbourMean, Tensor]:
    """Return the module and contents; what stands where there is none is not to be heard."""
    torch.manual_seed(0)
    content = torch.randn(NUM_ENTITIES, DIM)
    return NeighbourMean(NUM_RELATIONS, DIM), content


def plain_mean(module: NeighbourMean, content: Tensor) -> tuple[NDArray[np.float64], list[bool]]:
    """Average every entity's messages as the definition reads."""
    heard = defaultdict(list)
    relations = module.relations.detach().double().numpy()
    for (receiver, relation, sender), is_audible in zip(
        EDGES.tolist(), AUDIBLE.tolist(), strict=True
    ):
        if is_audible and HAS_CONTENT[sender]:
            told = complex_of(content[sender].double().numpy()) * complex_of(relations[relation])
            heard[receiver].append(np.concatenate([told.real, told.imag]))
    means = np.zeros((NUM_ENTITIES, DIM))
    for receiver, messages in heard.items():
        means[receiver] = np.mean(messages, axis=0)
    return means, [receiver in heard for receiver in range(NUM_ENTITIES)]


def test_is_the_definition() -> None:
    module, content = drawn()
    means, heard = module(content, HAS_CONTENT, AROUND, AUDIBLE)
    expected_means, expected_heard = plain_mean(module, content)
    np.testing.assert_allclose(means.detach(), expected_means, rtol=1e-4, atol=1e-6)
    assert heard.tolist() == expected_heard == [True, False, True, False, False, True, False, False]


def test_what_is_not_heard_gets_no_gradient() -> None:
    module, content = drawn()
    content.requires_grad_()
    module(content, HAS_CONTENT, AROUND, AUDIBLE)[0].square().sum().backward()
    assert content.grad is not None
    assert content.grad.any(1).nonzero().flatten().tolist() == [2, 3]


def test_no_edges() -> None:
    module, content = drawn()
    means, heard = module(
        content, HAS_CONTENT, Neighbourhood(EDGES[:0], NUM_ENTITIES, NUM_RELATIONS), AUDIBLE[:0]
    )
    assert not means.any()
    assert not heard.any()


def test_gradients_are_those_of_the_plain_sum() -> None:
    module, content = drawn()
    upstream = torch.randn(NUM_ENTITIES, DIM)
    receiver, relation, sender = EDGES[AUDIBLE & HAS_CONTENT[EDGES[:, 2]]].unbind(1)
    gradients = []
    for plain in (False, True):
        entities, relations = content.clone().requires_grad_(), module.relations
        if plain:
            messages = complex_product(entities[sender], relations[relation])
            degree = torch.bincount(receiver, minlength=NUM_ENTITIES).clamp_min(1)
            total = torch.zeros(NUM_ENTITIES, DIM).index_add(0, receiver, messages)
            mean = total / degree.unsqueeze(1)
        else:
            mean = module(entities, HAS_CONTENT, AROUND, AUDIBLE)[0]
        gradients.append(torch.autograd.grad(mean, (entities, relations), upstream))
    torch.testing.assert_close(*gradients)
