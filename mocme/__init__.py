"""What a user touches: the command line, the Python API, the report, studies and exports.

`from mocme import Predictor` asks a finished run. Importing the package alone imports no library,
so that the command line can see to its surroundings first.
"""

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mocme.predictor import Predictor
    from model.prediction.questions import Question

__all__ = ["Predictor", "Question", "__version__"]


def __getattr__(name: str) -> Any:
    """Import what the package offers when it is asked for."""
    if name == "Predictor":
        from mocme.predictor import Predictor  # imports torch

        return Predictor
    if name == "Question":
        from model.prediction.questions import Question

        return Question
    if name == "__version__":
        return version("mocme")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
