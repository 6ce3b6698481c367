"""Names of devices are those that torch takes, and mean what they say."""

import pytest
import torch
from pydantic import TypeAdapter, ValidationError

from storage.words.devices import DeviceName

CHECK = TypeAdapter[str](DeviceName)


@pytest.mark.parametrize("name", ["cpu", "cuda", "cuda:0", "cuda:10", "cuda:127", "mps", "xpu:3"])
def test_torch_takes_what_is_taken(name: str) -> None:
    assert str(torch.device(CHECK.validate_python(name))) == name


def test_auto_is_no_device_of_torch_and_is_taken() -> None:
    assert CHECK.validate_python("auto") == "auto"


@pytest.mark.parametrize(
    "name", ["", "gpu", "GPU", "cuda:", "cuda:x", "cuda:-1", "cuda:01", "cuda:128", "cuda:0\n"]
)
def test_others_are_refused(name: str) -> None:
    with pytest.raises(ValidationError, match="auto, cpu, cuda, or another device of torch"):
        CHECK.validate_python(name)
