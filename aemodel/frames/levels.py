"""Levels of a category as the texts that stand for them in files."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

PLAIN = range(-6, 10)  # powers of ten of floats that are written without an exponent


def level_texts_in(values: NDArray[Any], type_name: str) -> tuple[NDArray[np.intp], list[str]]:
    """Return the texts of the distinct levels in values (m,), and where among them each value is.

    type_name: of the column; whole numbers stay whole where gaps have turned them to floats.
    """
    whole = re.search(r"\bu?int", type_name.lower().split(", indices")[0])
    if whole and values.dtype.kind == "f":
        values = values.astype(np.int64)
    levels: dict[Any, int] = {}
    places = [levels.setdefault(value, len(levels)) for value in values.tolist()]
    found = np.array([*levels], values.dtype) if values.dtype.kind == "f" else levels
    return np.array(places, np.intp), [level_text(level) for level in found]


def level_text(level: object) -> str:
    """Return the text of a level: 'true', '3', '2.5', '1e+10'."""
    if isinstance(level, bool | np.bool_):
        return "true" if level else "false"
    if isinstance(level, float | np.floating):
        return _float_text(level)
    return str(level).encode(errors="backslashreplace").decode()


def _float_text(number: float | np.floating) -> str:
    """Return the shortest text, as pyarrow casts floats."""
    exponent = int(np.format_float_scientific(number).partition("e")[2] or 0)
    if not np.isfinite(number) or exponent in PLAIN:
        return np.format_float_positional(number, trim="-")
    return np.format_float_scientific(number, trim="-", exp_digits=1)
