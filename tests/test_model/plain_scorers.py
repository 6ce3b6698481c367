"""Every scorer by its definition, in numpy's own complex numbers, one triple at a time."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from model.scorers import RotatEScorer, Scorer, TransEScorer

Row = NDArray[np.float64]


def complex_of(row: Row) -> NDArray[np.complex128]:
    """Read a row's halves as real and imaginary parts."""
    real, imag = np.split(row, 2)
    return real + 1j * imag


def score_complex(head: Row, relation: Row, tail: Row) -> float:
    h, r, t = (complex_of(row) for row in (head, relation, tail))
    return float((h * r * t.conj()).sum().real)


def score_distmult(head: Row, relation: Row, tail: Row) -> float:
    return float((head * relation * tail).sum())


def score_rotate(head: Row, relation: Row, tail: Row) -> float:
    distance = np.linalg.norm(complex_of(head) * np.exp(1j * relation) - complex_of(tail))
    return RotatEScorer.margin - float(distance)


def score_transe(head: Row, relation: Row, tail: Row) -> float:
    return TransEScorer.margin - float(np.linalg.norm(head + relation - tail))


def score_tucker(head: Row, relation: Row, tail: Row, half_core: Row) -> float:
    matrices = [*half_core, *(matrix.T for matrix in half_core)]
    scale = np.sqrt(len(relation) * len(head))
    return float(
        sum(r * (head @ matrix @ tail) for r, matrix in zip(relation, matrices, strict=True))
        / scale
    )


REFERENCES: dict[str, Callable[..., float]] = {
    "complex": score_complex,
    "distmult": score_distmult,
    "rotate": score_rotate,
    "transe": score_transe,
    "tucker": score_tucker,
}
"""By head, relation and tail, then the scorer's own parameters."""


def plain_score(scorer: Scorer, head: Row, relation: Row, tail: Row) -> float:
    """Score one triple with a scorer's parameters, by definition."""
    parameters = (part.detach().double().numpy() for part in scorer.parameters())
    return REFERENCES[scorer.name](head, relation, tail, *parameters)
