"""`mocme ablate`: variants differ in what they say, runs are found again, the table is true."""

import csv
import re
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from plain_trainings import TrainingsHere
from small_runs import SMALL, mocme, settings

from flows.configs.changes import changed
from flows.configs.pipeline_config import PipelineConfig, load_config
from mocme.ablation.plot import Interval, draw_differences
from mocme.ablation.report import COLUMNS, compare, notes_of, rows_of
from mocme.ablation.study import StudyError, VariantRuns, run_study
from mocme.ablation.variants import FULL, StudyName, variants_of
from mocme.ablation.variants import STUDIES as DEFINITIONS
from mocme.training_pool import TrainingPool
from model.evaluation.significance import PairedDifference
from storage.errors import MocmeError

STUDIES: tuple[StudyName, ...] = ("fusion", "parts")


@pytest.fixture
def config(extracted: Path) -> PipelineConfig:
    return load_config(extracted / "mocme.yaml")


class TestVariants:
    @pytest.mark.parametrize("name", STUDIES)
    def test_all_differ_and_the_first_is_the_config(
        self, config: PipelineConfig, name: StudyName
    ) -> None:
        found = variants_of(config, name).configs
        assert next(iter(found.items())) == (FULL, config)
        described = [variant.model_dump_json() for variant in found.values()]
        assert len(set(described)) == len(described)

    @pytest.mark.parametrize("name", STUDIES)
    def test_the_data_stays(self, config: PipelineConfig, name: StudyName) -> None:
        for variant in variants_of(config, name).configs.values():
            assert (variant.dataset, variant.store, variant.runs) == (
                config.dataset,
                config.store,
                config.runs,
            )
            assert variant.modalities.items() <= config.modalities.items()
            assert variant.train.epochs == config.train.epochs

    def test_a_single_modality_has_rows_for_those_who_lack_it(self, config: PipelineConfig) -> None:
        for name in config.modalities:
            variant = variants_of(config, "fusion").configs[f"{name} alone"]
            assert list(variant.modalities) == [name]
            assert (variant.model.structure, variant.model.fallback_rows) == (False, True)

    def test_an_attended_modality_that_is_left_out_is_not_attended(
        self, config: PipelineConfig
    ) -> None:
        attended = with_model(config, attend=["image"])
        variants = variants_of(attended, "fusion").configs
        assert variants["text alone"].model.attend == ()
        assert variants["image alone"].model.attend == ("image",)


