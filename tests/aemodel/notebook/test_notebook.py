"""How notebooks show a detector, its causes, and its scores."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import polars as pl
import pytest
from matplotlib import pyplot

from aemodel import AutoencoderDetector
from aemodel.explain.causes import Cause
from aemodel.notebook.explanation import Explanation
from aemodel.notebook.histogram import log_edges, score_plot
from aemodel.notebook.tables import MOST_ROWS, html_table

HOSTILE = '<script>alert("x")</script>'


@pytest.fixture(scope="module")
def detector() -> AutoencoderDetector:
    """A detector that was fitted to a frame with a hostile column name."""
    random = np.random.default_rng(0)
    frame = pl.DataFrame(
        {
            "warm": random.normal(size=200),
            HOSTILE: random.normal(size=200),
            "note": [f"call {number}" for number in range(200)],
        }
    )
    return AutoencoderDetector(epochs=2, members=1, prototypes=16, hidden=(8,)).fit(frame)


@pytest.fixture
def drawing():
    """Matplotlib without a screen; figures are closed after the test."""
    with mpl.rc_context({"backend": "agg"}):
        yield
    pyplot.close("all")


def test_an_unfitted_detector_is_shown_as_scikit_learn_does():
    shown = AutoencoderDetector()._repr_html_()

    assert "AutoencoderDetector" in shown
    assert "Not fitted" in shown
    assert "guarantee" not in shown


def test_a_fitted_detector_shows_features_and_guarantee(detector):
    shown = detector._repr_html_()

    assert "AutoencoderDetector, fitted" in shown
    assert "note (ids: distinct in all rows)" in shown
    assert detector.promise_ in shown


def test_a_notebook_asks_for_text_and_html_at_once(detector):
    bundle = detector._repr_mimebundle_(include=None, exclude=None)

    assert bundle == {"text/plain": repr(detector), "text/html": bundle["text/html"]}
    assert "guarantee" in bundle["text/html"]


def test_column_names_are_only_text(detector):
    assert HOSTILE not in detector._repr_html_()
    assert "&lt;script&gt;" in detector._repr_html_()


def test_an_explanation_is_a_list_and_shown_as_a_table(detector):
    found = detector.explain(pl.DataFrame({"warm": [0.0, 9.0], HOSTILE: [0.0, 0.0]}))

    assert found == list(found)
    assert found._repr_html_().count("<tr>") == 3
    assert HOSTILE not in found._repr_html_()


def test_an_explanation_is_printed_with_a_row_and_its_cause_on_each_line():
    causes = [
        Cause("amount 9 where '3\" was expected", ()),
        Cause("name '\x1b[31m' never seen", ()),
    ]

    assert repr(Explanation(causes)).splitlines() == [
        "row 0: amount 9 where '3\" was expected",
        "row 1: name '\\x1b[31m' never seen",
    ]
    assert repr(Explanation(causes * 30)).splitlines()[-1] == "and 10 more"
    assert repr(Explanation()) == "no rows"


def test_causes_are_only_text():
    assert HOSTILE not in Explanation([Cause(HOSTILE, ())])._repr_html_()


def test_a_long_table_ends_with_the_number_of_rows_left_out():
    shown = html_table([(number,) for number in range(MOST_ROWS + 1_200)])

    assert shown.endswith("<p>and 1,200 more</p>")
    assert shown.count("<tr>") == MOST_ROWS


def test_the_plot_shows_calibration_rows_and_the_cut(detector, drawing):
    axes = detector.plot()

    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert labels == ["clean rows (calibration)", "cut"]
    assert axes.lines[0].get_xdata()[0] == pytest.approx(-detector.offset_)


def test_the_plot_adds_rows_to_given_axes(detector, drawing):
    _, axes = pyplot.subplots()
    rows = pl.DataFrame({"warm": [0.0, 9.0], HOSTILE: [0.0, 0.0]})

    assert detector.plot(rows, ax=axes) is axes
    assert len(axes.patches) == 2
    assert axes.patches[1].get_data().values.sum() == pytest.approx(1)


def test_scores_of_zero_or_infinity_are_drawn_at_the_ends(drawing):
    scores = np.array([0.0, 1.0, 10.0])
    axes = score_plot(scores, np.array([np.inf]), np.inf, name="error", axes=None)

    clean, rows = (patch.get_data().values for patch in axes.patches)
    assert (clean[0], rows[-1]) == (pytest.approx(2 / 3), 1)
    assert len(axes.lines) == 0


def test_bins_hold_every_finite_score():
    edges = log_edges(np.array([0.0, 2.0, 50.0, np.inf]))

    assert edges[0] < 2 < 50 < edges[-1]
    assert (np.diff(edges) > 0).all()
