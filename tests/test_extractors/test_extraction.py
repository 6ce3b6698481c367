"""Extraction end to end: real files and texts, real worker processes, a real store."""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from extraction_world import OPTIONS, World, contents_of, stored
from PIL import Image
from scripted_extractor import BrokenExtractor, ScriptedConfig, ScriptedExtractor

from extractors.base import RawContent, Runtime
from extractors.engine.inventory import Content, Inventory
from extractors.extraction import Counts, ExtractionError, FailedItem
from extractors.registry import build_extractor
from storage.errors import DatasetError
from storage.features.store import FeatureStore


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


class TestCounts:
    def test_first_second_edited_renamed_and_removed(self, world: World) -> None:
        for number in range(6):
            world.add_script(f"e{number}", f"vector {number}")
        world.add("bare")
        first = world.extract()
        assert first.counts == Counts(new=6, cached=0, failed=0, missing=1)
        assert [row for row, _ in first.references] == list(range(6))
        assert stored(first) == [0, 1, 2, 3, 4, 5]
        assert world.loaded() == [f"e{number}" for number in range(6)]

        second = world.extract()
        assert second.counts == Counts(new=0, cached=6, failed=0, missing=1)
        assert second.references == first.references
        assert second.content_digest == first.content_digest
        assert world.loaded() == []

        (world.root / "e3").write_text("vector 33")
        edited = world.extract()
        assert edited.counts == Counts(new=1, cached=5, failed=0, missing=1)
        assert stored(edited) == [0, 1, 2, 33, 4, 5]
        assert edited.content_digest != first.content_digest
        assert world.loaded() == ["e3"]

        (world.root / "e1").rename(world.root / "renamed")
        world.entities[1]["image"] = ["renamed"]
        renamed = world.extract()
        assert renamed.counts == Counts(new=0, cached=6, failed=0, missing=1)
        assert renamed.content_digest == edited.content_digest
        assert world.loaded() == []

        (world.root / "e0").unlink()
        removed = world.extract()
        assert removed.counts == Counts(new=0, cached=5, failed=1, missing=1)
        assert removed.failures == (FailedItem("e0", "e0", "absent", lasting=False),)

    def test_equal_contents_are_loaded_once_and_counted_as_references(self, world: World) -> None:
        for name in ("a", "b", "c"):
            world.add_script(name, "vector 7")
        world.add_script("d", "media-error no good")
        world.add_script("e", "media-error no good")
        extraction = world.extract()
        assert extraction.counts == Counts(new=3, cached=0, failed=2, missing=0)
        assert len({digest for _, digest in extraction.references}) == 1
        assert len(world.loaded()) == 2

    def test_equal_contents_that_are_scanned_apart_are_loaded_once(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("extractors.engine.inventory._CHUNK_SIZE", 2)
        for number in range(7):
            world.add_script(f"e{number}", f"vector {number % 3}")
        extraction = world.extract()
        assert extraction.counts == Counts(new=7, cached=0, failed=0, missing=0)
        assert stored(extraction) == [0, 1, 2, 0, 1, 2, 0]
        assert world.loaded() == ["e0", "e1", "e2"]

    def test_what_comes_first_is_extracted_before_all_is_scanned(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("extractors.engine.inventory._CHUNK_SIZE", 4)
        scan_chunk = Inventory._scan_chunk
        num_loaded: list[int] = []

        def scan_after_a_load(
            inventory: Inventory, positions: Sequence[int], seen: set[bytes]
        ) -> Iterator[Content]:
            for _ in range(200 if positions[0] == 16 else 0):
                time.sleep(0.05)
                if world.log.exists():
                    num_loaded.append(len(world.log.read_text().split()))
                    break
            return scan_chunk(inventory, positions, seen)

        monkeypatch.setattr(Inventory, "_scan_chunk", scan_after_a_load)
        for number in range(20):
            world.add_script(f"e{number}", f"vector {number}")
        assert stored(world.extract()) == list(range(20))
        assert 0 < num_loaded[0] <= 16

    def test_several_items_of_an_entity_keep_their_order(self, world: World) -> None:
        for number in range(5):
            (world.root / f"{number}").write_text(f"vector {number}")
        world.add("x", image=["3", "1"], logo=["4"])
        world.add("y", image=[])
        world.add("z", image=["0", "2"])
        extraction = world.extract(fields=("image", "logo"))
        assert extraction.counts == Counts(new=5, cached=0, failed=0, missing=1)
        assert [row for row, _ in extraction.references] == [0, 0, 0, 2, 2]
        assert stored(extraction) == [3, 1, 4, 0, 2]

    def test_a_dataset_may_move(self, world: World, tmp_path: Path) -> None:
        world.add_script("a", "vector 1")
        first = world.extract()
        world.root = world.root.rename(tmp_path / "elsewhere")
        moved = world.extract()
        assert moved.counts == Counts(new=0, cached=1, failed=0, missing=0)
        assert moved.content_digest == first.content_digest

    def test_an_unchanged_file_is_not_even_read(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        world.add_script("a", "vector 1")
        # The ctime of a file just written cannot be set back: let the index take it for old.
        monkeypatch.setattr("storage.features.file_index.RACY_NS", -(10**12))
        world.extract()
        monkeypatch.setattr(
            "storage.features.file_index.hash_files", lambda paths: [1 / 0 for _ in paths]
        )
        assert world.extract().counts.cached == 1

    def test_texts_and_numbers(self, world: World) -> None:
        world.add("a", text="a fox", numeric={"height": 1.5})
        world.add("b", text="a fox", numeric={"height": "tall"})
        world.add("c", text="...", numeric={"year": 1999, "height": None})
        world.add("d")
        text = world.extract(build_extractor("text_hash", {}, Runtime()), fields=("text",))
        assert text.counts == Counts(new=2, cached=0, failed=1, missing=1)
        assert text.failures == (
            FailedItem("c", "text", "holds no word: only spaces and punctuation", lasting=True),
        )
        numbers = world.extract(build_extractor("numeric", {}, Runtime()), fields=("numeric",))
        assert numbers.counts == Counts(new=2, cached=0, failed=1, missing=1)
        assert numbers.failures[0].reason.startswith("attribute 'height': found 'tall'")
        with FeatureStore.open_readonly(numbers.store_directory) as store:
            rows = store.read([digest for _, digest in numbers.references])
        assert rows.tolist() == [[1.5, 0, 1, 0], [0, 1999, 0, 1]]

    def test_nothing_to_extract(self, world: World) -> None:
        world.add("a", image=[])
        world.add("b", image=None)
        extraction = world.extract()
        assert extraction.counts == Counts(new=0, cached=0, failed=0, missing=2)
        assert extraction.references == ()

    def test_a_misspelt_field_is_an_error(self, world: World) -> None:
        world.add_script("a", "vector 1")
        with pytest.raises(DatasetError, match="imgae"):
            world.extract(fields=("imgae",))


class TestFailures:
    def test_every_bad_item_has_its_reason_and_no_good_one_is_lost(self, world: World) -> None:
        for number in range(8):
            world.add_script(f"good{number}", f"vector {number}")
        bad = {
            "hang -": "not decoded within 1 s",
            "kill SIGSEGV": "crashed the decoder (SIGSEGV)",
            "media-error not a picture": "not a picture",
            "bug oh": "LookupError: oh",
            "poison -": "ValueError: cannot encode poison",
            "vector nan": "its vector holds values that are not finite",
            "vector 1e6": "its vector exceeds the range of float16",
        }
        for number, script in enumerate(bad):
            world.add_script(f"bad{number}", script)
        options = OPTIONS.model_copy(update={"timeout_seconds": 1.0})
        extraction = world.extract(options=options)
        assert extraction.counts == Counts(new=8, cached=0, failed=len(bad), missing=0)
        assert stored(extraction) == list(range(8))
        reasons = {failed.entity: failed.reason for failed in extraction.failures}
        assert list(reasons.values()) == list(bad.values())
        assert {failed.item for failed in extraction.failures} == set(reasons)
        world.loaded()

        again = world.extract(options=options)
        assert again.counts == Counts(new=0, cached=8, failed=len(bad), missing=0)
        assert again.failures == extraction.failures
        assert world.loaded() == []

    def test_what_is_not_the_contents_fault_is_tried_again(
        self, world: World, tmp_path: Path
    ) -> None:
        (tmp_path / "outside").write_text("vector 1")
        world.add_script("machine", "machine Too many open files")
        world.add_script("good", "vector 1")
        world.add("absent", image=["absent"])
        world.add("folder", image=["folder"])
        world.add("link", image=["link"])
        (world.root / "folder").mkdir()
        (world.root / "link").symlink_to(tmp_path / "outside")
        extraction = world.extract()
        assert extraction.counts == Counts(new=1, cached=0, failed=4, missing=0)
        _, failures = contents_of(extraction.store_directory)
        assert failures == {}
        for name in ("machine", "absent"):
            (world.root / name).write_text(f"vector {len(name)}")
        (world.root / "link").unlink()
        (world.root / "link").write_text("vector 9")
        mended = world.extract()
        assert mended.counts == Counts(new=3, cached=1, failed=1, missing=0)
        directory = FailedItem("folder", "folder", "a directory, not a file", lasting=False)
        assert mended.failures == (directory,)

    def test_what_has_failed_for_good_is_tried_again_on_demand(self, world: World) -> None:
        world.add_script("good", "vector 1")
        world.add_script("bad", "media-error no good")
        world.add_script("twin", "media-error no good")
        extraction = world.extract()
        assert [failed.lasting for failed in extraction.failures] == [True, True]
        world.loaded()
        retried = world.extract(options=OPTIONS.model_copy(update={"retry_failed": True}))
        assert retried.counts == Counts(new=0, cached=1, failed=2, missing=0)
        assert retried.failures == extraction.failures
        assert len(world.loaded()) == 1  # once for both that hold it
        assert world.extract().failures == extraction.failures
        assert world.loaded() == []

    def test_a_retry_that_fails_for_the_machines_sake_forgets_nothing(self, world: World) -> None:
        class Tired(ScriptedExtractor):
            decodes_in_workers = False

            def load(self, content: RawContent) -> Any:
                raise MemoryError

        world.add_script("bad", "media-error no good")
        extraction = world.extract()
        retry = OPTIONS.model_copy(update={"retry_failed": True})
        assert not world.extract(Tired(), retry).failures[0].lasting
        assert world.extract().failures == extraction.failures

    def test_real_pictures_that_are_none(self, world: World) -> None:
        for name in ("whole.png", "cut.png"):
            noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
            Image.fromarray(noise).save(world.root / name)
        cut = world.root / "cut.png"
        cut.write_bytes(cut.read_bytes()[:2000])
        (world.root / "text.png").write_text("I am no picture")
        world.add("x", image=["whole.png", "cut.png", "text.png"])
        extraction = world.extract(build_extractor("image_stats", {}, Runtime()))
        assert extraction.counts == Counts(new=1, cached=0, failed=2, missing=0)
        assert [failed.item for failed in extraction.failures] == ["cut.png", "text.png"]
        assert extraction.failures[1].reason == "not a picture of a known format"

    def test_too_many_failures_are_an_error_after_everything_good_is_stored(
        self, world: World
    ) -> None:
        for number in range(6):
            world.add_script(f"good{number}", f"vector {number}")
        for number in range(3):
            world.add_script(f"bad{number}", f"media-error bad {number}")
        allowed = OPTIONS.model_copy(update={"max_failure_rate": 0.34})
        assert world.extract(options=allowed).counts.failed == 3
        refused = OPTIONS.model_copy(update={"max_failure_rate": 0.33})
        with pytest.raises(ExtractionError, match=r"3 failed items \(33.3%\).*'bad0'") as caught:
            world.extract(options=refused)
        assert caught.value.extraction.counts == Counts(new=0, cached=6, failed=3, missing=0)
        assert stored(caught.value.extraction) == list(range(6))

    def test_an_extractor_that_cannot_encode_stores_no_failure(self, world: World) -> None:
        for number in range(20):
            world.add_script(f"e{number}", f"vector {number}")
        with pytest.raises(RuntimeError, match="no kernel image"):
            world.extract(BrokenExtractor(), OPTIONS.model_copy(update={"batch_size": 16}))
        assert world.extract().counts.new == 20

    def test_out_of_memory_halves_the_batch_and_goes_on(self, world: World) -> None:
        for number in range(10):
            world.add_script(f"e{number}", f"vector {number}")
        extractor = ScriptedExtractor(ScriptedConfig(largest_batch=3))
        extraction = world.extract(extractor, OPTIONS.model_copy(update={"batch_size": 10}))
        assert stored(extraction) == list(range(10))
        assert [len(batch) for batch in extractor.batches] == [10, 5, 3, 3, 3, 1]

    def test_items_of_different_keys_share_no_batch(self, world: World) -> None:
        for number in range(30):
            world.add_script(f"e{number}", f"keyed {number} {number % 7}")
        extractor = ScriptedExtractor()
        extraction = world.extract(extractor)
        assert stored(extraction) == list(range(30))
        for batch in extractor.batches:
            assert len({key for _, key in batch}) == 1


class TestChangesWhileReading:
    def test_a_file_that_changes_once_is_read_again(self, world: World) -> None:
        path = world.root / "e1"
        world.add_script("e0", "vector 5")
        world.add_script("e1", f"change {path}|vector 6")
        extraction = world.extract()
        assert extraction.counts == Counts(new=2, cached=0, failed=0, missing=0)
        assert stored(extraction) == [5, 6]
        rows, failures = contents_of(extraction.store_directory)
        assert len(rows) == 2
        assert failures == {}

    def test_a_file_that_goes_on_changing_fails_for_now(self, world: World) -> None:
        path = world.root / "e1"
        world.add_script("e0", "vector 5")
        world.add_script("e1", f"change {path}|change {path}|")
        extraction = world.extract()
        assert extraction.counts == Counts(new=1, cached=0, failed=1, missing=0)
        changed = FailedItem("e1", "e1", "changed while it was read", lasting=False)
        assert extraction.failures == (changed,)
        rows, failures = contents_of(extraction.store_directory)
        assert len(rows) == 1
        assert failures == {}

    def test_its_twin_gets_the_vector_of_the_old_content(self, world: World) -> None:
        script = f"change {world.root / 'e0'}|vector 6"
        world.add_script("e0", script)
        world.add_script("e1", script)
        extraction = world.extract()
        assert extraction.counts == Counts(new=2, cached=0, failed=0, missing=0)
        assert stored(extraction) == [6, -1]
