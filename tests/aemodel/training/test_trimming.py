"""train.trim: rows that stand apart are left out, be they single, loose or a tight group."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.metrics import roc_auc_score

from aemodel import AutoencoderDetector
from aemodel.rows.layout import Layout
from aemodel.rows.splits import hasher_for, sides_of
from aemodel.scores.novelty import far_ranks
from aemodel.settings import ModelSettings, TrainSettings
from aemodel.training.loop import CleanRows, train_autoencoder

pytestmark = pytest.mark.slow

FAST = ModelSettings(
    hidden=(), latent=3, prototypes=32, output="identity", loss="mse", scaling="minmax"
)


def bulk(n, seed=0, d=4):
    return np.random.default_rng(seed).normal(size=(n, d))


def tight_group(n, seed=1, d=4):
    """A group far denser than the bulk, within the range of every column."""
    return np.array([2.0, -2.0, 2.0, -2.0])[:d] + 0.01 * bulk(n, seed, d)


def fitted(rows, *, chunks=1, memory=10**9, **settings):
    train = TrainSettings(epochs=3, **settings)
    layout = Layout(row_shape=rows.shape[1:], dtype=rows.dtype.name, columns=())
    clean = CleanRows(lambda: np.array_split(rows, chunks), layout, memory)
    return train_autoencoder(clean, model=FAST, train=train)


def in_fit_split(rows, trained):
    train = trained.model.train_settings
    return sides_of(hasher_for(train)(rows), train).fit


@pytest.mark.parametrize("trim", [0.02, 0.05, 0.2])
def test_a_tight_group_is_found_though_its_rows_are_near_each_other(trim):
    rows, seen = np.concatenate([bulk(990), tight_group(10)]), bulk(500, seed=2)
    new = np.concatenate([seen, tight_group(10, seed=3)])
    labels = np.arange(len(new)) >= len(seen)
    plain, trimmed = (
        -AutoencoderDetector(epochs=20, trim=share).fit(rows).score_samples(new)
        for share in (0.0, trim)
    )

    assert roc_auc_score(labels, plain) < 0.9
    assert roc_auc_score(labels, trimmed) > 0.97


def test_rows_of_the_group_are_left_out_and_listed():
    rows = np.concatenate([tight_group(20), bulk(980)])
    trained = fitted(rows, trim=0.05)
    group = np.flatnonzero(in_fit_split(rows, trained)[:20])

    assert trained.n_left_out == int(0.05 * in_fit_split(rows, trained).sum())
    assert set(group) <= {row for row, _ in trained.left_out}


def test_the_counts_still_add_up_to_all_rows():
    trained = fitted(bulk(500), trim=0.1)

    assert trained.n_fit + trained.n_validation + trained.n_calibration == 500


def test_outliers_do_not_stretch_the_scales_of_a_trimmed_fit():
    rows = np.concatenate([bulk(950), bulk(50, seed=1) * [30, 1, 1, 1]])
    plain, trimmed = (fitted(rows, trim=trim).model.scaler.scale[0] for trim in (0.0, 0.06))

    assert trimmed < 0.3 * plain


def digits_with_few_zeros():
    """1,132 digits 1 to 9, and 60 zeros, which are as near each other as the other digits are."""
    rows, digits = load_digits(return_X_y=True)
    return np.concatenate([rows[digits == 0][:60], rows[digits > 0][:1132]])


def test_a_small_group_that_is_no_tighter_than_the_bulk_is_left_out():
    rows = digits_with_few_zeros()
    trained = fitted(rows, trim=0.05)
    zeros = rows[:60][in_fit_split(rows, trained)[:60]]
    kept = {row.tobytes() for row in trained.model.measured.reference.rows}

    assert sum(row.tobytes() in kept for row in zeros) < 0.1 * len(zeros)
    assert trained.n_left_out <= 3 * 0.05 * trained.n_fit


def test_rows_that_mostly_have_copies_form_no_small_groups():
    rows = np.repeat(bulk(100), 10, axis=0)

    assert fitted(rows, trim=0.1).n_left_out <= 0.1 * len(rows)


def test_no_row_is_left_out_without_trim():
    assert fitted(np.concatenate([bulk(300), tight_group(5)])).n_left_out == 0


def test_rows_that_stream_from_the_source_are_left_out_alike():
    rows = np.concatenate([bulk(4_000), tight_group(60)])
    whole, streamed = (
        fitted(rows, trim=0.05, chunks=chunks, memory=memory)
        for chunks, memory in ((1, 10**9), (40, 100_000))
    )

    assert streamed.n_left_out == pytest.approx(whole.n_left_out, rel=0.25)
    group = range(4_000, 4_060)
    kept = {row.tobytes() for row in streamed.model.measured.reference.rows}
    assert not any(rows[each].tobytes() in kept for each in group)


def test_a_state_that_is_half_of_the_rows_is_not_left_out():
    rows = np.concatenate([np.tile(bulk(1), (500, 1)), bulk(500, seed=5)])
    kept = {row.tobytes() for row in fitted(rows, trim=0.1).model.measured.reference.rows}

    assert rows[0].tobytes() in kept


def test_rows_with_gaps_can_be_trimmed():
    rows = np.concatenate([bulk(490), tight_group(10)])
    rows[::7, 1] = np.nan

    assert fitted(rows, trim=0.1).n_left_out > 0


def test_far_ranks_are_evenly_spaced_up_to_half_the_count():
    assert far_ranks(17).tolist() == [6, 7, 8]
    assert far_ranks(5).tolist() == far_ranks(11).tolist() == []
    many = far_ranks(330)
    assert many.tolist() == [*range(15, 166, 10)]


def test_novelty_knows_the_rows_that_were_kept_but_for_those_with_the_largest_errors():
    rows = np.concatenate([bulk(480), tight_group(20)])
    trained = fitted(rows, trim=0.05)
    reference = trained.model.measured.reference

    kept = trained.n_fit - trained.n_left_out
    assert (reference.copies - reference.held_out).sum() == kept - int(0.05 * kept)
    assert 0.75 * trained.n_validation < reference.held_out.sum() <= 0.96 * trained.n_validation
    assert not {row.tobytes() for row in rows[480:]} & {row.tobytes() for row in reference.rows}


def test_a_trimmed_model_scores_alike_after_a_round_trip():
    rows = np.concatenate([bulk(390), tight_group(10)])
    detector = AutoencoderDetector(epochs=3, trim=0.05).fit(rows)
    again = AutoencoderDetector.from_files(detector.to_files())

    assert len(again.model_.measured.reference.ranks) > 0
    assert again.score_samples(rows).tolist() == detector.score_samples(rows).tolist()
