"""Ensembles fitted as one network, their bundles, and trimmed fits."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from aemodel.bundle import from_files, to_files
from aemodel.decoder_files import decoder_files, decoder_from_files
from aemodel.errors import SettingsError
from aemodel.network.build import build_network
from aemodel.network.ensemble import Ensemble
from aemodel.rows.layout import Layout
from aemodel.rows.preparation.prepare import prepare_rows
from aemodel.settings import ModelSettings, TrainSettings
from aemodel.training.epochs.course import NO_CALLS, BetweenEpochs
from aemodel.training.loop import CleanRows, fit_ensemble, train_autoencoder
from aemodel.training.losses import without_worst

TABLE = {
    "hidden": (12,),
    "latent": 3,
    "activation": "silu",
    "output": "identity",
    "loss": "mse",
    "scaling": "standard",
}
IMAGES = {"network": "conv", "hidden": (4,), "latent": 3}


def table(n=300, d=6, seed=0):
    random = np.random.default_rng(seed)
    return random.normal(size=(n, 2)) @ np.random.default_rng(9).normal(
        size=(2, d)
    ) + 0.05 * random.normal(size=(n, d))


def images(n=100):
    return np.random.default_rng(0).integers(0, 255, (n, 8, 8)).astype(np.uint8)


def train(rows, settings, between=NO_CALLS, **more):
    chosen = TrainSettings(
        **{
            "epochs": 3,
            "batch_size": 64,
            "learning_rate": 3e-3,
            "calibration": 0.2,
            "validation": 0.2,
            **more,
        }
    )
    layout = Layout(row_shape=rows.shape[1:], dtype=rows.dtype.name)
    return train_autoencoder(
        CleanRows(lambda: [rows], layout, memory_bytes=10**8),
        model=ModelSettings(**settings),
        train=chosen,
        between=between,
    )


def fitted(seeds, *, epochs=5, **more):
    """Return the weights of networks with these seeds, fitted together on the same batches."""
    rows = table()
    model = ModelSettings(**TABLE, members=len(seeds), **more)
    chosen = TrainSettings(epochs=epochs, batch_size=50)
    seen = prepare_rows(
        lambda: [rows],
        layout=Layout(row_shape=(6,), dtype="float64"),
        model=model,
        train=chosen,
        memory_bytes=10**8,
    )
    networks = [build_network((6,), model, torch.Generator().manual_seed(seed)) for seed in seeds]
    ensemble = Ensemble(networks)
    order = torch.Generator().manual_seed(1)
    fit_ensemble(ensemble, seen, model=model, generator=order)
    return [
        torch.cat([weight.detach().ravel() for weight in member.parameters()])
        for member in ensemble.unstacked()
    ]


@pytest.mark.parametrize("more", [{}, {"tied": True}, {"l1": 0.1, "l2": 0.01}])
def test_members_fitted_together_equal_members_fitted_alone(more):
    together = fitted([3, 4, 5], **more)

    for seed, weights in zip([3, 4, 5], together, strict=True):
        torch.testing.assert_close(weights, fitted([seed], **more)[0], rtol=1e-3, atol=1e-4)
    assert not torch.allclose(together[0], together[1], atol=0.05)


@pytest.mark.parametrize("gradients", [True, False])
@pytest.mark.parametrize(
    ("settings", "shape"), [(TABLE, (6,)), (IMAGES, (8, 8)), ({**TABLE, "tied": True}, (6,))]
)
def test_an_ensemble_agrees_with_its_members(settings, shape, gradients):
    model = ModelSettings(**settings)
    members = [
        build_network(shape, model, torch.Generator().manual_seed(seed)) for seed in range(3)
    ]
    rows = torch.rand(3, 7, int(np.prod(shape)), generator=torch.Generator().manual_seed(0))

    for count in (1, 3):
        with torch.set_grad_enabled(gradients):
            latents, logits = Ensemble(members[:count])(rows[:count])
        for place, member in enumerate(members[:count]):
            alone = member(rows[place])
            torch.testing.assert_close(latents[place], alone[0], rtol=1e-4, atol=1e-5)
            torch.testing.assert_close(logits[place], alone[1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("combine", "expected"), [("mean", np.mean), ("max", np.max)])
def test_the_error_of_an_ensemble_is_the_mean_or_maximum_of_its_members(combine, expected):
    model = train(table(), {**TABLE, "members": 3, "combine": combine}).model
    rows = table(50, seed=1)
    alone = [
        type(model)((member,), model.settings, model.layout, model.scaler, model.measured).errors(
            rows
        )
        for member in model.members
    ]

    np.testing.assert_allclose(model.errors(rows), expected(alone, axis=0), rtol=1e-12)
    assert len({tuple(errors) for errors in alone}) == 3


def test_an_ensemble_of_one_equals_the_single_network():
    rows = table()
    plain = train(rows, TABLE).model
    one = train(rows, {**TABLE, "members": 1, "combine": "max"}).model

    assert (plain.errors(rows) == one.errors(rows)).all()
    assert (plain.encode(rows) == one.encode(rows)).all()


@pytest.mark.parametrize(
    ("settings", "rows"),
    [
        ({**TABLE, "members": 3}, table()),
        ({**TABLE, "members": 2, "combine": "max", "tied": True}, table()),
        ({**TABLE, "members": 2, "prototypes": 20}, table()),
        ({**IMAGES, "members": 2}, images()),
    ],
)
def test_bundle_and_decoder_restore_every_kind_of_network(settings, rows):
    model = train(rows, settings, epochs=1).model
    files = to_files(model)
    back, decoder = from_files(files), decoder_from_files(decoder_files(model))
    latents = model.encode(rows)

    assert to_files(back) == files
    assert all(
        (one == other).all()
        for one, other in zip(back.scores(rows), model.scores(rows), strict=True)
    )
    assert (decoder.decode(latents) == model.decoder.decode(latents)).all()


def test_early_stopping_restores_the_best_weights_of_every_member():
    states = []
    between = BetweenEpochs(keep=lambda state: states.append(state()))
    settings = {**TABLE, "members": 2}
    trained = train(table(), settings, between, epochs=30, patience=2, learning_rate=0.05)
    losses = [epoch.validation_loss for epoch in trained.history]
    best = states[trained.best_epoch - 1].weights

    assert trained.best_epoch == int(np.argmin(losses)) + 1 < len(losses)
    for place, member in enumerate(trained.model.members):
        for name, weight in member.named_parameters():
            assert (weight.detach().numpy() == best[name][place]).all()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"members": 0}, "model.members must be at least 1. Got 0"),
        ({"members": 10**6}, "model.members must be at most 100. Got 1,000,000"),
        ({"prototypes": 10**12}, "model.prototypes must be at most 1,000,000"),
        ({"hidden": (8, 10**12)}, r"model.hidden\[1\] must be at most 1,000,000"),
        ({"prototypes": -1}, "model.prototypes must be at least 0"),
        ({"combine": "median"}, "model.combine must be one of mean, max"),
        ({"prototypes": 5, "network": "conv"}, "model.prototypes needs model.network = 'dense'"),
        ({"prototypes": 5}, "model.prototypes needs model.output = 'identity'"),
        (
            {"prototypes": 5, "output": "identity", "loss": "mse", "tied": True},
            "model.prototypes needs model.tied = False",
        ),
    ],
)
def test_invalid_ensemble_and_prototype_settings_name_the_key(settings, message):
    with pytest.raises(SettingsError, match=message):
        ModelSettings(**settings)


@pytest.mark.parametrize("trim", [-0.1, 0.6, float("nan")])
def test_a_trim_outside_0_to_0_5_is_refused(trim):
    with pytest.raises(SettingsError, match=r"train.trim must be a share from 0 to 0.5. Got"):
        TrainSettings(trim=trim)


def test_trimming_drops_the_highest_losses_but_never_all():
    losses = torch.tensor([5.0, 1.0, 3.0, 2.0])

    assert sorted(without_worst(losses, 0.5).tolist()) == [1.0, 2.0]
    assert without_worst(losses, 0.2).tolist() == losses.tolist()
    assert without_worst(losses[:1], 0.5).tolist() == [5.0]


def planted(n=600, bad=40):
    """Return rows with opposite pairs of features; the first `bad` rows have equal pairs."""
    random = np.random.default_rng(0)
    first = random.normal(size=(n, 3))
    rows = np.concatenate([first, -first], axis=1) + 0.02 * random.normal(size=(n, 6))
    rows[:bad, 3:] = rows[:bad, :3]
    return rows, bad


def test_a_trimmed_fit_does_not_learn_contaminated_rows():
    rows, bad = planted()
    settings = {**TABLE, "latent": 6, "activation": "elu", "hidden": ()}
    more = {"epochs": 60, "learning_rate": 0.01, "calibration": 0, "validation": 0}
    plain, trimmed = (train(rows, settings, trim=trim, **more).model for trim in (0.0, 0.15))

    assert np.median(trimmed.errors(rows[:bad])) > 5 * np.median(plain.errors(rows[:bad]))
    assert np.median(trimmed.errors(rows[:bad])) > 20 * np.median(trimmed.errors(rows[bad:]))


def test_a_trimmed_fit_keeps_contaminated_rows_out_of_the_reference():
    rows, bad = planted()
    settings = {**TABLE, "latent": 6, "activation": "elu", "hidden": ()}
    model = train(
        rows, settings, trim=0.15, epochs=30, learning_rate=0.01, calibration=0, validation=0
    ).model
    reference = {row.tobytes() for row in model.measured.reference.rows}

    assert sum(row.tobytes() in reference for row in rows[:bad]) <= 0.1 * bad
    assert sum(row.tobytes() in reference for row in rows[bad:]) > 300
