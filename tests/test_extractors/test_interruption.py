"""Extraction that is watched, stopped, killed, run twice at once, or run in another manner."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from child_processes import children
from extraction_world import OPTIONS, World, contents_of, stored
from scripted_extractor import ScriptedConfig, ScriptedExtractor

from extractors.base import Runtime
from extractors.extraction import Counts, Extraction, ModalityPlan, Progress, extract_modality
from extractors.options import ExtractOptions
from extractors.registry import build_extractor
from storage.features.store import FeatureStore


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


class TestInterruption:
    def test_progress_tells_what_is_settled(self, world: World) -> None:
        for number in range(12):
            world.add_script(f"e{number}", f"vector {number}" if number % 3 else "media-error bad")
        seen: list[Progress] = []
        world.extract(on_progress=seen.append)
        assert (seen[-1].done, seen[-1].total, seen[-1].failed) == (9, 9, 1)
        assert seen[-1].modality == "look"
        assert seen[-1].items_per_second > 0
        assert seen[-1].seconds_left == 0
        assert [p.done for p in seen] == sorted(p.done for p in seen)

    def test_an_error_of_the_callback_ends_the_run_and_keeps_what_is_stored(
        self, world: World
    ) -> None:
        for number in range(40):
            world.add_script(f"e{number}", f"sleep {0.05 + number / 1000}")

        def stop(progress: Progress) -> None:
            if progress.done >= 8:
                raise KeyboardInterrupt

        before = children()
        with pytest.raises(KeyboardInterrupt):
            world.extract(on_progress=stop)
        assert children() <= before
        extraction = world.extract()
        assert extraction.counts.cached >= 8
        assert extraction.counts.new >= 8
        assert extraction.counts.new + extraction.counts.cached == 40

    def test_a_killed_run_goes_on_where_it_was(self, world: World, tmp_path: Path) -> None:
        for number in range(40):
            script = f"sleep {number / 500}" if number % 5 else f"media-error bad {number}"
            world.add_script(f"e{number}", script)
        interrupt(world, signal.SIGKILL)
        resumed = world.extract()
        assert resumed.counts.cached >= 8
        assert resumed.counts.new > 0

        world.store = tmp_path / "uninterrupted"
        uninterrupted = world.extract()
        assert contents_of(resumed.store_directory) == contents_of(uninterrupted.store_directory)
        assert resumed.content_digest == uninterrupted.content_digest

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_a_stopped_run_leaves_no_process(self, world: World, number: signal.Signals) -> None:
        for entity in range(20):
            world.add_script(f"e{entity}", f"sleep {entity / 50}")
        interrupt(world, number)


def interrupt(world: World, number: signal.Signals) -> None:
    """Extract in another process, send it a signal in mid-work, and wait for its workers' end."""
    world.dataset()
    run = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(world.root), str(world.store)],
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    deadline = time.monotonic() + 60
    while num_rows(world.store) < 8:
        assert run.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    workers = Path(f"/proc/{run.pid}/task/{run.pid}/children").read_text().split()
    run.send_signal(number)
    assert run.wait(30) != 0
    assert workers
    while any(Path(f"/proc/{worker}").exists() for worker in workers):
        assert time.monotonic() < deadline, "workers have outlived their run"
        time.sleep(0.05)


CHILD = """
import signal
import sys
from pathlib import Path
from extractors.extraction import ModalityPlan, extract_modality
from extractors.options import ExtractOptions
from scripted_extractor import ScriptedExtractor
from storage.datasets.dataset import read_dataset

signal.signal(signal.SIGINT, signal.default_int_handler)  # shells ignore it in the background
root, store = map(Path, sys.argv[1:])
plan = ModalityPlan("look", ScriptedExtractor(), ("image",))
options = ExtractOptions(batch_size=4)
extract_modality(read_dataset(root), plan, store, options)
"""


def num_rows(root: Path) -> int:
    """Count the rows in the only feature store under a root."""
    for directory in root.glob("scripted/*"):
        try:
            with FeatureStore.open_readonly(directory) as store:
                return store.statistics().num_rows
        except Exception:
            return 0  # it is just being made
    return 0


class TestSeveralAtOnce:
    def test_modalities_in_threads(self, world: World) -> None:
        for number in range(12):
            world.add_script(f"e{number}", f"vector {number}")
            world.entities[-1]["text"] = f"text {number}"
        dataset = world.dataset()
        plans = [
            ModalityPlan("look", ScriptedExtractor(), ("image",)),
            ModalityPlan("same", ScriptedExtractor(), ("image",)),
            ModalityPlan("text", build_extractor("text_hash", {}, Runtime()), ("text",)),
        ]
        found: dict[str, Extraction] = {}

        def run(plan: ModalityPlan) -> None:
            found[plan.name] = extract_modality(dataset, plan, world.store, OPTIONS)

        threads = [threading.Thread(target=run, args=(plan,)) for plan in plans]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [len(found[plan.name].references) for plan in plans] == [12, 12, 12]
        assert found["look"].content_digest == found["same"].content_digest
        assert stored(found["look"]) == list(range(12))
        assert len(contents_of(found["look"].store_directory)[0]) == 12

    def test_two_processes_on_one_store(self, world: World) -> None:
        for number in range(30):
            world.add_script(f"e{number}", f"vector {number}")
        world.dataset()
        runs = [
            subprocess.Popen(
                [sys.executable, "-c", CHILD, str(world.root), str(world.store)],
                env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            )
            for _ in range(2)
        ]
        assert [run.wait(60) for run in runs] == [0, 0]
        extraction = world.extract()
        assert extraction.counts == Counts(new=0, cached=30, failed=0, missing=0)
        assert stored(extraction) == list(range(30))
        with FeatureStore.open_readonly(extraction.store_directory) as store:
            assert store.verify() == []


def test_memory_stays_flat(world: World) -> None:
    """At no time do more than a few batches of loaded items wait."""
    for number in range(40):
        world.add_script(f"e{number}", f"array {10_000 + number}")
    peak = 0

    class Watching(ScriptedExtractor):
        """Notes how many items were loaded and not encoded yet."""

        num_encoded = 0

        def encode(self, batch: Sequence[np.ndarray]) -> np.ndarray:
            nonlocal peak
            peak = max(peak, len(world.log.read_text().split()) - Watching.num_encoded)
            time.sleep(0.1)
            Watching.num_encoded += len(batch)
            return np.array([[len(item)] * 4 for item in batch], dtype=np.float32)

        def __reduce__(self) -> tuple[object, ...]:
            return ScriptedExtractor, (self.config,)

    extraction = world.extract(Watching(ScriptedConfig(log=world.log)))
    assert stored(extraction) == [10_000 + 8 * round(n / 8) for n in range(40)]
    assert peak <= 4 * OPTIONS.batch_size + 2 * OPTIONS.num_workers


def test_mapping_of_everything_to_its_vector_is_the_same_whatever_the_options(
    world: World, tmp_path: Path
) -> None:
    for number in range(23):
        world.add_script(f"e{number}", f"keyed {number} {number % 3}")
    found: list[Mapping[bytes, bytes]] = []
    for number, (batch_size, num_workers) in enumerate([(1, 1), (7, 3), (64, 2)]):
        world.store = tmp_path / f"store{number}"
        options = ExtractOptions(batch_size=batch_size, num_workers=num_workers)
        found.append(contents_of(world.extract(options=options).store_directory)[0])
    assert found[0] == found[1] == found[2]
