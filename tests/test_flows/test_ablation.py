"""`mocme ablate`: variants differ in what they say, runs are found again, the table is true."""

import csv
from pathlib import Path

import numpy as np
import pytest
from small_runs import SMALL, mocme, settings

from flows.ablation import study
from flows.ablation.report import COLUMNS, rows_of
from flows.ablation.study import StudyError, VariantRuns
from flows.ablation.variants import FULL, StudyName, variants_of
from flows.config import PipelineConfig, load_config

STUDIES: tuple[StudyName, ...] = ("fusion", "parts")


@pytest.fixture
def config(extracted: Path) -> PipelineConfig:
    return load_config(extracted / "mocme.yaml")


class TestVariants:
    @pytest.mark.parametrize("name", STUDIES)
    def test_all_differ_and_the_first_is_the_config(
        self, config: PipelineConfig, name: StudyName
    ) -> None:
        found = variants_of(config, name)
        assert next(iter(found.items())) == (FULL, config)
        described = [variant.model_dump_json() for variant in found.values()]
        assert len(set(described)) == len(described)

    @pytest.mark.parametrize("name", STUDIES)
    def test_the_data_stays(self, config: PipelineConfig, name: StudyName) -> None:
        for variant in variants_of(config, name).values():
            assert (variant.dataset, variant.store, variant.runs) == (
                config.dataset,
                config.store,
                config.runs,
            )
            assert variant.modalities.items() <= config.modalities.items()
            assert variant.train.epochs == config.train.epochs

    def test_a_single_modality_has_rows_for_those_who_lack_it(self, config: PipelineConfig) -> None:
        for name in config.modalities:
            variant = variants_of(config, "fusion")[f"{name} alone"]
            assert list(variant.modalities) == [name]
            assert (variant.model.structure, variant.model.fallback_rows) == (False, True)

    def test_an_attended_modality_that_is_left_out_is_not_attended(
        self, config: PipelineConfig
    ) -> None:
        attended = load_config_attending(config, "image")
        assert variants_of(attended, "fusion")["text alone"].model.attend == ()
        assert variants_of(attended, "fusion")["image alone"].model.attend == ("image",)


def load_config_attending(config: PipelineConfig, modality: str) -> PipelineConfig:
    data = config.model_dump()
    data["model"]["attend"] = [modality]
    return PipelineConfig.model_validate(data)


def runs(name: str, test: list[list[float]], seconds: float = 1.0) -> VariantRuns:
    ranks = np.array(test)
    return VariantRuns(
        name, Path("x.yaml"), np.full(len(ranks), seconds), ranks, ranks, np.array([True, False])
    )


def test_rows_hold_means_over_seeds_and_what_they_differ_by() -> None:
    full, half = runs("full", [[1.0, 0.5], [1.0, 1.0]]), runs("half", [[0.5, 0.25], [0.5, 0.5]], 3)
    first, second = (dict(zip(COLUMNS, row, strict=True)) for row in rows_of([full, half]))
    assert first["test MRR"] == "0.8750 ± 0.1768"
    assert first["Hits@1"] == "0.7500 ± 0.3536"
    assert first["unseen MRR"] == "1.0000 ± 0.0000"
    assert first["full less this"] == ""
    assert (second["full less this"], second["full is"]) == ("+0.4375", "better")
    assert second["seconds"] == "3"


def test_a_study_is_run_compared_and_found_again(extracted: Path) -> None:
    arguments = ["ablate", extracted / "mocme.yaml", "--study", "fusion", "--seeds", 1]
    chosen = ["--only", "sum, one embedding"]
    command = [*arguments, *chosen, "--processes", 2, *settings(*SMALL)]
    first = mocme(*command)
    assert first.exit_code == 0, first.stderr
    runs = extracted / "data" / "runs"
    folder = runs / "ablation" / "fusion"
    with (folder / "table.csv").open() as file:
        heading, full, plain = csv.reader(file)
    assert tuple(heading) == COLUMNS
    assert (full[0], plain[0]) == ("full", "sum, one embedding")
    assert 0 < float(full[2].split()[0]) < 1
    assert plain[8] in ("better", "level", "worse")
    assert "| full |" in (folder / "table.md").read_text()
    weights = [path for path in runs.rglob("model.safetensors") if path.parent.name != "newest"]
    assert len(weights) == 2
    assert not (runs / "newest").exists(), "the runs of an ablation are not the config's own"
    written = [path.stat().st_mtime_ns for path in weights]
    assert mocme(*command).exit_code == 0
    assert [path.stat().st_mtime_ns for path in weights] == written


def test_a_run_that_fails_ends_the_study(
    config: PipelineConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those behind it are not begun: each may take hours."""
    begun: list[str] = []

    def train(config_file: Path, seed: int, threads: int) -> Path:
        begun.append(config_file.stem)
        if len(begun) > 1:
            raise StudyError("the second")
        return tmp_path

    monkeypatch.setattr(study, "_train", train)
    with pytest.raises(StudyError, match="the second"):
        study.run_study(config, "fusion", tmp_path / "fusion", [0], (), 1, lambda name, seed: None)
    assert begun[0] == FULL
    assert len(begun) <= 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--study", "colour"], "allowed: fusion, parts"),
        (["--only", "nothing"], "found variants ['nothing']; allowed: full, "),
        (["--seeds", "0"], "greater than or equal to 1"),
    ],
)
def test_what_is_not_there(extracted: Path, arguments: list[str], message: str) -> None:
    found = mocme("ablate", extracted / "mocme.yaml", *arguments)
    assert found.exit_code == 2
    assert message in " ".join(found.stderr.replace("│", " ").split())
