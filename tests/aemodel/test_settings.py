"""Settings validate themselves; errors name the key to change."""

from __future__ import annotations

import subprocess
import sys

import pytest

from aemodel.errors import SettingsError
from aemodel.settings import ModelSettings, TrainSettings


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("activation", "swish"),
        ("network", "transformer"),
        ("latent", 0),
        ("noise", -1.0),
        ("noise", float("nan")),
        ("hidden", (8, 0)),
        ("scaling", "max"),
    ],
)
def test_an_invalid_model_setting_is_named(key, value):
    with pytest.raises(SettingsError, match=rf"^model\.{key}"):
        ModelSettings(**{key: value})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("epochs", 0),
        ("batch_size", 0),
        ("learning_rate", 0.0),
        ("learning_rate", float("inf")),
        ("calibration", 0.95),
        ("device", "tpu"),
        ("seed", -1),
    ],
)
def test_an_invalid_train_setting_is_named(key, value):
    with pytest.raises(SettingsError, match=rf"^train\.{key}"):
        TrainSettings(**{key: value})


def test_bce_requires_a_sigmoid_output():
    with pytest.raises(SettingsError, match=r"model\.loss = 'bce' needs model\.output = 'sigmoid'"):
        ModelSettings(output="identity", loss="bce")


def test_patience_requires_validation_rows():
    with pytest.raises(SettingsError, match=r"train\.validation above 0"):
        TrainSettings(patience=3, validation=0.0)


def test_shares_must_leave_rows_to_fit_on():
    with pytest.raises(SettingsError, match=r"must be at most 0.9, to leave rows to fit on"):
        TrainSettings(calibration=0.5, validation=0.5)


def test_settings_do_not_import_torch():
    code = "import sys, aemodel.settings, aemodel.errors; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
