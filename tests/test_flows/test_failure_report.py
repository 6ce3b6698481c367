"""Failed items: listed in a file, tried again when that is asked for."""

import json
from pathlib import Path
from typing import Any

import pytest
from small_runs import mocme, small

from flows.failure_report import FAILURES_FILE
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
