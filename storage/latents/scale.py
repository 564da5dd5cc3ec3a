"""Latents as small numbers: int8 codes on one scale per store, or floats.

    code = round((z - low) / (high - low) * (levels - 1)) - 127         in -127 to 127

Code -128 (NaN for floats) marks a latent that no code can hold; its value is stored separately.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from storage.codecs.deviation import repeated, side_by_side
from storage.files.manifest import Json

OUTSIDE = -128
FIRST = -127  # the code of `low`
LEVELS = 255


@dataclass(frozen=True)
class Scale:
    """How latents are stored.

    precision: "float32", "float16" or "int8". low, high: (k,) float32, the range that int8 codes
    span. levels: (k,) number of codes in that range; None means 255 for every latent.
    """

    precision: str
    low: NDArray[np.float32]
    high: NDArray[np.float32]
    levels: NDArray[np.int64] | None = None

    @property
    def coded(self) -> bool:
        """Whether latents are stored as whole numbers."""
        return self.precision == "int8"

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """NumPy dtype of the codes."""
        return np.dtype(self.precision)

    @property
    def fill(self) -> float:
        """The code that stands for a missing value."""
        return OUTSIDE if self.coded else float("nan")

    @property
    def steps(self) -> NDArray[np.float64]:
        """Number of steps (k,) from low to high."""
        if self.levels is None:
            return np.full(len(self.low), LEVELS - 1.0)
        return np.asarray(np.maximum(self.levels - 1.0, 1.0))

    def to_json(self) -> Json:
        """Return the scale for a manifest and for HDF5 attributes."""
        if not self.coded:
            return {"precision": self.precision}
        limits = {"precision": self.precision, "low": self.low.tolist(), "high": self.high.tolist()}
        return limits if self.levels is None else limits | {"levels": self.levels.tolist()}

    @classmethod
    def from_json(cls, content: Json) -> Scale:
        """Rebuild a scale from `to_json`."""
        low = np.array(content.get("low", []), np.float32)
        high = np.array(content.get("high", []), np.float32)
        levels = np.array(content["levels"], np.int64) if "levels" in content else None
        return cls(content["precision"], low, high, levels)

    def encode(self, latents: NDArray[np.float32]) -> tuple[NDArray[np.generic], NDArray[np.bool_]]:
        """Encode latents (n, k).

        Returns codes (n, k), and a mask (n, k) of the latents that no code can hold.
        """
        if self.precision == "float32":
            return latents, np.zeros(latents.shape, bool)
        if self.precision == "float16":
            fits = np.abs(latents) <= np.finfo(np.float16).max
            return np.where(fits, latents, np.nan).astype(np.float16), ~fits
        codes, outside = self._int8_codes(side_by_side(latents))
        return codes.reshape(latents.shape), outside.reshape(latents.shape)

    def _int8_codes(
        self, latents: NDArray[np.float32]
    ) -> tuple[NDArray[np.int8], NDArray[np.bool_]]:
        """Encode rows that lie side by side."""
        span = (self.high - self.low).astype(np.float64)
        low, high, width, steps = (
            repeated(each, latents)
            for each in (self.low, self.high, np.where(span > 0, span, 1.0), self.steps)
        )
        outside = ~((latents >= low) & (latents <= high))
        codes = latents - low.astype(np.float64)
        codes[outside] = 0.0
        codes /= width
        codes *= steps
        np.rint(codes, out=codes)
        codes += FIRST
        codes[outside] = OUTSIDE
        return codes.astype(np.int8), outside

    def decode(self, codes: NDArray[np.generic]) -> NDArray[np.float32]:
        """Decode codes (n, k) to float32 latents; the caller fills in those stored separately."""
        if not self.coded:
            return codes.astype(np.float32)
        wide = side_by_side(codes)
        low, span, steps = (
            repeated(each, wide) for each in (self.low, self.high - self.low, self.steps)
        )
        places = wide.astype(np.float64)
        places -= FIRST
        places /= steps
        places *= span.astype(np.float64)
        places += low
        return places.astype(np.float32).reshape(codes.shape)

    def is_outside(self, codes: NDArray[np.generic]) -> NDArray[np.bool_]:
        """Return a mask of the codes (n, k) whose latents are stored separately."""
        if self.precision == "float32":
            return np.zeros(codes.shape, bool)
        return np.asarray(codes == OUTSIDE if self.coded else np.isnan(codes.astype(np.float32)))
