"""The worst rows as cards: a picture, a waveform, or bars; a sentence; how rare that is."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from storage.nights.night import Evidence, Night, RowGroup
from storage.pages.pictures import is_picture, picture_strip

MOST_CARDS = 5
FEWEST_STEPS = 24  # shorter rows are shown by their columns
MOST_POINTS = 240  # in a waveform
Row = Mapping[str, Any]  # one of outliers.parquet
TINY = float(np.finfo(np.float64).tiny)
WIDTH, HEIGHT, EDGE = 240.0, 56.0, 3.0


@dataclass(frozen=True)
class Wave:
    """A row as a line over its reconstruction: two SVG paths."""

    actual: str
    expected: str


@dataclass(frozen=True)
class Card:
    """One of the worst rows. picture: PNG as a data URI. features: those of `Evidence`.

    One of picture, wave and features is shown, if any is known. group: id of its group, '' for
    none. alike: rows in that group.
    """

    outlier: Row
    chance: str
    group: str
    alike: int
    sentence: str
    picture: str = ""
    wave: Wave | None = None
    features: Sequence[Mapping[str, object]] = ()


def worst_cards(night: Night, outliers: Sequence[Row]) -> list[Card]:
    """Return cards of the worst row of each group, filled up with the next rows.

    outliers: the listed rows, best first, as in outliers.parquet.
    """
    flagged = [each for each in outliers if each["flagged"]]
    groups = {row: group for group in night.groups for row in group.rows}
    first: dict[str | int, Row] = {}
    for each in flagged:
        group = groups.get(each["row"])
        first.setdefault(group.id if group else each["row"], each)
    chosen = list(first.values())[:MOST_CARDS]
    others = [each for each in flagged or outliers if each not in chosen]
    chosen += others[: MOST_CARDS - len(chosen)]
    chosen.sort(key=lambda each: each["rank"])
    return [_card(night, each, groups.get(each["row"])) for each in chosen]


def _card(night: Night, outlier: Row, group: RowGroup | None) -> Card:
    evidence = night.evidence.get(outlier["row"])
    card = Card(
        outlier,
        clean_row_chance(outlier["p_value"], night),
        group.id if group else "",
        len(group.rows) if group else 0,
        outlier["cause"].partition("; ")[0],
    )
    if evidence is None:
        return card
    if night.pictures and is_picture(evidence.actual.shape):
        return replace(card, picture=picture_uri(evidence))
    if night.waves and evidence.actual.shape[0] >= FEWEST_STEPS:
        return replace(card, wave=draw_wave(evidence), sentence=stretch_words(evidence))
    return replace(card, features=evidence.features)


def clean_row_chance(p_value: float | None, night: Night) -> str:
    """Return a p-value in words: '1 in 2,434 clean rows'; empty if no clean rows are known."""
    if p_value is None or not p_value > 0 or night.in_sample or not night.calibration_rows:
        return ""
    if p_value > 0.5:
        return "like most clean rows"
    return f"1 in {round(1 / p_value):,} clean rows"


def picture_uri(evidence: Evidence) -> str:
    """Return the strip of input, reconstruction, and difference as a data URI."""
    both = np.concatenate([evidence.actual.ravel(), evidence.expected.ravel()]).astype(np.float64)
    low, high = float(np.nanmin(both)), float(np.nanmax(both))
    strip = picture_strip(evidence.actual, evidence.expected, low, high)
    return f"data:image/png;base64,{base64.b64encode(strip).decode()}"


def draw_wave(evidence: Evidence) -> Wave | None:
    """Draw the channel that differs most; None if it has no finite value."""
    actual = evidence.actual.reshape(len(evidence.actual), -1).astype(np.float64)
    expected = evidence.expected.reshape(actual.shape).astype(np.float64)
    channel = int(np.abs(_known_difference(evidence)).sum(axis=0).argmax())
    lines = np.stack([actual[:, channel], expected[:, channel]])
    finite = lines[np.isfinite(lines)]
    if not len(finite):
        return None
    low, span = float(finite.min()), float(np.ptp(finite)) or 1.0
    return Wave(*(_path((line - low) / span) for line in lines))


def _known_difference(evidence: Evidence) -> NDArray[np.float64]:
    """Return a row minus its reconstruction by step and channel (n, c); 0 where it is unknown."""
    with np.errstate(invalid="ignore"):
        away = evidence.actual.astype(np.float64) - evidence.expected.astype(np.float64)
    known = np.nan_to_num(away, posinf=0.0, neginf=0.0)
    return np.asarray(known.reshape(len(known), -1))


def stretch_words(evidence: Evidence) -> str:
    """Name the eighth of a row that differs most: 'steps 110 to 127: lower than expected, …'."""
    known = _known_difference(evidence)
    squares = (known**2).sum(axis=1)
    size = max(1, len(squares) // 8)
    sums = np.convolve(squares, np.ones(size), "valid")
    start = int(sums.argmax())
    share = float(sums[start]) / max(float(squares.sum()), TINY)
    direction = "higher" if known[start : start + size].sum() > 0 else "lower"
    return (
        f"steps {start} to {start + size - 1}: {direction} than expected, "
        f"{share:.0%} of the difference from the reconstruction"
    )


def _path(shares: NDArray[np.float64]) -> str:
    """Return a line (n,) of shares of the height as an SVG path; gaps stay gaps."""
    places = _extremes(shares)
    x = EDGE + places / max(1, len(shares) - 1) * (WIDTH - 2 * EDGE)
    y = EDGE + (1 - shares[places]) * (HEIGHT - 2 * EDGE)
    steps, move = [], True
    for across, down in zip(x.tolist(), y.tolist(), strict=True):
        if np.isfinite(down):
            steps.append(f"{'M' if move else 'L'}{across:.1f} {down:.1f}")
        move = not np.isfinite(down)
    return "".join(steps)


def _extremes(line: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return the places of the lowest and highest value of each piece, so that no peak is lost."""
    if len(line) <= MOST_POINTS:
        return np.arange(len(line))
    known = np.nan_to_num(line, nan=0.0)
    places: list[int] = []
    for piece in np.array_split(np.arange(len(line)), MOST_POINTS // 2):
        places += sorted({int(piece[known[piece].argmin()]), int(piece[known[piece].argmax()])})
    return np.array(places)