class TestParts:
    def test_each_is_the_config_but_for_its_part(self, config: PipelineConfig) -> None:
        config = with_model(config, num_experts=2)
        found = variants_of(config, "parts")
        expected = {
            "without intra": {"model.fusion": "cmkf_inter"},
            "without inter": {"model.fusion": "cmkf_intra"},
            "plain sum": {"model.fusion": "sum"},
            "without EGNS": {"train.negatives.weighting": "none"},
            "uniform negatives": {
                "train.negatives.mode": "sampled",
                "train.negatives.weighting": "none",
            },
        }
        for name, changes in expected.items():
            assert differences(config, found.configs[name]) == changes
        assert found.left_out == {}

    def test_modalities_are_left_out_and_alone(self, config: PipelineConfig) -> None:
        found = variants_of(config, "parts").configs
        for name in config.modalities:
            assert set(found[f"without {name}"].modalities) == {*config.modalities} - {name}
            assert set(found[f"{name} alone"].modalities) == {name}
        only = found["structure only"]
        assert (only.modalities, only.model) == ({}, config.model)

    def test_one_expert_has_nothing_to_weigh_within_a_modality(
        self, config: PipelineConfig
    ) -> None:
        found = variants_of(config, "parts")
        assert "without intra" not in found.configs
        assert found.left_out == {"without intra": "a modality of one expert has one view"}

    def test_what_would_be_the_same_stands_there_once(self, config: PipelineConfig) -> None:
        data = config.model_dump()
        data["train"]["negatives"] = {"mode": "sampled"}
        data["model"]["num_experts"] = 3
        data["model"]["context"] = False
        data["model"]["rule_length"] = 0
        found = variants_of(PipelineConfig.model_validate(data), "parts")
        assert found.left_out == {
            "without context": "the same config as full",
            "without rules": "the same config as full",
            "uniform negatives": "the same config as without EGNS",
            "3 experts": "the same config as full",
        }

    @pytest.mark.parametrize("kept", [["text"], []])
    def test_a_graph_with_little_to_leave_out(
        self, config: PipelineConfig, kept: list[str]
    ) -> None:
        found = variants_of(changed(config, {}, modalities=kept), "parts")
        assert {"without inter", "without the fused block", "without intra"} <= set(found.left_out)
        assert {"full", "without EGNS", "uniform negatives"} <= set(found.configs)
        assert ("structure only" in found.configs) == (kept == ["text"])

    def test_another_fusion_is_not_taken_apart_but_compared(self, config: PipelineConfig) -> None:
        gated = with_model(config, fusion="gate", neighbours=False, num_experts=3)
        found = variants_of(gated, "parts")
        reason = "the config's fusion is gate, not cmkf"
        for name in ("without intra", "without inter", "without relevance"):
            assert found.left_out[name] == reason
        assert found.configs["plain sum"].model.fusion == "sum"

    def test_one_modality_is_fused_with_its_learned_row_or_with_nothing(
        self, config: PipelineConfig
    ) -> None:
        text = changed(config, {}, modalities=["text"])
        lonely = variants_of(text, "parts")
        assert lonely.left_out["plain sum"] == "there is nothing to fuse"
        joined = with_model(text, neighbours=False, joint=True)
        assert "without inter" in variants_of(joined, "parts").configs

    def test_a_fusion_that_has_nothing_to_fuse_is_left_out(self, config: PipelineConfig) -> None:
        apart = {"by complementarity alone", "sum", "concatenation and MLP", "attention", "gate"}
        lonely = variants_of(changed(config, {}, modalities=["text"]), "fusion")
        assert lonely.left_out == dict.fromkeys({*apart, "late"}, "there is nothing to fuse")
        assert {"sum, one embedding", "late, blocks without neighbours"} <= set(lonely.configs)
        with_views = with_model(changed(config, {}, modalities=["text"]), num_experts=3)
        assert apart <= set(variants_of(with_views, "fusion").configs)
        bare = variants_of(changed(config, {}, modalities=[]), "fusion")
        assert set(bare.configs) == {"full", "structure alone"}
        assert bare.left_out["late"] == "the config has no modalities"

    def test_a_modality_may_be_called_as_a_part_is(self, config: PipelineConfig) -> None:
        data = config.model_dump()
        data["modalities"]["EGNS"] = data["modalities"]["text"]
        found = variants_of(PipelineConfig.model_validate(data), "parts").configs
        assert "EGNS" in found["without EGNS"].modalities
        assert "EGNS" not in found["without modality EGNS"].modalities


def with_model(config: PipelineConfig, **values: object) -> PipelineConfig:
    return changed(config, {"model": values})


def differences(first: PipelineConfig, second: PipelineConfig) -> dict[str, object]:
    """Return the second's values where they differ, by their key."""
    old, new = (flattened(config.model_dump()) for config in (first, second))
    return {key: value for key, value in new.items() if old.get(key) != value}


def flattened(data: dict[str, object], prefix: str = "") -> dict[str, object]:
    found: dict[str, object] = {}
    for key, value in data.items():
        is_section = isinstance(value, dict)
        found |= flattened(value, f"{prefix}{key}.") if is_section else {f"{prefix}{key}": value}
    return found


def runs(name: str, test: list[list[float]], seconds: float = 1.0) -> VariantRuns:
    ranks = np.array(test)
    return VariantRuns(
        name, Path("x.yaml"), np.full(len(ranks), seconds), ranks, ranks, np.array([True, False])
    )


