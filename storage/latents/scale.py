"""Latents as small numbers: int8 codes on one scale a store, or floats; what does not fit is kept beside, exactly.

code = round((z - low) / (high - low) * (levels - 1)) - 127            -127 to 127; -128 (NaN for floats) = kept beside
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

OUTSIDE = -128
FIRST = -127  # the code of `low`
LEVELS = 255
PRECISIONS = ("float32", "float16", "int8")


@dataclass(frozen=True)
class Scale:
    """How latents are stored: the precision, and for int8 the range low, high (k,) float32 that the codes span in `levels` (k,) steps.

    No levels means 255 for every latent.
    """

    precision: str
    low: NDArray[np.float32]
    high: NDArray[np.float32]
    levels: NDArray[np.int64] | None = None

    @property
    def coded(self) -> bool:
        """Whether latents are whole numbers."""
        return self.precision == "int8"

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """NumPy dtype of the codes."""
        return np.dtype(self.precision)

    @property
    def fill(self) -> float:
        """The code that stands for no value."""
        return OUTSIDE if self.coded else float("nan")

    @property
    def steps(self) -> NDArray[np.float64]:
        """Steps (k,) from low to high."""
        return (
            np.full(len(self.low), LEVELS - 1.0)
            if self.levels is None
            else np.maximum(self.levels - 1.0, 1.0)
        )

    def to_json(self) -> dict[str, Any]:
        """For a manifest, and for the attributes of a file."""
        if not self.coded:
            return {"precision": self.precision}
        limits = {"precision": self.precision, "low": self.low.tolist(), "high": self.high.tolist()}
        return limits if self.levels is None else limits | {"levels": self.levels.tolist()}

    @classmethod
    def of_facts(cls, facts: Any) -> Scale:
        """The scale of a manifest."""
        low, high = (np.array(facts.get(name, []), np.float32) for name in ("low", "high"))
        return cls(
            facts["precision"],
            low,
            high,
            np.array(facts["levels"], np.int64) if "levels" in facts else None,
        )

    def encode(self, latents: NDArray[np.float32]) -> tuple[NDArray[np.generic], NDArray[np.bool_]]:
        """Codes (n, k) of latents (n, k), and which of them do not fit and must be kept beside, (n, k)."""
        if self.precision == "float32":
            return latents, np.zeros(latents.shape, bool)
        if self.precision == "float16":
            fits = np.abs(latents) <= np.finfo(np.float16).max
            return np.where(fits, latents, np.nan).astype(np.float16), ~fits
        fits = (latents >= self.low) & (latents <= self.high)
        span = (self.high - self.low).astype(np.float64)
        codes = np.where(fits, latents - self.low.astype(np.float64), 0.0)
        codes /= np.where(span > 0, span, 1.0)
        codes *= self.steps
        np.rint(codes, out=codes)
        codes += FIRST
        codes[~fits] = OUTSIDE
        return codes.astype(np.int8), ~fits

    def decode(self, codes: NDArray[np.generic]) -> NDArray[np.float32]:
        """Latents (n, k) float32 of codes (n, k); those kept beside are still to be put in."""
        if not self.coded:
            return codes.astype(np.float32)
        place = (codes.astype(np.float64) - FIRST) / self.steps
        return (self.low + place * (self.high - self.low).astype(np.float64)).astype(np.float32)

    def is_outside(self, codes: NDArray[np.generic]) -> NDArray[np.bool_]:
        """Which codes (n, k) stand for a value kept beside, in the order in which those are kept."""
        if self.precision == "float32":
            return np.zeros(codes.shape, bool)
        return np.asarray(codes == OUTSIDE if self.coded else np.isnan(codes.astype(np.float32)))
