"""Failed items: listed in a file, tried again when that is asked for."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from small_runs import mocme, small

from extractors.report import Counts, Extraction, FailedItem
from flows.failure_report import FAILURES_FILE, FailureReportError, write_failures
from flows.server import artifacts
from flows.stages.stage import Outcome
from storage.datasets.dataset import read_dataset


def report(project: Path) -> list[dict[str, Any]]:
    lines = (project / "data/runs" / FAILURES_FILE).read_text().splitlines()
    return [json.loads(line) for line in lines]


def test_every_failed_item_is_a_line_with_its_reason(extracted: Path) -> None:
    command = mocme("extract", extracted / "mocme.yaml", "--json")
    path = extracted / "data/runs" / FAILURES_FILE
    assert command.json["failures"] == str(path)
    rows = report(extracted)
    for name, counts in command.json["extracted"].items():
        assert sum(row["modality"] == name for row in rows) == counts["failed"]
    entities = {entity.id: entity for entity in read_dataset(extracted).entities}
    for row in rows:
        assert set(row) == {"modality", "entity", "item", "reason", "lasting"}
        assert row["item"] in entities[row["entity"]].fields[row["modality"]]  # type: ignore[operator]
        assert row["reason"]
        assert row["lasting"] is (extracted / row["item"]).exists()
    assert str(path) in command.stderr
    assert not list(path.parent.glob(".*.part"))


def mend(project: Path) -> None:
    """Put a good file in the place of every bad one."""
    good = {}
    bad = {(row["modality"], row["item"]) for row in report(project)}
    for entity in read_dataset(project).entities:
        for name in ("image", "audio", "video"):
            for item in entity.fields.get(name) or ():  # type: ignore[attr-defined]
                if (name, item) not in bad:
                    good[name] = project / item
    for name, item in bad:
        (project / item).write_bytes(good[name].read_bytes())


def test_the_report_goes_when_nothing_fails_any_more(extracted: Path) -> None:
    mocme("extract", extracted / "mocme.yaml")
    mend(extracted)
    command = mocme("extract", extracted / "mocme.yaml", "--json")
    assert command.json["failures"] is None
    assert not (extracted / "data/runs" / FAILURES_FILE).exists()


def test_a_report_is_written_even_if_too_much_failed(extracted: Path) -> None:
    command = small("extract", extracted / "mocme.yaml", "extract.max_failure_rate=0")
    assert command.exit_code == 1
    assert report(extracted)
    assert command.json["failures"].endswith(FAILURES_FILE)


@pytest.fixture
def blind(extracted: Path) -> Path:
    """A sample of whose pictures none can be decoded."""
    for path in (extracted / "media/image").iterdir():
        path.write_text(f"no picture {path.name}")
    return extracted / "mocme.yaml"


ALL_PICTURES = r"image: (\d+) of \1 items failed, \d+ of them: not a picture of a known format"


class TestWhatFailsWhole:
    def test_fails_the_run_each_time_and_all_else_is_stored(self, blind: Path) -> None:
        for _ in range(2):
            command = small("extract", blind)
            assert command.exit_code == 1
            (warning,) = command.json["warnings"]
            assert re.fullmatch(ALL_PICTURES, warning)
            assert f"warning: {warning}" in command.stderr
            assert "modality 'image': found " in command.json["error"]
            assert "not a picture of a known format" in command.json["error"]
            assert "--set extract.max_failure_rate=1" in command.json["error"]
            counts = command.json["extracted"]
            assert counts["image"]["new"] + counts["image"]["cached"] == 0
            assert counts["audio"]["cached"] > 0
        assert small("train", blind).exit_code == 1

    def test_is_told_where_it_is_allowed_to(self, blind: Path) -> None:
        for status in ("ran", "skipped"):
            command = small("extract", blind, "extract.max_failure_rate=1")
            assert command.exit_code == 0, command.stderr
            (warning,) = command.json["warnings"]
            assert re.fullmatch(ALL_PICTURES, warning)
            assert command.json["stages"]["extract"] == status
            assert command.stderr.count(f"warning: {warning}") == 1
            plain = mocme("extract", blind, "--set", "extract.max_failure_rate=1").stdout
            assert "everything is stored" not in plain

    def test_is_told_before_a_run(self, blind: Path) -> None:
        assert "warning" not in mocme("status", blind, "--json").json["extracted"]["image"]
        small("extract", blind)
        found = mocme("status", blind, "--json").json["extracted"]
        assert re.fullmatch(ALL_PICTURES, found["image"]["warning"])
        assert "warning" not in found["audio"]
        assert mocme("extract", blind, "--dry-run", "--json").json["dry_run"] == found
        for command in (["status"], ["extract", "--dry-run"]):
            lines = mocme(command[0], blind, *command[1:]).stdout
            assert f"warning: {found['image']['warning']}" in lines

    def test_is_told_in_the_artifact(self, monkeypatch: pytest.MonkeyPatch) -> None:
        published: list[dict[str, Any]] = []
        monkeypatch.setattr(artifacts, "create_table_artifact", lambda **it: published.append(it))
        failures = [FailedItem("a", f"{it}.png", "no picture", lasting=True) for it in range(250)]
        counts = Counts(new=0, cached=0, failed=250, missing=3)
        found = Extraction("image", counts, tuple(failures), Path("store"), (), "")
        artifacts.publish_extraction({"image": found}, {"image": Outcome("ran", "", 0.0)})
        expected = "image: 250 of 250 items failed, 250 of them: no picture"
        assert published[0]["table"][0]["warning"] == expected
        assert expected in published[0]["description"]

    def test_missing_items_do_not_count(self, extracted: Path) -> None:
        """Of 60 things, a part has a sound, all of whose files go."""
        for path in (extracted / "media/audio").iterdir():
            path.unlink()
        command = small("extract", extracted / "mocme.yaml")
        assert command.exit_code == 1
        assert re.match(
            r"audio: (\d+) of \1 items failed, \1 of them: absent", *command.json["warnings"]
        )
        assert command.json["extracted"]["audio"]["missing"] > 0


def test_failed_items_are_tried_again_and_the_rest_is_not(
    extracted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A decoder that has learnt to read one more file, under the same version."""
    config = extracted / "mocme.yaml"
    before = mocme("extract", config, "--json").json["extracted"]["image"]
    lasting = [row for row in report(extracted) if row["modality"] == "image" and row["lasting"]]
    assert lasting
    _read_anything(monkeypatch)

    assert mocme("extract", config, "--json").json["extracted"]["image"] == before
    command = mocme("extract", config, "--json", "--retry-failed")
    assert command.exit_code == 0, command.stderr
    after = command.json["extracted"]["image"]
    assert after["cached"] == before["cached"]
    assert after["new"] == len(lasting)
    assert mocme("extract", config, "--json").json["extracted"]["image"]["new"] == 0


