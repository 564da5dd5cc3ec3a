"""Autoencoders on NumPy arrays: training, scores, p-values and decisions. Touches no files."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aemodel.detector import AutoencoderDetector
    from aemodel.series.detector.estimator import SeriesDetector

__all__ = ["AutoencoderDetector", "SeriesDetector"]

_MODULES = {
    "AutoencoderDetector": "aemodel.detector",
    "SeriesDetector": "aemodel.series.detector.estimator",
}


def __getattr__(name: str) -> type:
    """Import an estimator on first use, because it imports torch or scikit-learn."""
    if name not in _MODULES:
        raise AttributeError(f"module 'aemodel' has no attribute '{name}'")
    found: type = getattr(import_module(_MODULES[name]), name)
    return found
