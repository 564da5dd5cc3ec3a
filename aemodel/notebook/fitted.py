"""A fitted detector in a notebook: what it learned and promises, above scikit-learn's diagram."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sklearn.utils import estimator_html_repr

from aemodel.notebook.tables import html_table

MOST_NAMED = 10  # columns in one cell


class NotebookView:
    """Shows an estimator as scikit-learn does, and once fitted, what it learned and promises."""

    def _repr_html_(self) -> str:
        found = estimator_html_repr(self)
        return (fitted_table(self) if hasattr(self, "model_") else "") + str(found)

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        return {"text/plain": repr(self), "text/html": self._repr_html_()}


def fitted_table(detector: Any) -> str:
    """Return a table of what a fitted detector learned and promises."""
    title = f"{type(detector).__name__}, fitted"
    return html_table(list(_facts(detector)), title=title)


def _facts(detector: Any) -> Iterator[tuple[str, object]]:
    names = getattr(detector, "feature_names_in_", ())
    listed = f": {_listed(names)}" if len(names) else ""
    yield "features", f"{detector.n_features_in_:,}{listed}"
    ignored: Mapping[str, str] = getattr(detector, "ignored_", {})
    if ignored:
        yield "not used", _listed([f"{name} ({why})" for name, why in ignored.items()])
    yield "rule", detector.rule
    yield "outliers score below", f"{detector.offset_:.6g}"
    yield "guarantee", detector.promise_


def _listed(names: Any) -> str:
    more = len(names) - MOST_NAMED
    shown = ", ".join(str(name) for name in names[:MOST_NAMED])
    return f"{shown}, and {more:,} more" if more > 0 else shown
