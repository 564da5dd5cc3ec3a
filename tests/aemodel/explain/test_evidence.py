"""Evidence: range, latent and residual find what the error alone misses."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from blind import FAR, blind_model, clean_rows

from aemodel.bundle import from_files, to_files
from aemodel.explain.evidence import SIDES, evidence, evidence_p_values


@pytest.fixture(scope="module")
def blind():
    return blind_model(clean_rows()).model


def sides_of(model, rows):
    rebuilt = model.rebuild(rows)
    return evidence(model, rebuilt.scaled, rebuilt.latents, rebuilt.errors)


def test_a_missing_value_is_no_evidence_of_range(blind):
    whole = clean_rows(200, seed=3) / 4
    gappy = whole.copy()
    gappy[:, 1] = np.nan
    sides = evidence_p_values(blind, blind.rebuild(gappy))

    assert (sides[SIDES.index("range")] > 0.2).all()
    empty = blind.rebuild(np.full((1, 3), np.nan))
    assert (evidence_p_values(blind, empty)[0] == 1.0).all()


def test_each_side_finds_its_own_kind_of_anomaly(blind):
    poorly_reconstructed = np.array([0.1, 0.1, 2.5])
    rows = blind.rebuild(np.stack([FAR, poorly_reconstructed]))
    by_range, by_latent, by_residual = evidence_p_values(blind, rows)

    assert (by_range[0], by_latent[0]) == (by_range.min(), by_latent.min())
    assert by_residual[0] == 1.0
    assert by_range[0] == 1 / (len(blind.calibration) + 1)
    assert by_residual[1] < 0.05 < by_latent[1]


def test_evidence_of_calibration_rows_is_ascending_and_survives_the_bundle(blind):
    back = from_files(to_files(blind))
    rows = np.stack([FAR, clean_rows(1)[0]])

    assert (np.diff(back.measured.evidence, axis=1) >= 0).all()
    assert (sides_of(back, rows) == sides_of(blind, rows)).all()
    assert (back.scores(rows)[1] == blind.scores(rows)[1]).all()


def test_without_calibration_rows_there_are_no_p_values(blind):
    uncalibrated = replace(blind.measured, calibration=np.empty(0))
    without = replace(blind, measured=uncalibrated)

    assert evidence_p_values(without, without.rebuild(clean_rows(2))) is None


def test_evidence_does_not_change_its_input(blind):
    rows = np.concatenate([clean_rows(50), np.full((1, 3), np.nan)])
    before = rows.copy()
    sides_of(blind, rows)

    assert rows.tobytes() == before.tobytes()
