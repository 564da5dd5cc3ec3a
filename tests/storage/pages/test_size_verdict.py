"""Whether a store is worth it, in words."""

from __future__ import annotations

import pytest

from storage.pages.size_verdict import size_verdict


def report(*, break_even=10, grid=(), ratio=8.0):
    return {
        "rows": 1_000,
        "ratio": {"source": ratio, "lossless": 3.0},
        "break_even_rows": break_even,
        "loss": {"rmse": 0.1},
        "error_against_ratio": [
            {"codec": "grid", "ratio": each, "rmse": rmse} for each, rmse in grid
        ],
    }


@pytest.mark.parametrize(
    ("facts", "heading"),
    [
        (report(), "Worth it"),
        (report(grid=[(4.0, 0.1), (99.0, 0.2)]), "Worth it"),
        (report(grid=[(9.0, 0.05)]), "Rounding is smaller"),
        (report(break_even=2_000), "Not worth it yet"),
        (report(break_even=None), "Not worth it"),
    ],
)
def test_a_store_is_worth_it_if_neither_lossless_nor_rounding_is_smaller(facts, heading):
    assert size_verdict(facts)[0] == heading


def test_the_sentence_compares_with_rounding_at_no_larger_error():
    _, sentence = size_verdict(report(grid=[(4.0, 0.1), (99.0, 0.2)]))

    assert "3 times smaller than lossless compression" in sentence
    assert "and 2 times smaller than rounding to a grid" in sentence
