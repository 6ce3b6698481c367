"""Checkpoints: what is saved is read back, bit by bit, and never half of it."""

from pathlib import Path

import pytest
import torch
from torch import nn

from model.training import checkpoint
from model.training.checkpoint import load_checkpoint, load_weights, save_checkpoint, save_weights
from storage.files.file_errors import FileError

OPTIMIZERS = [torch.optim.Adagrad, torch.optim.Adam]


class Twin(nn.Module):
    """A model with parameters, a buffer, and a buffer that is not to be kept."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.table = nn.Parameter(torch.randn(5, 3))
        self.inner = nn.ParameterDict({"a": nn.Parameter(torch.randn(3).half())})
        self.register_buffer("measured", torch.randn(2, 2))
        self.register_buffer("derived", torch.randn(2), persistent=False)

    def step(self, optimizer: torch.optim.Optimizer) -> float:
        optimizer.zero_grad()
        loss = (self.table @ self.inner["a"].float()).square().sum()
        loss.backward()
        optimizer.step()
        return float(loss.detach())


@pytest.mark.parametrize("kind", OPTIMIZERS)
class TestCheckpoint:
    def trained(self, kind: type[torch.optim.Optimizer]) -> tuple[Twin, torch.optim.Optimizer]:
        model = Twin(seed=0)
        optimizer = kind(model.parameters(), lr=0.1)
        for _ in range(3):
            model.step(optimizer)
        return model, optimizer

    def test_training_goes_on_as_if_nothing_had_happened(
        self, kind: type[torch.optim.Optimizer], tmp_path: Path
    ) -> None:
        model, optimizer = self.trained(kind)
        save_checkpoint(tmp_path / "c", model, optimizer, {"epoch": 3, "best": 0.1 + 0.2})
        other = Twin(seed=1)
        other_optimizer = kind(other.parameters(), lr=0.1)
        progress = load_checkpoint(tmp_path / "c", other, other_optimizer)
        assert progress == {"epoch": 3, "best": 0.1 + 0.2}
        assert torch.equal(other.measured, model.measured)
        assert not torch.equal(other.derived, model.derived)
        losses = [
            [m.step(o) for _ in range(4)] for m, o in ((model, optimizer), (other, other_optimizer))
        ]
        assert losses[0] == losses[1]
        assert torch.equal(model.table, other.table)

    def test_before_the_first_step_there_is_no_state(
        self, kind: type[torch.optim.Optimizer], tmp_path: Path
    ) -> None:
        model = Twin(seed=0)
        save_checkpoint(tmp_path / "c", model, kind(model.parameters(), lr=0.1), {})
        other = Twin(seed=1)
        assert load_checkpoint(tmp_path / "c", other, kind(other.parameters(), lr=0.1)) == {}
        assert torch.equal(model.table, other.table)

    def test_a_failed_write_leaves_the_old_one(
        self, kind: type[torch.optim.Optimizer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        model, optimizer = self.trained(kind)
        save_checkpoint(tmp_path / "c", model, optimizer, {"epoch": 3})
        before = (tmp_path / "c").read_bytes()

        def half_a_file(tensors: object, path: Path, metadata: object = None) -> None:
            path.write_bytes(b"half")
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(checkpoint, "save_file", half_a_file)
        model.step(optimizer)
        with pytest.raises(FileError, match=r"/c: cannot be written: No space left on device"):
            save_checkpoint(tmp_path / "c", model, optimizer, {"epoch": 4})
        assert (tmp_path / "c").read_bytes() == before
        assert [path.name for path in tmp_path.iterdir()] == ["c"]


def test_weights_alone(tmp_path: Path) -> None:
    model, other = Twin(seed=0), Twin(seed=1)
    save_weights(tmp_path / "w", model)
    load_weights(tmp_path / "w", other)
    assert torch.equal(model.table, other.table)
    assert torch.equal(model.inner["a"], other.inner["a"])
    assert torch.equal(model.measured, other.measured)
