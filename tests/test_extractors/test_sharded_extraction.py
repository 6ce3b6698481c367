"""Extraction by shards: the store is the same as a single process's, whatever befalls a shard."""

import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import plain_store
import pytest
from extraction_world import OPTIONS, World, stored
from scripted_extractor import ScriptedConfig, ScriptedExtractor

from extractors.base import Extractor
from extractors.extraction import Extraction, ModalityPlan, Progress, extract_modality
from extractors.numeric import Numeric, NumericConfig
from extractors.shards import Pending, Shard, ShardReport, extract_shard
from storage.errors import MocmeError
from storage.features.shards import shard_spaces
from storage.features.store import feature_spaces

SHARDED = OPTIONS.model_copy(update={"shard_size": 5, "task_runner": "dask"})
NUM_FILES = 23


class InTurn:
    """A cluster of one worker, this process, which reads dataset and extractor for every shard."""

    def __init__(self, world: World, make: Callable[[], Extractor], fields: tuple[str, ...]):
        self._world, self._make, self._fields = world, make, fields
        self.before: Callable[[Shard], Shard | None] = lambda shard: shard
        self.sizes: list[int] = []

    def submit(self, shard: Shard) -> Pending:
        self.sizes.append(len(shard.positions))
        return _Later(lambda: self.extract(pickle.loads(pickle.dumps(shard))))  # noqa: S301

    def extract(self, shard: Shard) -> ShardReport:
        found = self.before(shard) or shard
        dataset = self._world.dataset()
        plan = ModalityPlan("look", self._make(), self._fields)
        items = plan.items_of(dataset)
        return extract_shard(dataset.root, items, plan, found, self._world.store, SHARDED)


