"""Batches, and their encoding: what is grouped, halved, tried alone, given up or raised."""

import threading
import time
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted_extractor import (
    DIM,
    BrokenExtractor,
    MisshapenExtractor,
    ScriptedConfig,
    ScriptedExtractor,
)

from extractors.engine.batching import Batcher
from extractors.engine.encoding import Encoder
from extractors.engine.stage import Stage, ahead
from extractors.loading import Failure
from storage.errors import MocmeError


class TestBatcher:
    @given(st.lists(st.integers(0, 5), max_size=200), st.integers(1, 9))
    def test_every_item_is_in_one_batch_of_its_key_and_memory_is_flat(
        self, keys: list[int], batch_size: int
    ) -> None:
        batcher: Batcher[tuple[int, int]] = Batcher(batch_size)
        batches, num_waiting = [], 0
        for position, key in enumerate(keys):
            batch = batcher.add(key, (key, position))
            num_waiting += 1 - len(batch or ())
            assert num_waiting < 2 * batch_size
            batches += [batch] if batch else []
        batches += batcher.flush()
        assert sorted(item for batch in batches for item in batch) == sorted(
            zip(keys, range(len(keys)), strict=True)
        )
        assert all(len({key for key, _ in batch}) == 1 for batch in batches)
        assert all(0 < len(batch) <= batch_size for batch in batches)

    def test_one_key_fills_its_batches(self) -> None:
        batcher: Batcher[int] = Batcher(4)
        batches = [batch for number in range(10) if (batch := batcher.add(0, number))]
        assert batches == [[0, 1, 2, 3], [4, 5, 6, 7]]
        assert list(batcher.flush()) == [[8, 9]]


def first_numbers(rows: list[object]) -> list[object]:
    return [row if isinstance(row, Failure) else float(row[0]) for row in rows]


