"""Where a model is trained, and in which precision."""

import pytest
import torch

from model.device import choose_device, choose_dtype
from storage.errors import MocmeError

CPU = torch.device("cpu")
CAPABILITIES = "torch.cpu.get_capabilities"


def test_what_is_named_is_chosen() -> None:
    assert choose_device("cpu") == CPU
    assert choose_dtype("float32", CPU) == torch.float32
    assert choose_dtype("bfloat16", CPU) == torch.bfloat16


@pytest.mark.parametrize("name", ["cud", "cuda:99", "cpu:x", "", "\x1b[31m"])
def test_a_device_that_is_not_here_is_refused(name: str) -> None:
    with pytest.raises(
        MocmeError, match=r"^train\.device: found '.*; allowed: auto, cpu"
    ) as caught:
        choose_device(name)
    assert "\n" not in str(caught.value)


def test_auto_takes_a_gpu_if_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for there_is_one, expected in ((True, "cuda"), (False, "cpu")):
        monkeypatch.setattr(torch.cuda, "is_available", lambda found=there_is_one: found)
        assert choose_device("auto").type == expected


@pytest.mark.parametrize("instructions", ["avx512_bf16", "amx_bf16", "sve_bf16"])
def test_auto_takes_what_the_processor_has_instructions_for(
    monkeypatch: pytest.MonkeyPatch, instructions: str
) -> None:
    for found, expected in ((True, torch.bfloat16), (False, torch.float32)):
        monkeypatch.setattr(CAPABILITIES, lambda found=found: {instructions: found}, raising=False)
        assert choose_dtype("auto", CPU) == expected


def test_auto_is_float32_where_torch_cannot_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(CAPABILITIES, raising=False)
    assert choose_dtype("auto", CPU) == torch.float32
