"""Every scorer by its definition, in numpy's own complex numbers, one triple at a time."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from model.scorers import RotatEScorer

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
    turn = np.exp(1j * relation[: len(relation) // 2])
    distance = np.linalg.norm(complex_of(head) * turn - complex_of(tail))
    return RotatEScorer.margin - float(distance)


REFERENCES: dict[str, Callable[[Row, Row, Row], float]] = {
    "complex": score_complex,
    "distmult": score_distmult,
    "rotate": score_rotate,
}
