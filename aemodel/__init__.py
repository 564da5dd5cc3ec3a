"""Autoencoders on NumPy arrays: training, scores, p-values and decisions. Touches no files."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aemodel.detector import AutoencoderDetector

__all__ = ["AutoencoderDetector"]


def __getattr__(name: str) -> type:
    """Import the estimator on first use, because it imports torch and scikit-learn."""
    if name != "AutoencoderDetector":
        raise AttributeError(f"module 'aemodel' has no attribute '{name}'")
    from aemodel.detector import AutoencoderDetector

    return AutoencoderDetector
