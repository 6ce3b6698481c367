"""The log of a training: metrics.jsonl and TensorBoard hold the same, stop or no stop."""

from pathlib import Path
from typing import Any

import pytest
import torch
from planted_graph import World, planted_world
from small_training import (
    drawn_epochs_of,
    epochs_of,
    is_drawn_as_logged,
    model_config,
    run_training,
    train_config,
)

from model.runs.epoch_report import EpochReport
from model.training import trainer
from model.training.train import train


class StopError(BaseException):
    """What no part of the program catches."""


class TestTensorBoard:
    def test_holds_what_metrics_jsonl_holds(self, finished_run: Path) -> None:
        assert is_drawn_as_logged(finished_run)
        assert [epoch["epoch"] for epoch in drawn_epochs_of(finished_run)] == [1, 2, 3, 4]

    @pytest.mark.parametrize("epoch", [1, 3])
    def test_a_stop_while_the_checkpoint_is_written(
        self,
        world: World,
        finished_run: Path,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        epoch: int,
    ) -> None:
        """The epoch is in both logs, but has to be trained again."""
        save = trainer.save_checkpoint

        def stop(path: Path, *arguments: Any) -> None:
            if arguments[-1]["epoch"] == epoch:
                raise StopError
            save(path, *arguments)

        monkeypatch.setattr(trainer, "save_checkpoint", stop)
        with pytest.raises(StopError):
            run_training(world, tmp_path)
        assert len(epochs_of(tmp_path)) == len(drawn_epochs_of(tmp_path)) == epoch
        monkeypatch.undo()
        run_training(world, tmp_path)
        assert epochs_of(tmp_path) == epochs_of(finished_run)
        assert is_drawn_as_logged(tmp_path)

    def test_a_log_that_a_stop_cut_short_is_whole_again(self, world: World, tmp_path: Path) -> None:
        def stop(report: EpochReport) -> None:
            if report.epoch == 3:
                raise StopError

        with pytest.raises(StopError):
            train(world.graph, world.tables(), model_config(), train_config(), tmp_path, stop)
        (events,) = (tmp_path / "tensorboard").iterdir()
        events.write_bytes(events.read_bytes()[: events.stat().st_size // 2])
        run_training(world, tmp_path)
        assert is_drawn_as_logged(tmp_path)
        assert len(list((tmp_path / "tensorboard").iterdir())) == 1


class TestNumbers:
    """On a graph large enough for relevance to be measured."""

    @pytest.fixture(scope="class")
    def epochs(self, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
        world = planted_world(num_things=200, absent=0.0)
        config = train_config(epochs=4, eval_every=2, held_back=0.4, held_back_epochs=2)
        run_dir = tmp_path_factory.mktemp("numbers")
        train(world.graph, world.tables(), model_config(alone=True), config, run_dir)
        return epochs_of(run_dir)

    @pytest.mark.parametrize("modality", ["image", "text", "neighbours"])
    def test_of_fusion(self, epochs: list[dict[str, Any]], modality: str) -> None:
        for epoch in epochs:
            assert 0 <= epoch[f"share/{modality}"] <= 1
        if modality == "neighbours":
            assert f"strength/{modality}" not in epochs[0], "they are joined to what is fused"
            return
        for epoch in epochs:
            assert epoch[f"strength/{modality}"] >= 0
            assert epoch[f"information/{modality}"] >= 0
        relevance = [epoch[f"relevance/{modality}"] for epoch in epochs]
        assert relevance[0] is None, "nothing is trained yet"
        assert relevance[1] >= 0
        assert relevance[3] == relevance[2] >= 0, "nothing is held back any more"

    def test_shares_add_up(self, epochs: list[dict[str, Any]]) -> None:
        for epoch in epochs:
            shares = [value for name, value in epoch.items() if name.startswith("share/")]
            assert sum(shares) == pytest.approx(1)

    def test_block_weights_of_evaluations(self, epochs: list[dict[str, Any]]) -> None:
        for epoch in epochs:
            weights = {n: value for n, value in epoch.items() if n.startswith("block_weight/")}
            blocks = ["content", "content-image", "content-text", "structure"]
            is_evaluated = epoch["valid_mrr"] is not None
            assert [*weights] == [f"block_weight/{name}" for name in blocks if is_evaluated]
            assert all(value > 0 for value in weights.values())

    @pytest.mark.parametrize("fusion", ["sum", "gate", "late"])
    def test_of_fusion_that_measures_nothing(
        self, world: World, tmp_path: Path, fusion: str
    ) -> None:
        model = model_config(fusion=fusion)
        train(world.graph, world.tables(), model, train_config(epochs=1), tmp_path)
        kinds = {name.split("/")[0] for name in epochs_of(tmp_path)[0] if "/" in name}
        assert kinds == {"block_weight"} | (set() if fusion == "late" else {"share"})

    def test_of_structure_alone(self, world: World, tmp_path: Path) -> None:
        train(world.graph, {}, model_config(), train_config(epochs=1), tmp_path)
        (epoch,) = epochs_of(tmp_path)
        assert [name for name in epoch if "/" in name] == ["block_weight/structure"]
        assert is_drawn_as_logged(tmp_path)
        assert torch.tensor(epoch["egns_entropy"]).isfinite()
