"""MoCME: experts per modality, complementarity-guided fusion, entropy-guided negatives.

`from model import Predictor` loads a trained run; torch is imported only then.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from model.prediction.predictor import Predictor as Predictor

__all__ = ["Predictor"]


def __getattr__(name: str) -> Any:
    """Import `Predictor` on first use, so that importing a config costs no torch."""
    if name == "Predictor":
        from model.prediction.predictor import Predictor

        return Predictor
    raise AttributeError(f"module 'model' has no attribute {name!r}")
