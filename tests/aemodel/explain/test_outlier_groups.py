"""Groups of rows that stand out in the same way."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from aemodel.explain.outlier_groups import feature_signatures, group_rows, region_signatures

MODES = [
    {"a higher": 0.6, "b higher": 0.4},
    {"a lower": 0.9, "c higher": 0.1},
    {"d higher": 1.0},
    {"e unusual": 0.7, "f lower": 0.3},
    {"b lower": 0.5, "g higher": 0.5},
]


def night(seed, n=200):
    """Rows of the five modes with noisy shares: (shares, mode of each row)."""
    random = np.random.default_rng(seed)
    kinds = random.integers(0, len(MODES), n)
    noisy = [
        {name: share * random.uniform(0.7, 1) for name, share in MODES[kind].items()}
        for kind in kinds.tolist()
    ]
    return noisy, kinds


def labels_of(groups, n):
    labels = -np.ones(n, int)
    for place, group in enumerate(groups):
        labels[list(group.rows)] = place
    return labels


@pytest.mark.parametrize("seed", range(3))
def test_rows_of_five_modes_form_five_groups(seed):
    shares, kinds = night(seed)
    groups = group_rows(feature_signatures(shares))

    assert adjusted_rand_score(kinds, labels_of(groups, 200)) >= 0.9


def test_the_same_mode_has_the_same_id_in_every_night():
    nights = [group_rows(feature_signatures(night(seed)[0])) for seed in range(3)]
    ids = [{group.shared: group.id for group in groups} for groups in nights]

    assert ids[0] == ids[1] == ids[2]
    assert len(set(ids[0].values())) == 5


def test_a_group_is_named_by_what_its_rows_share():
    [group] = group_rows(feature_signatures([MODES[0], MODES[0]]))

    assert (group.shared, list(group.rows)) == ("a higher, b higher", [0, 1])


def test_a_row_like_no_other_is_in_no_group():
    assert group_rows(feature_signatures(MODES)) == []
    assert group_rows(feature_signatures(MODES[:1])) == []


def test_images_and_signals_are_grouped_by_region_and_direction():
    images = np.zeros((6, 30, 30))
    images[:3, :10, :10], images[3:, 20:, 20:] = 1, -1
    signals = np.zeros((4, 300, 2))
    signals[:2, 250:], signals[2:, :40] = -1, 1

    assert [each.shared for each in group_rows(region_signatures(images))] == [
        "upper left higher",
        "lower right lower",
    ]
    assert [each.shared for each in group_rows(region_signatures(signals))] == [
        "end lower",
        "beginning higher",
    ]


def test_rows_without_a_finite_difference_form_no_group():
    assert group_rows(region_signatures(np.full((3, 40), np.nan))) == []