class _Later:
    def __init__(self, result: Callable[[], ShardReport]) -> None:
        self.result = result


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Files of which every seventh is broken; two are the same."""
    world = World(tmp_path)
    for number in range(NUM_FILES):
        verb = "media-error found nonsense" if number % 7 == 6 else f"vector {number}"
        world.add_script(f"e{number}", verb)
    world.add_script("twin", "vector 3")
    world.add("poor")
    return world


def scripted(world: World) -> ScriptedExtractor:
    return ScriptedExtractor(ScriptedConfig(log=world.log))


def cluster_of(world: World) -> InTurn:
    return InTurn(world, lambda: scripted(world), ("image",))


def extract(
    world: World,
    cluster: InTurn | None,
    extractor: Extractor | None = None,
    fields: tuple[str, ...] = ("image",),
    on_progress: Callable[[Progress], None] | None = None,
) -> Extraction:
    plan = ModalityPlan("look", extractor or scripted(world), fields)
    return extract_modality(world.dataset(), plan, world.store, SHARDED, on_progress, cluster)


def contents(world: World) -> dict[bytes, bytes | str]:
    (folder,) = feature_spaces(world.store)
    return plain_store.contents(folder)


def whole(world: World) -> tuple[dict[bytes, bytes | str], Extraction]:
    """Return what a single process leaves, in a store of its own, which is then put aside."""
    found = extract(world, None)
    left = contents(world)
    world.store = world.store.with_name("sharded")
    world.loaded()
    return left, found


def test_the_store_is_that_of_a_single_process(world: World) -> None:
    expected, alone = whole(world)
    cluster = cluster_of(world)
    reports: list[Progress] = []
    found = extract(world, cluster, on_progress=reports.append)
    assert contents(world) == expected
    assert found.counts == alone.counts
    assert found.failures == alone.failures
    assert found.content_digest == alone.content_digest
    assert cluster.sizes == [5, 5, 5, 5, 1]  # the broken ones are one content
    assert shard_spaces(world.store) == []
    assert (reports[-1].done, reports[-1].total, reports[-1].failed) == (21, 21, 1)
    assert stored(found)[:3] == [0.0, 1.0, 2.0]

    world.loaded()
    again = extract(world, cluster)
    assert (again.counts.new, again.counts.cached) == (0, found.counts.new)
    assert len(cluster.sizes) == 5
    assert world.loaded() == []


def test_numbers_have_their_columns_from_all_items(tmp_path: Path) -> None:
    world = World(tmp_path)
    for number in range(12):
        world.add(f"e{number}", numeric={f"attribute {number}": number, "all": 1})
    fields = ("numeric",)
    cluster = InTurn(world, lambda: Numeric(NumericConfig()), fields)
    extract(world, cluster, Numeric(NumericConfig()), fields)
    found = contents(world)
    world.store = world.store.with_name("alone")
    extract(world, None, Numeric(NumericConfig()), fields)
    assert contents(world) == found
    assert len(found) == 12


def test_a_shard_that_is_started_again_goes_on(world: World) -> None:
    expected, _ = whole(world)
    cluster = cluster_of(world)

    def stop_after_three(shard: Shard) -> Shard:
        cluster.before = lambda same: same
        cluster.extract(replace(shard, positions=shard.positions[:3]))  # named as the whole is
        return shard

    cluster.before = stop_after_three
    extract(world, cluster)
    assert contents(world) == expected
    assert len(world.loaded()) == 21


def test_what_a_killed_run_left_is_merged_by_the_next_one(world: World) -> None:
    expected, _ = whole(world)
    cluster = cluster_of(world)

    def die(shard: Shard) -> None:
        if shard.positions[0] >= 10:
            raise KeyboardInterrupt
        cluster.before = die

    cluster.before = die
    left = _shards_of(world, cluster)
    with pytest.raises(KeyboardInterrupt):
        [cluster.extract(shard) for shard in left]
    assert len(shard_spaces(world.store)) == 2
    assert len(world.loaded()) == 10
    found = extract(world, None)
    assert contents(world) == expected
    assert shard_spaces(world.store) == []
    assert found.counts.cached > 0
    assert len(world.loaded()) == 11


def _shards_of(world: World, cluster: InTurn) -> list[Shard]:
    """Return the shards of an extraction, none of which is extracted."""
    found: list[Shard] = []

    class Collecting:
        def submit(self, shard: Shard) -> Pending:
            found.append(shard)
            return _Later(lambda: ShardReport({}))

    plan = ModalityPlan("look", scripted(world), ("image",))
    extract_modality(world.dataset(), plan, world.store, SHARDED, None, Collecting())
    return found[: len(found) // 2]  # the second pass tries them once more


def test_a_shard_that_fails_costs_the_others_nothing(world: World) -> None:
    expected, _ = whole(world)
    cluster = cluster_of(world)

    def fail(shard: Shard) -> None:
        if shard.positions[0] == 5:
            cluster.before = lambda same: same
            cluster.extract(replace(shard, positions=shard.positions[:2]))
            cluster.before = fail
            raise RuntimeError("the worker died")

    cluster.before = fail
    with pytest.raises(RuntimeError, match="the worker died"):
        extract(world, cluster)
    assert len(contents(world)) == len(expected) - 3  # even what the worker had done is there
    cluster.before = lambda shard: shard
    extract(world, cluster)
    assert contents(world) == expected


def test_a_file_that_changes_before_its_shard_is_extracted(world: World) -> None:
    cluster = cluster_of(world)

    def change(shard: Shard) -> None:
        cluster.before = lambda same: same
        (world.root / "e0").write_text("vector 500")

    cluster.before = change
    found = extract(world, cluster)
    assert stored(found)[0] == 500.0
    assert found.counts.failed == NUM_FILES // 7


def test_another_dataset_or_feature_space_on_a_worker_is_refused(world: World) -> None:
    cluster = cluster_of(world)
    cluster.before = lambda shard: replace(shard, num_items=7)
    with pytest.raises(MocmeError, match="on a worker: found items 24; allowed: 7"):
        extract(world, cluster)
    cluster.before = lambda shard: replace(shard, fingerprint="f00")
    with pytest.raises(MocmeError, match=r"found feature space .* allowed: f00"):
        extract(world, cluster)
    assert contents(world) == {}


def test_failures_that_do_not_last_travel_and_are_tried_again(world: World) -> None:
    world.add_script("troubled", "machine no memory")
    found = extract(world, cluster_of(world))
    (failure,) = (failed for failed in found.failures if failed.entity == "troubled")
    assert (failure.reason, failure.lasting) == ("OSError: no memory", False)
    (world.root / "troubled").write_text("vector 9000")
    assert stored(extract(world, cluster_of(world)))[-1] == 9000.0


def test_what_has_failed_is_tried_again_when_asked_for(world: World) -> None:
    extract(world, cluster_of(world))
    world.loaded()
    plan = ModalityPlan("look", scripted(world), ("image",))
    options = SHARDED.model_copy(update={"retry_failed": True})
    extract_modality(world.dataset(), plan, world.store, options, None, cluster_of(world))
    assert world.loaded() == ["e6"]
