"""What an entity's neighbours say of it: a relation-typed mean over its training edges.

A learned row per entity memorises the triples it was trained on; the mean of the neighbours'
features generalises to triples never seen. The edges that a step scores are left out of that
step's messages, since they would give the answer away.

Shapes: E entities, R relations with inverses, N edges, P different pairs of sender and relation,
D width.
"""

import torch
from torch import Tensor, nn

from model.layers.sparse import SparseMatrix
from model.scorers import complex_product


class Neighbourhood:
    """Who speaks to whom: the edges, in the order that sums over them need.

    A message depends on its sender and its relation only; it is made once for all its receivers.

    Args:
        edges: Edges with inverses, columns receiver, relation, sender. Shape: (N, 3).
        num_entities: E.
        num_relations: R.
    """

    def __init__(self, edges: Tensor, num_entities: int, num_relations: int) -> None:
        self.num_edges = len(edges)
        self._receiver, relation, self._sender = edges.unbind(1)
        keys, pair = torch.unique(self._sender * num_relations + relation, return_inverse=True)
        num_pairs = len(keys)
        self._ones = torch.ones(num_pairs, device=edges.device)
        pairs = torch.arange(num_pairs, device=edges.device)
        self._senders = SparseMatrix(pairs, keys // num_relations, (num_pairs, num_entities))
        self._relations = SparseMatrix(pairs, keys % num_relations, (num_pairs, num_relations))
        self._receivers = SparseMatrix(self._receiver, pair, (num_entities, num_pairs))

    def mean(
        self, content: Tensor, has_content: Tensor, relations: Tensor, audible: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Average the messages content(n) * relation(r) over the edges (e, r, n) of every e.

        Args:
            content: What each entity has to tell. Shape: (E, D).
            has_content: Who has anything to tell. Shape: (E,), bool.
            relations: A complex row for every relation. Shape: (R, D).
            audible: Which edges may carry a message in this step. Shape: (N,), bool.

        Returns:
            The means, (E, D), zero where nothing was heard, and who heard something, (E,).
        """
        heard = (audible & has_content[self._sender]).to(content.dtype)
        degree = content.new_zeros(len(content)).index_add(0, self._receiver, heard)
        messages = complex_product(
            self._senders.matmul(content, self._ones), self._relations.matmul(relations, self._ones)
        )
        share = heard / degree.clamp_min(1)[self._receiver]
        return self._receivers.matmul(messages, share), degree > 0


class NeighbourMean(nn.Module):
    """`Neighbourhood.mean` with a learned row for every relation.

    Args:
        num_relations: Relations, inverses included.
        dim: Width of the content.
    """

    def __init__(self, num_relations: int, dim: int) -> None:
        super().__init__()
        self.relations = nn.Parameter(torch.randn(num_relations, dim) * 0.5)

    def forward(
        self, content: Tensor, has_content: Tensor, neighbourhood: Neighbourhood, audible: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Average the messages; see `Neighbourhood.mean`."""
        return neighbourhood.mean(content, has_content, self.relations, audible)
