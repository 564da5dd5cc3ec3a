"""Several processes fit one network together, as one process would."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from aemodel.errors import SettingsError
from aemodel.rows.layout import Layout
from aemodel.settings import ModelSettings, TrainSettings
from aemodel.training.epochs.course import BetweenEpochs
from aemodel.training.epochs.ranks import Ranks
from aemodel.training.loop import CleanRows, fit_autoencoder

TABLE = {"hidden": (8,), "latent": 2, "output": "identity", "loss": "mse", "scaling": "standard"}
MODEL = ModelSettings(**TABLE, noise=0.1, members=2, l1=1e-3, l2=1e-4)
TRAIN = TrainSettings(epochs=6, batch_size=33, learning_rate=5e-3, patience=4)  # last batch: 1 row
HALF = 3  # epochs before the state that is resumed


def losses(states=(), keep=lambda _: None):
    """Fit, from the first of `states` if there is one; return the losses and all weights."""
    random = np.random.default_rng(0)
    rows = random.normal(size=(323, 2)) @ random.normal(size=(2, 6)) + random.normal(size=(323, 6))
    rows[::3, 0] = np.nan
    clean = CleanRows(lambda: [rows], Layout(row_shape=(6,), dtype="float64"), 10**7)
    between = BetweenEpochs(resume=lambda: next(iter(states), None), keep=keep)
    fitted, _, history = fit_autoencoder(clean, model=MODEL, train=TRAIN, between=between)
    weights = torch.cat([each.ravel() for m in fitted.members for each in m.parameters()])
    return [(each.train_loss, each.validation_loss) for each in history.epochs], weights.tolist()


def fit_as_one_of_two(rank, meeting, out):
    """Fit twice: from the start, then from what the first process alone knows of half-way."""
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{meeting}", rank=int(rank), world_size=2
    )
    states = []
    unbroken = losses(keep=lambda state: states.append(state()))
    resumed = losses(states[HALF - 1 : HALF] if rank == "0" else ())
    Path(out).write_text(json.dumps([unbroken, resumed]), encoding="utf-8")
    torch.distributed.destroy_process_group()


@pytest.mark.slow
def test_two_processes_take_the_steps_of_one_and_resume_together(tmp_path):
    outs = [tmp_path / f"{rank}.json" for rank in range(2)]
    started = [
        subprocess.Popen([sys.executable, __file__, str(rank), tmp_path / "meeting", out])
        for rank, out in enumerate(outs)
    ]
    assert [each.wait(timeout=120) for each in started] == [0, 0]
    first, second = (json.loads(out.read_text()) for out in outs)
    alone = losses()

    assert first == second
    assert first[0] == first[1]
    for found, expected in zip(first[0], alone, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


def test_the_shares_of_a_batch_are_all_of_it():
    for n in (2, 3, 7, 64):
        shares = [Ranks(rank, 3).share(n) for rank in range(3)]
        rows = np.concatenate([np.arange(n)[some] for some, _ in shares])

        assert sum(weight for _, weight in shares) == pytest.approx(1)
        assert set(rows) == set(range(n))


def test_a_loss_that_compares_the_rows_of_a_batch_is_not_shared():
    train = TrainSettings(trim=0.1)

    Ranks().require_shares(train)
    with pytest.raises(SettingsError, match=r"train\.trim must be 0 with several"):
        Ranks(0, 2).require_shares(train)


if __name__ == "__main__":
    fit_as_one_of_two(*sys.argv[1:])