def test_what_fails_once_more_stays_failed(extracted: Path) -> None:
    config = extracted / "mocme.yaml"
    before = mocme("extract", config, "--json").json
    again = mocme("extract", config, "--json", "--set", "extract.retry_failed=true")
    assert again.json["extracted"] == before["extracted"]
    assert again.json["stages"] == {"extract": "ran"}
    last = mocme("extract", config, "--json").json
    assert last == {**before, "stages": {"extract": "skipped"}}


def test_a_runs_folder_that_cannot_be_made_is_an_error(extracted: Path) -> None:
    (extracted / "file").touch()
    command = mocme("extract", extracted / "mocme.yaml", "--json", "--set", "runs=file/runs")
    assert command.exit_code == 2
    assert "failures.jsonl: found Not a directory" in command.json["error"]


def _read_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    import numpy as np

    from extractors.image_stats import ImageStats

    monkeypatch.setattr(ImageStats, "decodes_in_workers", False)
    monkeypatch.setattr(ImageStats, "load", lambda self, _: np.zeros(self.dim, dtype=np.float32))
    monkeypatch.setattr(ImageStats, "encode", lambda self, batch: np.stack(batch))


@pytest.mark.parametrize("text", ["mine\n", "[]\n", '{"modality": 1}\n', "[" * 9999])
def test_a_file_of_the_users_stays(tmp_path: Path, text: str) -> None:
    path, item = tmp_path / FAILURES_FILE, FailedItem("e", "a.png", "damaged", lasting=True)
    found = Extraction("image", Counts(0, 0, 1, 0), (item,), tmp_path, (), "")
    path.write_text(text)
    assert write_failures(tmp_path, {}) is None
    with pytest.raises(FailureReportError, match="found another file; allowed: none"):
        write_failures(tmp_path, {"image": found})
    assert path.read_text() == text
