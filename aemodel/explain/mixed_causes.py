"""Causes of rows whose columns are of several kinds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from aemodel.explain.causes import MAX_FEATURES, MIN_SHARE, Cause, Feature
from aemodel.explain.entity_names import EntityNames, Texts, short_level, unnamed_entities
from aemodel.explain.mixed_shares import error_shares, novelty_shares
from aemodel.explain.number_pairs import format_beyond, format_pair, format_value
from aemodel.model import Autoencoder
from aemodel.network.networks import Rebuilt
from aemodel.rows.layout import CATEGORY, HOUR, NUMBER, PERIODS
from aemodel.scores.row_pairs import Partner

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
USUAL = 0.01  # of clean numbers lie below what is called usual, and as many above
USUAL_HOURS = 0.95  # of clean rows lie in the hours that are called usual
MOST_HOURS = 20  # of a day; where rows come around the clock, no hours are usual
ROUNDING = 1e-6  # of a range, in float32
UNLIKELIER = 2  # times less likely in its row than among clean rows: another level was expected


def explain_mixed(
    model: Autoencoder,
    rows: Rebuilt,
    *,
    by: str,
    texts: Texts,
    top: int = MAX_FEATURES,
    columns: int = 0,
) -> list[Cause]:
    """Explain each row's rank by one of SCORES, by at most `top` features.

    columns: features that are listed beside a cause, whatever they contribute.
    texts: levels that the bundle has no name for, see `unnamed_levels`.
    """
    found = novelty_shares(model, rows) if by == "novelty" else error_shares(model, rows)
    expected = model.in_data_units(rows)
    describer, score = _Describer(model, texts), "novelty" if by == "novelty" else "error"
    entities, of_features = EntityNames(model, texts), list(model.layout.features)
    causes = []
    for index, row in enumerate(rows.rows.astype(np.float64)):
        place = entities.place(row)
        order = np.argsort(-found.columns[index, of_features], kind="stable")
        order = order[: max(top, columns)]
        heaviest = np.array(of_features)[order].tolist()
        features = [
            describer.feature(
                _Value(
                    i,
                    float(row[i]),
                    float(expected[index, i]),
                    float(rows.residuals[index, i]),
                    place,
                    describer.beside(i, row, found.partner(index, i)),
                ),
                float(found.columns[index, i]),
            )
            for i in heaviest
        ]
        cause = _cause(features[:top], score)
        words, listed = entities.prefix(row) + cause.words, tuple(features[:columns])
        causes.append(Cause(words, cause.features, listed))
    return causes


def _cause(features: Sequence[Feature], score: str) -> Cause:
    named = [each for each in features if each.share > MIN_SHARE] or features[:1]
    words = "; ".join(f"{each.words}, {each.share:.0%} of the {score}" for each in named)
    return Cause(words, tuple(named))


def unnamed_levels(model: Autoencoder, rows: NDArray[np.generic]) -> dict[str, list[float]]:
    """Return the keys of levels in rows (n, d) that the bundle has no name for, by column."""
    levels = model.scaler.levels
    if levels is None:
        return {}
    found = unnamed_entities(model, rows)
    for category, column in enumerate(levels.columns.tolist()):
        name, known = model.layout.columns[column], levels.known(category)
        named = known[: len(_bundled_names(model).get(name, ()))]
        keys = np.union1d(rows[:, column].astype(np.float64), known)
        found[name] = keys[~np.isin(keys, named) & ~np.isnan(keys)].tolist()
    return found


def _bundled_names(model: Autoencoder) -> Mapping[str, Sequence[str]]:
    """Return the names of the levels that a bundle keeps, by column and rank."""
    return cast("Mapping[str, Sequence[str]]", model.facts.get("levels", {}))


@dataclass(frozen=True)
class _Value:
    """One value of a row: what it is, what was expected, and its residual.

    entity: the place of the row's entity among all; None without entities. beside: what the value
        does not go with, in words; '' if nothing.
    """

    column: int
    actual: float
    expected: float
    residual: float
    entity: int | None
    beside: str


class _Describer:
    """Describes the values of a model's columns in words."""

    def __init__(self, model: Autoencoder, texts: Texts) -> None:
        assert model.scaler.levels is not None
        assert model.measured.mixed is not None
        self.model, self.layout, self.levels = model, model.layout, model.scaler.levels
        self.margins = model.measured.mixed.margins
        self._names = self._known_names(texts)
        self._entities = EntityNames(model, texts)

    def _known_names(self, texts: Texts) -> list[dict[float, str]]:
        """Return the names of each category's levels by key."""
        named, found = _bundled_names(self.model), []
        for category, column in enumerate(self.levels.columns.tolist()):
            name = self.layout.columns[column]
            known = zip(self.levels.known(category).tolist(), named.get(name, ()), strict=False)
            found.append({**dict(known), **texts.get(name, {})})
        return found

    def feature(self, value: _Value, share: float) -> Feature:
        """Return a value as a feature with this share of the score."""
        actual, expected, words = self._texts(value)
        words = f"{actual} {value.beside}" if value.beside else words
        name = self.layout.columns[value.column]
        low, high = self._usual_range(value)
        scale = float(self.model.measured.residual_scale[value.column])
        return Feature(
            name=name,
            actual=value.actual,
            expected=value.expected,
            residual=value.residual / scale,
            share=share,
            actual_text=actual,
            expected_text=expected,
            words=f"{name} {words}",
            low=low,
            high=high,
        )

    def beside(self, column: int, row: NDArray[np.float64], partner: Partner | None) -> str:
        """Say what the value of a row in a column does not go with.

        '' for numbers, which are counted in eighths: the counts are not those of the value.
        """
        if partner is None or NUMBER in (self.layout.kinds[i] for i in (column, partner.column)):
            return ""
        kind, actual = self.layout.kinds[partner.column], float(row[partner.column])
        if kind == CATEGORY:
            text = self._level(self.layout.of_kind(CATEGORY).index(partner.column), actual)
        else:
            text = "missing" if math.isnan(actual) else _clock_text(actual, kind)
        counts = f"{partner.together:,} of {partner.rows:,} clean rows"
        expected = f"{partner.expected:,.1f} expected by chance"
        return f"with {self.layout.columns[partner.column]} {text} ({counts}, {expected})"

    def _texts(self, value: _Value) -> tuple[str, str, str]:
        """Return value and expected value as texts, and what stands out."""
        kind = self.layout.kinds[value.column]
        if kind == NUMBER:
            return self._number(value)
        return self._category(value) if kind == CATEGORY else self._time(value, kind)

    def _number(self, value: _Value) -> tuple[str, str, str]:
        place = self.layout.of_kind(NUMBER).index(value.column)
        low, high = self._clean_range(value, place)
        actual, expected = format_pair(value.actual, value.expected)
        if math.isnan(value.actual):
            return "missing", expected, f"missing ({_percent(self.margins.gaps[place])})"
        if self.margins.gaps[place] == 1:
            return actual, "missing", f"{format_value(value.actual)} (missing in all clean rows)"
        rounding = ROUNDING * (high - low)
        if low - rounding <= value.actual <= high + rounding:
            return actual, expected, f"{actual} where {expected} was expected"
        usual = self._entities.usual(value.entity) or "clean 1–99 %"
        words, *ends = format_beyond(value.actual, low, high)
        return actual, expected, f"{words} ({usual}: {' to '.join(ends)})"

    def _usual_range(self, value: _Value) -> tuple[float, float]:
        """Return the range that is usual for a number; NaN for other columns."""
        if self.layout.kinds[value.column] != NUMBER:
            return math.nan, math.nan
        return self._clean_range(value, self.layout.of_kind(NUMBER).index(value.column))

    def _clean_range(self, value: _Value, place: int) -> tuple[float, float]:
        """Return the usual range in data units: of an entity, as far as it has its own."""
        scaler, column = self.model.scaler, value.column
        tails = self.margins.tails[place].astype(np.float64)
        ends = tails[[int(USUAL * (len(tails) - 1)), math.ceil((1 - USUAL) * (len(tails) - 1))]]
        low, high = ends * scaler.scale[column] + scaler.center[column]
        if scaler.entities is not None:
            spread = scaler.entities.spread[value.entity, column]
            level = scaler.entities.level[value.entity, column]
            low, high = low * spread + level, high * spread + level
        return float(low), float(high)

    def _category(self, value: _Value) -> tuple[str, str, str]:
        category = self.layout.of_kind(CATEGORY).index(value.column)
        expected = self._level(category, value.expected)
        if math.isnan(value.actual):
            share = self.levels.gaps[category] / max(1, self.levels.rows)
            return "missing", expected, f"missing ({_percent(share)})"
        actual = self._level(category, value.actual)
        rank = int(self.levels.ranks(category, np.array([value.actual]))[0])
        size = int(self.levels.sizes[category])
        if rank > size:
            return actual, expected, f"{actual} never seen in fit rows ({size:,} levels known)"
        count = self.levels.counts[self.levels.of(category)][rank]
        share = count / max(1, self.levels.rows)
        chance = math.exp(-(value.residual**2))
        if value.actual == value.expected or chance > share / UNLIKELIER:
            return actual, expected, f"{actual} ({_percent(share)})"
        return actual, expected, f"{actual} where {expected} was expected (p = {chance:.1g})"

    def _level(self, category: int, key: float) -> str:
        if math.isnan(key):
            return "missing"
        name = self._names[category].get(key, "another level")
        return short_level(name)

    def _time(self, value: _Value, kind: str) -> tuple[str, str, str]:
        clock = self.margins.clock[self.layout.of_kind(*PERIODS).index(value.column)]
        expected = _clock_text(value.expected, kind)
        if math.isnan(value.actual):
            return "missing", expected, f"missing (expected {expected})"
        actual, total = _clock_text(value.actual, kind), max(1, int(clock.sum()))
        if kind != HOUR:
            share = clock[int(value.actual) % len(WEEKDAYS)] / total
            return actual, expected, f"on {actual} ({_percent(share)})"
        first, length, share = _usual_hours(clock / total)
        usual = f"{100 * share:.0f} % of clean rows: {first:02d} to {(first + length) % 24:02d} h"
        if length > MOST_HOURS:
            usual = f"{_percent(clock[int(value.actual) % 24] / total)} in that hour"
        return actual, expected, f"at {actual} ({usual})"


def _percent(share: float) -> str:
    return f"{100 * float(share):.2g} % of clean rows"


def _clock_text(value: float, kind: str) -> str:
    if kind != HOUR:
        return WEEKDAYS[round(value) % len(WEEKDAYS)]
    minutes = round(value * 60) % (24 * 60)
    return f"{minutes // 60:02d}:{minutes % 60:02d}"


def _usual_hours(shares: NDArray[np.float64]) -> tuple[int, int, float]:
    """Return the first hour, the number, and the share of rows of the fewest hours in a row.

    They hold at least USUAL_HOURS of all rows; shares: (24,).
    """
    twice = np.concatenate([[0.0], np.cumsum(np.concatenate([shares, shares]))])
    for length in range(1, len(shares) + 1):
        held = twice[length : length + len(shares)] - twice[: len(shares)]
        if held.max() >= USUAL_HOURS:
            return int(held.argmax()), length, float(held.max())
    return 0, len(shares), 1.0
