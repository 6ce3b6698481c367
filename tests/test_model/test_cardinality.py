"""How many answers are missing, where the numbers of answers are planted and then thinned."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import sparse

from model.probability.cardinality import MOST_KNOWN, Cardinality, fit_cardinality

NUM_ENTITIES = 4000
MISSING = 0.3
SINGLE, FEW, PAIRS, RARE = range(4)


def thinned(missing_share: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Draw numbers of answers, and how many of them are known. Shape: (E, 4) each."""
    generator = np.random.default_rng(0)
    answers = np.stack(
        [
            np.ones(NUM_ENTITIES, dtype=np.int64),
            1 + generator.poisson(2.0, NUM_ENTITIES),
            np.full(NUM_ENTITIES, 2),
            np.where(np.arange(NUM_ENTITIES) < 2, 2, 0),
        ],
        axis=1,
    )
    return answers, generator.binomial(answers, 1 - missing_share)


def fitted(known: NDArray[np.int64], missing_share: float) -> Cardinality:
    is_single = np.array([True, False, False, False])
    return fit_cardinality(sparse.csr_array(known), missing_share, is_single)


@pytest.fixture(scope="module")
def counts() -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    return thinned(MISSING)


@pytest.fixture(scope="module")
def found(counts: tuple[NDArray[np.int64], NDArray[np.int64]]) -> Cardinality:
    return fitted(counts[1], MISSING)


def test_a_single_answer_that_is_known_is_the_only_one(found: Cardinality) -> None:
    assert not found.has_further[SINGLE].any()
    assert not found.num_further[SINGLE].any()
    assert found.share_lost[SINGLE] == pytest.approx(MISSING)
    assert found.num_lost[SINGLE] == pytest.approx(1)


@pytest.mark.parametrize("num_known", [1, 2, 3])
def test_further_answers_are_as_many_as_were_thinned_out(
    counts: tuple[NDArray[np.int64], NDArray[np.int64]], found: Cardinality, num_known: int
) -> None:
    answers, known = (it[:, FEW] for it in counts)
    further = (answers - known)[known == num_known]
    assert found.num_further[FEW, num_known - 1] == pytest.approx(further.mean(), abs=0.15)
    assert found.has_further[FEW, num_known - 1] == pytest.approx((further > 0).mean(), abs=0.1)


def test_questions_that_lost_everything(
    counts: tuple[NDArray[np.int64], NDArray[np.int64]], found: Cardinality
) -> None:
    answers, known = (it[:, FEW] for it in counts)
    lost = known == 0
    assert found.share_lost[FEW] == pytest.approx(lost.mean(), abs=0.03)
    assert found.num_lost[FEW] == pytest.approx(answers[lost].mean(), abs=0.3)


def test_of_two_answers_two_are_all(found: Cardinality) -> None:
    assert found.has_further[PAIRS, 0] == pytest.approx(1, abs=0.1)
    assert found.has_further[PAIRS, 1] == pytest.approx(0, abs=0.02)
    assert found.share_lost[PAIRS] == pytest.approx(MISSING**2, abs=0.02)


@pytest.mark.parametrize("missing_share", [0.05, 0.3, 0.6])
def test_all_that_is_expected_is_the_share_that_is_missing(missing_share: float) -> None:
    """So many further answers, with those of lost questions, as thinning takes away."""
    answers, known = thinned(missing_share)
    found = fitted(known, missing_share)
    for question in (SINGLE, FEW, PAIRS):
        counts = known[:, question]
        told = found.num_further[question][counts[counts > 0] - 1].sum()
        share = found.share_lost[question]
        lost = (counts > 0).sum() * share / (1 - share) * found.num_lost[question]
        taken = (answers[:, question] - counts).sum()
        assert told + lost == pytest.approx(taken, rel=0.05)


def test_a_rare_relation_is_as_all_are(found: Cardinality) -> None:
    """Two questions tell little, so what the others have in common counts."""
    assert 0 < found.has_further[RARE, 0] < 1
    assert found.share_lost[RARE] == pytest.approx(found.share_lost[:3].mean(), abs=0.15)


def test_where_nothing_is_known_all_is_finite() -> None:
    nothing = fitted(np.zeros((5, 4), dtype=np.int64), 0.2)
    for values in (nothing.has_further, nothing.num_further, nothing.share_lost, nothing.num_lost):
        assert np.isfinite(values).all()
    assert nothing.has_further.shape == nothing.num_further.shape == (4, MOST_KNOWN)


def test_who_has_further_answers_has_one_at_least(
    counts: tuple[NDArray[np.int64], NDArray[np.int64]], found: Cardinality
) -> None:
    for question, known in enumerate(counts[1].T):
        places = np.unique(known[known > 0]) - 1
        chance, number = found.has_further[question, places], found.num_further[question, places]
        assert ((chance >= -1e-9) & (chance <= 1)).all()
        assert (number >= chance - 1e-6).all()
    assert (found.num_lost >= 1 - 1e-9).all()