class TestEncoder:
    @pytest.mark.parametrize("dtype", ["float16", "float32"])
    def test_rows_come_in_order_and_in_the_stored_dtype(self, dtype: str) -> None:
        rows = Encoder(ScriptedExtractor(), dtype, batch_size=8).encode([3.0, 1.0, 2.0])
        assert first_numbers(rows) == [3.0, 1.0, 2.0]
        assert {row.dtype.name for row in rows} == {dtype}
        assert {row.shape for row in rows} == {(DIM,)}

    def test_out_of_memory_halves_the_batch_for_the_rest_of_the_run(self) -> None:
        extractor = ScriptedExtractor(ScriptedConfig(largest_batch=3))
        encoder = Encoder(extractor, "float16", batch_size=16)
        for _ in range(2):
            assert first_numbers(encoder.encode(list(range(16)))) == list(range(16))
        sizes = [len(batch) for batch in extractor.batches]
        assert sizes == [16, 8, 4, *[2] * 8, *[2] * 8]

    def test_a_single_item_out_of_memory_is_given_up_for_now(self) -> None:
        extractor = ScriptedExtractor(ScriptedConfig(largest_batch=0))
        rows = Encoder(extractor, "float16", batch_size=2).encode([1.0, 2.0])
        assert [row.lasting for row in rows] == [False, False]
        assert "out of memory" in rows[0].reason

    def test_a_bad_item_costs_no_other_its_row(self) -> None:
        encoder = Encoder(ScriptedExtractor(), "float16", batch_size=64)
        batch = [1.0, "poison", 3.0, "poison", 5.0]
        failure = Failure("ValueError: cannot encode poison", lasting=True)
        assert first_numbers(encoder.encode(batch)) == [1.0, failure, 3.0, failure, 5.0]
        assert first_numbers(encoder.encode([7.0])) == [7.0]

    @pytest.mark.parametrize("batch_size", [1, 64])
    def test_an_extractor_that_always_fails_is_an_error_and_no_failed_item(
        self, batch_size: int
    ) -> None:
        with pytest.raises(RuntimeError, match="no kernel image"):
            Encoder(BrokenExtractor(), "float16", batch_size).encode([1.0] * 20)

    def test_many_bad_items_before_a_good_one_are_failed_items(self) -> None:
        rows = Encoder(ScriptedExtractor(), "float16", 64).encode(["poison"] * 20 + [1.0])
        assert [isinstance(row, Failure) for row in rows] == [True] * 20 + [False]

    def test_vectors_of_another_shape_are_an_error(self) -> None:
        with pytest.raises(TypeError, match=r"MisshapenExtractor.*\(2, 5\), not \(2, 4\)"):
            Encoder(MisshapenExtractor(), "float16", batch_size=8).encode([1.0, 2.0])

    def test_an_error_that_the_user_can_mend_goes_up(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(_: object) -> None:
            raise MocmeError("the weights are not there")

        extractor = ScriptedExtractor()
        monkeypatch.setattr(extractor, "encode", refuse)
        with pytest.raises(MocmeError, match="weights"):
            Encoder(extractor, "float16", batch_size=8).encode([1.0])

    def test_what_the_dtype_cannot_hold_is_a_failure(self) -> None:
        batch = [1.0, np.nan, 1e6, np.inf, 65504.0]
        rows = Encoder(ScriptedExtractor(), "float16", batch_size=8).encode(batch)
        not_finite = Failure("its vector holds values that are not finite")
        too_large = Failure("its vector exceeds the range of float16")
        assert first_numbers(rows) == [1.0, not_finite, too_large, not_finite, 65504.0]
        rows = Encoder(ScriptedExtractor(), "float32", batch_size=8).encode(batch)
        assert first_numbers(rows)[2] == 1e6


class TestStage:
    def test_calls_are_done_in_order_behind_the_caller(self) -> None:
        done: list[int] = []
        gate = threading.Event()
        with Stage("test", max_waiting=2) as stage:
            stage.submit(gate.wait)
            for number in range(2):
                stage.submit(done.append, number)
            assert done == []
            gate.set()
            stage.submit(done.append, 2)
        assert done == [0, 1, 2]

    def test_a_full_stage_blocks_the_caller(self) -> None:
        with Stage("test", max_waiting=1) as stage:
            start = time.perf_counter()
            for _ in range(4):
                stage.submit(time.sleep, 0.2)
            assert time.perf_counter() - start > 0.35

    def test_an_error_reaches_the_caller_and_ends_the_stage(self) -> None:
        done: list[int] = []

        def use() -> None:
            with Stage("test", max_waiting=1) as stage:
                stage.submit([].pop)
                for number in range(100):
                    stage.submit(done.append, number)

        with pytest.raises(IndexError):
            use()
        assert len(done) < 5

    def test_an_error_of_the_last_call_is_not_lost(self) -> None:
        with pytest.raises(IndexError), Stage("test") as stage:
            stage.submit([].pop)


class TestAhead:
    def test_the_source_is_one_step_ahead_and_no_more(self) -> None:
        taken: list[int] = []
        steps = ahead("test", (taken.append(number) or number for number in range(1, 6)))
        assert next(steps) == 1
        wait_until(lambda: taken == [1, 2])
        time.sleep(0.05)
        assert taken == [1, 2]
        assert list(steps) == [2, 3, 4, 5]

    def test_an_error_of_the_source_reaches_the_caller_in_its_turn(self) -> None:
        steps = ahead("test", iter(1 // number for number in (1, 0)))
        assert next(steps) == 1
        with pytest.raises(ZeroDivisionError):
            next(steps)

    def test_closing_ends_the_thread(self) -> None:
        before = threading.active_count()
        steps = ahead("test", iter(range(1, 100)))
        next(steps)
        assert threading.active_count() == before + 1
        steps.close()
        assert threading.active_count() == before


def wait_until(is_so: Callable[[], bool]) -> None:
    for _ in range(500):
        if is_so():
            return
        time.sleep(0.01)
    raise AssertionError("waited in vain")
