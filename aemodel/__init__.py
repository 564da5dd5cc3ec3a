"""Autoencoders on NumPy arrays: training, scores, p-values and decisions. Touches no file."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aemodel.detector import AutoencoderDetector

__all__ = ["AutoencoderDetector"]


def __getattr__(name: str) -> Any:
    """Import the estimator when it is asked for: it brings torch and scikit-learn."""
    if name != "AutoencoderDetector":
        raise AttributeError(f"module 'aemodel' has no attribute '{name}'")
    from aemodel.detector import AutoencoderDetector

    return AutoencoderDetector
