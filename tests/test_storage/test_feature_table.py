"""The feature table: rows in entity order, masks, pooling, standardisation."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from store_items import SPACE, digest, rows, vector, vectors

from storage.errors import StoreError
from storage.features.space import FeatureSpace
from storage.features.standardisation import MAX_SCORE, standardise, standardise_known
from storage.features.store import FeatureStore
from storage.features.table import REFERENCE, FeatureTable

SMALL = replace(SPACE, dim=3, dtype="float32")
NUMBERS = FeatureSpace("numeric", {}, dim=6, dtype="float32", layout="values_and_mask")


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    """A store of twelve items."""
    store = FeatureStore.open(tmp_path, SPACE)
    store.write(vectors(range(12)), {})
    return store


class TestRead:
    def test_rows_stand_in_entity_order(self, store: FeatureStore) -> None:
        references = [(4, digest(1)), (0, digest(2)), (2, digest(1))]
        table = FeatureTable.read(store, 5, references)
        assert table.values.shape == (5, 1, 512)
        assert table.values.dtype == np.float16
        np.testing.assert_array_equal(table.mask[:, 0], [True, False, True, False, True])
        np.testing.assert_array_equal(table.values[[0, 2, 4], 0], rows([2, 1, 1]))
        np.testing.assert_array_equal(table.present, table.mask[:, 0])

    def test_several_items_keep_their_order(self, store: FeatureStore) -> None:
        references = [(1, digest(5)), (0, digest(3)), (1, digest(4)), (1, digest(6))]
        table = FeatureTable.read(store, 2, references)
        np.testing.assert_array_equal(table.mask, [[True, False, False], [True, True, True]])
        np.testing.assert_array_equal(table.values[1], rows([5, 4, 6]))
        limited = FeatureTable.read(store, 2, references, max_items=2)
        np.testing.assert_array_equal(limited.values[1], rows([5, 4]))
        np.testing.assert_array_equal(limited.mask, [[True, False], [True, True]])
        assert FeatureTable.read(store, 2, references, max_items=9).values.shape == (2, 3, 512)

    def test_items_are_standardised_over_those_of_the_fitted_entities(
        self, store: FeatureStore
    ) -> None:
        references = [(1, digest(5)), (0, digest(3)), (3, digest(7)), (1, digest(4))]
        table = FeatureTable.read(store, 4, references)
        values, owners = table.items(np.array([True, True, True, False]))
        np.testing.assert_array_equal(owners, [0, 1, 1, 3])
        np.testing.assert_allclose(values[:3].mean(axis=0), 0, atol=1e-5)
        np.testing.assert_allclose(np.square(values[:3]).sum(axis=1).mean(), 512, rtol=1e-4)
        found = rows([3, 5, 4, 7]).astype(np.float32)
        expected = (found - found[:3].mean(axis=0)) / found[:3].std(axis=0)
        np.testing.assert_allclose(values, expected, rtol=1e-3, atol=1e-3)

    def test_many_items_keep_their_order(self, store: FeatureStore) -> None:
        references = [(n % 3, digest(n * n % 12)) for n in range(600)]
        table = FeatureTable.read(store, 3, references)
        for entity in range(3):
            expected = rows(n * n % 12 for n in range(entity, 600, 3))
            np.testing.assert_array_equal(table.values[entity], expected)

    @pytest.mark.parametrize("form", [list, tuple, lambda pairs: np.array(pairs, REFERENCE)])
    def test_forms_of_references(self, store: FeatureStore, form: type[list[object]]) -> None:
        table = FeatureTable.read(store, 3, form([(1, digest(1)), (2, digest(2))]))
        np.testing.assert_array_equal(table.values[1:, 0], rows([1, 2]))

    @pytest.mark.parametrize("form", [list, tuple, lambda _: np.zeros(0, REFERENCE)])
    def test_no_references(self, store: FeatureStore, form: type[list[object]]) -> None:
        table = FeatureTable.read(store, 3, form([]))
        assert table.values.shape == (3, 1, 512)
        assert not table.present.any()
        values, present = table.pooled(np.ones(3, bool))
        assert values.shape == (3, 512)
        assert not values.any()
        assert not present.any()

    @pytest.mark.parametrize("entity", [-1, 3])
    def test_an_entity_that_is_none(self, store: FeatureStore, entity: int) -> None:
        with pytest.raises(ValueError, match="allowed: 0 to 2"):
            FeatureTable.read(store, 3, [(0, digest(1)), (entity, digest(2))])

    def test_an_absent_vector(self, store: FeatureStore) -> None:
        with pytest.raises(StoreError, match=digest(99).hex()):
            FeatureTable.read(store, 3, [(0, digest(1)), (1, digest(99))])

    def test_a_table_larger_than_memory(self, store: FeatureStore) -> None:
        references = [(0, digest(item % 12)) for item in range(1000)]
        with pytest.raises(StoreError, match="max_items"):
            FeatureTable.read(store, 10**9, references)


class TestPooledDense:
    def table(self, tmp_path: Path, references: list[tuple[int, bytes]]) -> FeatureTable:
        with FeatureStore.open(tmp_path, SMALL) as store:
            store.write(vectors(range(50), SMALL), {})
            return FeatureTable.read(store, 40, references)

    def test_items_are_averaged(self, tmp_path: Path) -> None:
        references = [(item % 17, digest(item)) for item in range(50)]
        table = self.table(tmp_path, references)
        found, present = table.pooled(np.ones(40, bool))
        np.testing.assert_array_equal(present, np.arange(40) < 17)
        means = np.stack([rows(range(entity, 50, 17), SMALL).mean(axis=0) for entity in range(17)])
        expected = (means - means.mean(axis=0)) / means.std(axis=0)
        np.testing.assert_allclose(found[:17], expected, rtol=1e-4, atol=1e-5)
        assert not found[17:].any()

    def test_fitted_on_some(self, tmp_path: Path) -> None:
        table = self.table(tmp_path, [(entity, digest(entity)) for entity in range(0, 40, 2)])
        fit_on = np.arange(40) < 21  # half of them absent
        found, present = table.pooled(fit_on)
        fitted = found[fit_on & present]
        np.testing.assert_allclose(fitted.mean(axis=0), 0, atol=1e-5)
        np.testing.assert_allclose(np.square(fitted).sum(axis=1).mean(), 3, rtol=1e-4)
        assert abs(found[present].mean()) > 1e-3

    def test_nobody_to_fit_on(self, tmp_path: Path) -> None:
        table = self.table(tmp_path, [(entity, digest(entity)) for entity in range(20)])
        expected, _ = table.pooled(np.ones(40, bool))
        found, _ = table.pooled(np.arange(40) >= 20)
        np.testing.assert_array_equal(found, expected)

    def test_garbage_of_absent_items_reaches_nothing(self, tmp_path: Path) -> None:
        references = [(entity, digest(item)) for item, entity in enumerate([3, 3, 3, 5, 5, 9])]
        table = self.table(tmp_path, references)
        expected, _ = table.pooled(np.ones(40, bool))
        table.values[~table.mask] = np.nan
        found, present = table.pooled(np.ones(40, bool))
        np.testing.assert_array_equal(found, expected)
        assert np.flatnonzero(present).tolist() == [3, 5, 9]


class TestStandardise:
    def test_a_constant_dimension_becomes_zero(self) -> None:
        values = np.random.default_rng(0).standard_normal((60, 4)).astype(np.float32)
        values[:, 2] = 1e6
        everyone = np.ones(60, bool)
        found = standardise(values, everyone, everyone)
        assert not found[:, 2].any()
        np.testing.assert_allclose(np.square(found).sum(axis=1).mean(), 4, rtol=1e-4)

    def test_all_constant(self) -> None:
        values, everyone = np.full((5, 2), 7, np.float32), np.ones(5, bool)
        assert not standardise(values, everyone, everyone).any()

    def test_a_single_entity(self) -> None:
        values, present = np.ones((3, 2), np.float32), np.array([False, True, False])
        assert not standardise(values, present, ~present).any()

    def test_large_numbers_do_not_overflow(self) -> None:
        values = np.array([[1e30], [3e30]], np.float32)
        found = standardise(values, np.ones(2, bool), np.ones(2, bool))
        np.testing.assert_allclose(found, [[-1], [1]], rtol=1e-5)

    def test_more_rows_than_a_chunk(self) -> None:
        values = np.random.default_rng(1).normal(5, 3, (10_000, 2)).astype(np.float32)
        everyone = np.ones(len(values), bool)
        expected = (values - values.mean(axis=0)) / values.std(axis=0)
        np.testing.assert_allclose(standardise(values, everyone, everyone), expected, atol=1e-4)


class TestPooledNumbers:
    def pooled(
        self, tmp_path: Path, items: list[tuple[int, list[float]]], fit_on: list[bool]
    ) -> tuple[np.ndarray, np.ndarray]:
        with FeatureStore.open(tmp_path, NUMBERS) as store:
            numbers = {digest(i): np.array(row, np.float32) for i, (_, row) in enumerate(items)}
            store.write(numbers, {})
            references = [(entity, digest(i)) for i, (entity, _) in enumerate(items)]
            return FeatureTable.read(store, len(fit_on), references).pooled(np.array(fit_on))

    def test_scores_and_what_is_known(self, tmp_path: Path) -> None:
        items: list[tuple[int, list[float]]] = [
            (0, [10, 0, 7, 1, 0, 1]),
            (1, [30, 5, 7, 1, 1, 1]),
            (3, [0, 9, 7, 0, 1, 1]),
            (4, [40, 0, 0, 1, 0, 0]),
        ]
        found, present = self.pooled(tmp_path, items, [True, True, True, True, False])
        assert present.tolist() == [True, True, False, True, True]
        scores, known = found[:, :3], found[:, 3:]
        np.testing.assert_array_equal(known[present], [row[3:] for _, row in items])
        np.testing.assert_allclose(scores[:, 0], [-1, 1, 0, 0, 2], rtol=1e-5)
        np.testing.assert_allclose(scores[:, 1], [0, -1, 0, 1, 0], rtol=1e-5)
        assert not scores[:, 2].any()  # a constant tells nothing
        assert not found[2].any()

    def test_items_are_averaged_where_known(self, tmp_path: Path) -> None:
        items: list[tuple[int, list[float]]] = [
            (0, [1, 8, 0, 1, 1, 0]),
            (0, [3, 0, 0, 1, 0, 0]),
            (1, [4, 4, 0, 1, 1, 0]),
        ]
        found, _ = self.pooled(tmp_path, items, [True, True])
        np.testing.assert_allclose(found, [[-1, 1, 0, 1, 1, 0], [1, -1, 0, 1, 1, 0]], rtol=1e-5)

    def test_outliers_are_clipped(self) -> None:
        values = np.zeros((100, 1), np.float32)
        values[0] = 1e9
        everyone = np.ones(100, bool)
        found = standardise_known(values, everyone[:, None], everyone)
        assert found.max() == MAX_SCORE

    def test_an_attribute_that_no_fitted_entity_knows(self) -> None:
        values = np.array([[1, 2], [1, 4], [3, 0]], np.float32)
        known = np.array([[True, True], [True, True], [True, False]])
        found = standardise_known(values, known, np.array([False, False, True]))
        np.testing.assert_allclose(found[:, 1], [-1, 1, 0])


def test_vectors_are_what_was_stored(store: FeatureStore) -> None:
    """A table of every item, in an order that is not the store's."""
    order = [7, 3, 11, 0, 5]
    table = FeatureTable.read(store, 5, [(row, digest(item)) for row, item in enumerate(order)])
    np.testing.assert_array_equal(table.values[:, 0], np.stack([vector(item) for item in order]))
