"""Results for a row depend neither on its position in a batch nor on the number of threads."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from aemodel.bundle import MEASURED
from aemodel.measured import Measured
from aemodel.model import Autoencoder
from aemodel.network.dense import DenseAutoencoder, finish_output
from aemodel.network.inference import batch_rows
from aemodel.rows.layout import Layout
from aemodel.rows.scaling import Scaler
from aemodel.scores.novelty import Reference
from aemodel.settings import ACTIVATIONS, ModelSettings


@pytest.fixture(params=[1, 2, 3, 5])
def threads(request):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def untrained(d: int, **settings) -> Autoencoder:
    model = ModelSettings(loss="mse", scaling="none", **settings)
    networks = tuple(
        DenseAutoencoder(d, model, torch.Generator().manual_seed(seed)).eval()
        for seed in range(model.members)
    )
    scaler = Scaler.inverse_only(np.zeros(d), np.ones(d))
    none = np.empty(0)
    reference = Reference(
        rows=np.random.default_rng(1).random((40, d), np.float32),
        copies=np.ones(40, np.int64),
        held_out=np.zeros(40, np.int64),
        floor=np.full(2, 1e-9),
        typical=np.zeros(2),
    )
    measured = Measured(
        **{**dict.fromkeys(MEASURED, none), "usual": np.array([0.1, 0.7, -2.0])},
        reference=reference,
    )
    return Autoencoder(networks, model, Layout(row_shape=(d,), dtype="float32"), scaler, measured)


@pytest.mark.parametrize(
    ("d", "hidden", "latent"), [(1, (), 1), (49, (), 8), (33, (17, 5), 3), (784, (65,), 8)]
)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_a_row_has_the_same_bits_at_every_position_in_a_batch(
    threads, d, hidden, latent, activation
):
    model = untrained(d, hidden=hidden, latent=latent, activation=activation)
    rows = np.repeat(np.random.default_rng(d).random((1, d), np.float32), model.size + 3, axis=0)
    latents, errors = model.encode_and_errors(rows)
    assert (latents.view(np.uint32) == latents[:1].view(np.uint32)).all()
    assert (errors == errors[0]).all()
    rebuilt = model.decoder.decode_exactly(latents)
    assert (rebuilt == rebuilt[:1]).all()


def test_rows_decoded_in_a_narrower_dtype_are_rounded_once():
    model = untrained(9, hidden=(6,), latent=4)
    decoder = replace(model.decoder, scaler=Scaler.inverse_only(np.full(9, 1e6), np.full(9, 3.7)))
    latents = model.encode(np.random.default_rng(0).random((50, 9), np.float32))
    exact = decoder.decode_exactly(latents)

    assert exact.dtype == np.float64
    rounded = decoder.decode_rounded(latents, "float32")
    np.testing.assert_array_equal(rounded, exact.astype(np.float32), strict=True)


def test_latents_have_an_activation_only_without_hidden_layers():
    rows = np.random.default_rng(0).random((50, 9), np.float32)
    assert untrained(9, latent=4).encode(rows).min() == 0
    assert untrained(9, hidden=(6,), latent=4).encode(rows).min() < 0


@pytest.mark.parametrize(
    ("d", "hidden", "latent"),
    [(33, (17, 5), 3), pytest.param(784, (65,), 8, marks=pytest.mark.slow)],
)
def test_a_row_has_the_same_scores_at_every_position_in_a_batch(threads, d, hidden, latent):
    model = untrained(d, hidden=hidden, latent=latent, prototypes=70, output="identity", members=2)
    rows = np.repeat(np.random.default_rng(d).random((1, d), np.float32), model.size + 3, axis=0)
    errors, novelties, relatives = model.scores(rows)
    assert (errors == model.errors(rows[:7])[0]).all()
    assert (novelties == model.scores(rows[:1])[1]).all()
    assert (relatives == model.scores(rows[:1])[2]).all()


def test_a_missing_value_in_one_row_does_not_change_the_others():
    model = untrained(5, latent=2)
    rows = np.random.default_rng(0).random((20, 5), np.float32)
    gappy = rows.copy()
    gappy[3, 1] = np.nan
    np.testing.assert_array_equal(
        np.delete(model.errors(gappy), 3), np.delete(model.errors(rows), 3)
    )


@pytest.mark.parametrize(("prototypes", "output"), [(0, "sigmoid"), (300, "identity")])
def test_scores_agree_with_float64(prototypes, output):
    model = untrained(
        49, hidden=(20,), latent=8, activation="gelu", prototypes=prototypes, output=output
    )
    rows = np.random.default_rng(0).random((1_300, 49), np.float32)
    with torch.inference_mode():
        _, logits = model.members[0].double()(torch.from_numpy(rows).double())
        exact = finish_output(logits, output).numpy()
    model.members[0].float()
    expected = ((exact - rows) ** 2).mean(axis=1)
    np.testing.assert_allclose(model.errors(rows), expected, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("threads", [1, 2, 3, 6, 7, 12, 16, 31, 48])
@pytest.mark.parametrize("widths", [(1, 1), (784, 8), (784, 256, 64, 8), (1_000_000, 64)])
def test_batch_size_respects_its_limits(monkeypatch, threads, widths):
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    rows = batch_rows(widths, "cpu")
    assert rows % 64 == 0
    assert rows == 64 or rows * max(widths) <= 8 * 4_194_304


def test_no_rows_give_empty_results():
    latents, errors = untrained(5, latent=2).encode_and_errors(np.empty((0, 5), np.float32))
    assert (latents.shape, errors.shape) == ((0, 2), (0,))
