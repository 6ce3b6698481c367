"""Names of torch's devices, so that a misspelt one is found without importing torch."""

import re
from typing import Annotated

from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

# Those that torch.device takes.
_TYPES = (
    *("cpu", "cuda", "ipu", "xpu", "mkldnn", "opengl", "opencl", "ideep", "hip", "ve", "fpga"),
    *("maia", "xla", "lazy", "vulkan", "mps", "meta", "hpu", "mtia", "privateuseone"),
)
_NUMBER = "0|[1-9][0-9]?|1[01][0-9]|12[0-7]"  # a larger one becomes another: 8 bits hold it
_DEVICE = re.compile(rf"auto|({'|'.join(_TYPES)})(:({_NUMBER}))?")


def _known_device(name: str) -> str:
    """Refuse what torch would not take; whether this machine has it, shows when it is used."""
    if _DEVICE.fullmatch(name):
        return name
    raise PydanticCustomError(
        "device", "auto, cpu, cuda, or another device of torch, with a number as cuda:0"
    )


DeviceName = Annotated[str, AfterValidator(_known_device)]
"""`auto`, or a device as torch names it."""