def test_rows_hold_means_over_seeds_and_what_they_differ_by() -> None:
    full, half = runs("full", [[1.0, 0.5], [1.0, 1.0]]), runs("half", [[0.5, 0.25], [0.5, 0.5]], 3)
    rows = rows_of(compare([full, half]))
    first, second = (dict(zip(COLUMNS, row, strict=True)) for row in rows)
    assert first["test MRR"] == "0.8750 ± 0.1768"
    assert first["Hits@1"] == "0.7500 ± 0.3536"
    assert first["unseen MRR"] == "1.0000 ± 0.0000"
    assert first["full less this"] == ""
    assert (second["full less this"], second["full is"]) == ("+0.4375", "better")
    assert second["seconds"] == "3"


def test_one_seed_is_said_to_be_few() -> None:
    one, two = ([runs(name, ranks) for name in "ab"] for ranks in ([[1.0, 0.5]], [[1.0, 0.5]] * 2))
    left_out = {"c": "it is a"}
    assert notes_of(compare(two), left_out) == ["Left out: c (it is a)."]
    said, *others = notes_of(compare(one), left_out)
    assert said.startswith("One seed: ")
    assert others == ["Left out: c (it is a)."]


def test_a_study_is_run_compared_and_found_again(
    extracted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ["ablate", extracted / "mocme.yaml", "--study", "fusion", "--seeds", 1]
    chosen = ["--only", "sum, one embedding"]
    TrainingsHere().take_over(monkeypatch)
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
    report = (folder / "table.md").read_text()
    assert "| full |" in report
    assert "One seed: the intervals" in report
    assert "One seed: the intervals" in first.stdout
    assert "<!-- sum, one embedding -->" in (folder / "plot.svg").read_text()
    assert (folder / "plot.png").stat().st_size > 1000
    weights = [path for path in runs.rglob("model.safetensors") if path.parent.name != "newest"]
    assert len(weights) == 2, "one of each variant, as no final model is compared"
    assert not (runs / "newest").exists(), "the runs of an ablation are not the config's own"
    written = [path.stat().st_mtime_ns for path in weights]
    begun: list[str] = []
    train = TrainingPool.train

    def counted(pool: TrainingPool, config_file: Path, overrides: list[str]) -> Path:
        begun.append(config_file.stem)
        return train(pool, config_file, overrides)

    monkeypatch.setattr(TrainingPool, "train", counted)
    again = mocme(*command)
    assert again.exit_code == 0
    assert "sum, one embedding, seed 0: trained; " in again.stderr
    assert "2 of 2 done" in again.stderr
    assert "left" in first.stderr
    assert begun == [FULL], "it extracts what is new; the others are found without a process"
    assert [path.stat().st_mtime_ns for path in weights] == written


def test_a_run_that_fails_ends_the_study(
    config: PipelineConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those behind it are not begun: each may take hours."""
    begun: list[str] = []

    def train(pool: TrainingPool, config_file: Path, overrides: list[str]) -> Path:
        begun.append(config_file.stem)
        if len(begun) > 1:
            raise StudyError("the second")
        return tmp_path

    monkeypatch.setattr(TrainingPool, "train", train)
    variants = variants_of(config, "fusion").configs
    with pytest.raises(StudyError, match="the second"):
        run_study(variants, tmp_path / "fusion", [0], 1, lambda name, seed: None)
    assert begun[0] == FULL
    assert len(begun) <= 3


def test_a_folder_of_the_users_is_left_alone(config: PipelineConfig, tmp_path: Path) -> None:
    folder = tmp_path / "fusion"
    folder.mkdir()
    (folder / "table.md").write_text("mine")
    variants = variants_of(config, "fusion").configs
    with pytest.raises(MocmeError, match=r"fusion: found table\.md and no full\.yaml; allowed"):
        run_study(variants, folder, [0], 1, lambda name, seed: None)
    assert [path.read_text() for path in folder.iterdir()] == ["mine"]


class TestList:
    """What a study would compare can be seen without training anything."""

    @pytest.mark.parametrize("name", STUDIES)
    def test_help_has_a_phrase_on_every_variant(self, name: StudyName) -> None:
        words = " ".join(mocme("ablate", "--help").stdout.split())
        assert f"--study {name}" in words
        for variant, it in DEFINITIONS[name].items():
            assert f"{variant}: {it.about}" in words
            assert it.about == it.about.strip().rstrip(".")

    @pytest.mark.parametrize("name", STUDIES)
    def test_every_variant_of_a_config_has_its_phrase(
        self, config: PipelineConfig, name: StudyName
    ) -> None:
        found = variants_of(config, name)
        assert set(found.about) == {*found.configs, *found.left_out}
        assert not any("<modality>" in words for words in (*found.about, *found.about.values()))

    @pytest.mark.parametrize("name", STUDIES)
    def test_the_list_names_what_is_trained_and_what_is_left_out(
        self, extracted: Path, config: PipelineConfig, name: StudyName
    ) -> None:
        told = mocme("ablate", extracted / "mocme.yaml", "--list", "--study", name)
        assert told.exit_code == 0, told.stderr
        found = variants_of(config, name)
        words = set(told.stdout.split())  # a narrow table breaks its cells between words
        for variant in (*found.configs, *found.left_out):
            assert set(variant.split()) <= words
        assert told.stdout.count("left out") >= len(found.left_out)
        for why in found.left_out.values():
            assert set(why.split()) <= words
        assert not (extracted / "data/runs/ablation").exists(), "nothing was trained or written"

    def test_a_dataset_that_is_gone_can_be_listed_for(self, extracted: Path) -> None:
        (extracted / "entities.jsonl").unlink()
        assert mocme("ablate", extracted / "mocme.yaml", "--list").exit_code == 0

    def test_a_misspelt_variant_is_refused_here_too(self, extracted: Path) -> None:
        told = mocme("ablate", extracted / "mocme.yaml", "--list", "--only", "without inta")
        assert told.exit_code == 2


class TestPlot:
    INTERVALS = (
        Interval("without little", PairedDifference(0.01, -0.01, 0.03)),
        Interval("without much", PairedDifference(0.2, 0.1, 0.3)),
        Interval("with more", PairedDifference(-0.1, -0.2, -0.05)),
    )

    def test_the_largest_gain_stands_at_the_top(self, tmp_path: Path) -> None:
        draw_differences(self.INTERVALS, tmp_path / "plot", "sample: parts")
        names = re.findall(r"<!-- (with.*?) -->", (tmp_path / "plot.svg").read_text())
        assert names[:3] == ["with more", "without little", "without much"]  # from the bottom

    def test_the_same_study_gives_the_same_file(self, tmp_path: Path) -> None:
        for name in ("first", "second"):
            draw_differences(self.INTERVALS, tmp_path / name, "sample: parts")
        first, second = ((tmp_path / f"{name}.svg").read_bytes() for name in ("first", "second"))
        assert first == second
        assert str(date.today().year).encode() not in first  # no date
        assert (tmp_path / "first.png").read_bytes()[1:4] == b"PNG"

    def test_an_interval_without_a_width_and_none_at_all(self, tmp_path: Path) -> None:
        """Rounding may put the mean beside an interval of equal numbers."""
        points = [Interval("point", PairedDifference(0.1, 0.1 + 1e-17, 0.1 - 1e-16))]
        draw_differences(points, tmp_path / "point", "point")
        draw_differences([], tmp_path / "nothing", "nothing")
        assert (tmp_path / "nothing.svg").stat().st_size > 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--study", "colour"], "allowed: fusion, parts"),
        (["--only", "nothing"], "found the variant 'nothing'; allowed: full, "),
        (["--only", "without inta"], "(did you mean 'without inter'?)"),
        (["--only", "without intra"], "left out (a modality of one expert has one view)"),
        (["--seeds", "0"], "greater than or equal to 1"),
    ],
)
def test_what_is_not_there(extracted: Path, arguments: list[str], message: str) -> None:
    found = mocme("ablate", extracted / "mocme.yaml", *arguments)
    assert found.exit_code == 2
    assert message in " ".join(found.stderr.replace("│", " ").split())
