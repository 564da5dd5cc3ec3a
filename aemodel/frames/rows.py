"""Rows as an estimator is given them: arrays as scikit-learn checks them, or frames by column."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_array, validate_data

from aemodel.frames.columns import TIME, UNKEYED, FrameColumn, is_frame, read_frame
from aemodel.frames.survey import WantedColumns, choose_features
from aemodel.frames.values import values_of_kind
from aemodel.model import Autoencoder
from aemodel.rows.layout import ENTITY, NUMBER, Layout, flat_rows
from aemodel.rows.levels import level_names

FLOATS = (np.float64, np.float32)
KIND_NAMES = {NUMBER: "a number", **dict.fromkeys(TIME, "a time")}
MOST_NAMED = 100  # columns in one message

Features = Sequence[tuple[str, str]]  # column and kind


@dataclass(frozen=True)
class InputRows:
    """Rows (n, *layout.row_shape), and what their frame says of them.

    texts: levels by column and key. ignored: why columns are no features.
    """

    rows: NDArray[Any]
    layout: Layout
    texts: Mapping[str, Mapping[float, str]] = field(default_factory=dict)
    ignored: Mapping[str, str] = field(default_factory=dict)

    def describe(self, model: Autoencoder) -> Autoencoder:
        """Add to a model that was fitted to these rows what `nightglass train` stores of them."""
        facts: dict[str, object] = {"ignored": dict(self.ignored)} if self.ignored else {}
        if model.scaler.levels is not None:
            known = model.scaler.levels.known_by_column(self.layout.columns)
            if (entities := model.scaler.entities) is not None:
                known[self.layout.columns[entities.column]] = entities.keys
            names = {name: level_names(keys, self.texts[name]) for name, keys in known.items()}
            facts["levels"] = names
        return replace(model, facts={**model.facts, **facts})


def read_clean(
    estimator: BaseEstimator,
    rows: Any,
    row_shape: tuple[int, ...],
    fewest: int,
    wanted: WantedColumns,
) -> InputRows:
    """Read at least `fewest` rows that an estimator is fitted to, each of `row_shape` or flat.

    Raises ValueError for rows that cannot be used.
    """
    if is_frame(rows):
        columns = read_frame(rows)
        if wanted.kinds or not _is_plain(columns):
            return _read_columns(estimator, columns, fewest, wanted)
    if wanted.kinds:
        listed = _listed([*map(repr, wanted.kinds)])
        raise ValueError(
            f"X must be a DataFrame or table with the columns {listed}, since parameters name "
            f"them. Got {type(rows).__name__} instead."
        )
    flat = flat_rows(rows, row_shape)
    checked = validate_data(estimator, flat, dtype=FLOATS, ensure_min_samples=fewest)
    shaped = checked.reshape(len(checked), *(row_shape or checked.shape[1:]))
    names = tuple(getattr(estimator, "feature_names_in_", ()))
    return InputRows(
        shaped,
        Layout(row_shape=shaped.shape[1:], dtype=shaped.dtype.name, columns=names),
    )


def read_rows(estimator: BaseEstimator, rows: ArrayLike, layout: Layout) -> InputRows:
    """Read rows for a fitted estimator. Raises ValueError for rows that do not match it."""
    columns = read_frame(rows) if is_frame(rows) and layout.columns else None
    if columns is not None and _go_by_name(columns, layout):
        features = _features(layout)
        _require_columns(columns, features)
        return InputRows(_matrix(estimator, columns, features), layout, _texts(columns, features))
    if layout.kinds:
        names = _listed([*map(repr, layout.names)])
        raise ValueError(
            f"X must be a DataFrame or table with the columns {names}, since some "
            f"are no numbers. Got {type(rows).__name__} instead."
        )
    flat = flat_rows(rows, layout.row_shape)
    checked = validate_data(estimator, flat, reset=False, dtype=FLOATS)
    return InputRows(checked.reshape(len(checked), *layout.row_shape), layout)


def _go_by_name(columns: Mapping[str, FrameColumn], layout: Layout) -> bool:
    """Whether columns are chosen by name; otherwise scikit-learn says what is wrong with them."""
    has_more = {*layout.columns} < columns.keys()
    return bool(layout.kinds) or has_more or (*columns,) == layout.columns


def _is_plain(columns: Mapping[str, FrameColumn]) -> bool:
    """Whether all columns are numbers without gaps, as scikit-learn requires."""
    return all(
        column.kinds == (NUMBER,)
        and column.values.dtype.kind in "iuf"
        and not (column.is_index or column.gaps.any())
        for column in columns.values()
    )


def _read_columns(
    estimator: BaseEstimator,
    columns: Mapping[str, FrameColumn],
    fewest: int,
    wanted: WantedColumns,
) -> InputRows:
    n_rows = len(next(iter(columns.values())).gaps)
    if n_rows < fewest:
        raise ValueError(f"X must have at least {fewest} rows. Got {n_rows} instead.")
    _require_columns(columns, _asked(wanted), "that the parameters name")
    features, ignored = choose_features(columns, wanted.kinds)
    if {kind for _, kind in features} <= {ENTITY}:
        listed = _listed([f"{name!r} ({why})" for name, why in ignored.items()])
        raise ValueError(f"X must have a column that can be a feature. Got {listed} instead.")
    rows = _matrix(estimator, columns, features)
    names, kinds = zip(*features, strict=True)
    mixed = {*kinds} != {NUMBER}
    layout = Layout(
        row_shape=rows.shape[1:],
        dtype=rows.dtype.name,
        columns=names,
        kinds=kinds if mixed else (),
        max_levels=wanted.max_levels,
    )
    return InputRows(rows, layout, _texts(columns, features), ignored)


def _asked(wanted: WantedColumns) -> Sequence[tuple[str, str | None]]:
    """Return the columns that are asked for, with a kind; None for one to leave out."""
    return [(name, kinds[0] if kinds else None) for name, kinds in wanted.kinds.items()]


def _features(layout: Layout) -> Features:
    kinds = layout.kinds or (NUMBER,) * len(layout.columns)
    return list(zip(layout.columns, kinds, strict=True))


def _matrix(
    estimator: BaseEstimator, columns: Mapping[str, FrameColumn], features: Features
) -> NDArray[Any]:
    """Return features as the columns of an array (n, d): of float32 if all are, else float64."""
    values = [values_of_kind(columns[name], kind) for name, kind in features]
    narrow = all(each.dtype == np.float32 for each in values)
    rows = np.empty((len(values[0]), len(values)), np.float32 if narrow else np.float64)
    for index, each in enumerate(values):
        rows[:, index] = each
    return np.asarray(
        check_array(
            rows,
            dtype=FLOATS,
            ensure_all_finite="allow-nan",
            estimator=estimator,
            input_name="X",
        )
    )


def _texts(
    columns: Mapping[str, FrameColumn], features: Features
) -> dict[str, Mapping[float, str]]:
    return {name: columns[name].levels[1] for name, kind in features if kind not in UNKEYED}


def _require_columns(
    columns: Mapping[str, FrameColumn],
    features: Sequence[tuple[str, str | None]],
    which: str = "that the detector was fitted to",
) -> None:
    """Raise ValueError that names every column that is missing or of another kind than asked."""
    missing, unfit = {}, {}
    others = columns.keys() - dict(features).keys()
    for name, kind in features:
        if name not in columns:
            missing[name] = _with_hint(name, others)
        elif kind and not columns[name].can_be(kind):
            expected = KIND_NAMES.get(kind, "a category")
            unfit[name] = f"{name!r} ({columns[name].type}, not {expected})"
    problems = [f"missing: {_listed([*missing.values()])}"] if missing else []
    problems += [f"of another kind: {_listed([*unfit.values()])}"] if unfit else []
    if problems:
        raise ValueError(
            f"X must have the columns {which}. Got {'; '.join(problems)} "
            "instead; pass these columns, or fit again."
        )


def _with_hint(name: str, others: Iterable[str]) -> str:
    """Return a missing column with the one of the others that may be meant."""
    near = difflib.get_close_matches(name, [*others], n=1)
    return f"{name!r} (did you mean {near[0]!r}?)" if near else repr(name)


def _listed(texts: Sequence[str]) -> str:
    """List texts; of many, the first ones."""
    more = len(texts) - MOST_NAMED
    return ", ".join(texts[:MOST_NAMED]) + (f", and {more:,} others" if more > 0 else "")
