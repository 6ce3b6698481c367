"""Answers of which one at most can hold sum to 1 at most, and nothing else changes."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from model.probability.limited_sums import at_most_one_each

Row = tuple[float, int, int]
rows = st.lists(
    st.tuples(
        st.floats(1e-9, 1 - 1e-9),
        st.integers(0, 2),  # an entity
        st.integers(0, 2),  # a relation, of which the first two are single-valued
    ),
    max_size=40,
)


def limited(some: list[Row]) -> torch.Tensor:
    columns = torch.tensor(some, dtype=torch.double).reshape(-1, 3)
    return at_most_one_each(columns[:, 0], columns[:, 1:].long(), columns[:, 2] < 2)


def by_question(some: list[Row]) -> dict[tuple[int, int], list[int]]:
    places: dict[tuple[int, int], list[int]] = {}
    for place, (_, *question) in enumerate(some):
        places.setdefault((question[0], question[1]), []).append(place)
    return places


@given(rows)
def test_sums_order_and_what_stays(some: list[Row]) -> None:
    found = limited(some).tolist()
    assert len(found) == len(some)
    for (_, relation), places in by_question(some).items():
        before = [some[place][0] for place in places]
        after = [found[place] for place in places]
        if relation == 2 or sum(before) <= 1:
            assert after == pytest.approx(before, rel=1e-12)
            continue
        assert sum(after) == pytest.approx(1, abs=1e-6)
        assert all(new <= old for new, old in zip(after, before, strict=True))
        order = sorted(range(len(places)), key=before.__getitem__)
        assert [after[it] for it in order] == sorted(after)


@pytest.mark.parametrize("probability", [0.3, 0.999, 1 - 1e-9])
def test_equal_ones_share_equally(probability: float) -> None:
    found = limited([(probability, 0, 0)] * 5)
    torch.testing.assert_close(found, torch.full((5,), 0.2, dtype=torch.double))


def test_the_most_probable_loses_least() -> None:
    before = torch.tensor([0.9, 0.5, 0.1], dtype=torch.double)
    question, single = torch.zeros(3, 1, dtype=torch.long), torch.ones(3, dtype=torch.bool)
    kept = at_most_one_each(before, question, single) / before
    assert kept[0] > kept[1] > kept[2]
