"""The convolutional network: shapes, reproducible bits, bundle and decoder, invalid input."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from aemodel.bundle import from_files, to_files
from aemodel.decoder_files import decoder_files, decoder_from_files
from aemodel.errors import BundleError, SettingsError
from aemodel.network.build import build_network
from aemodel.network.conv import image_shape, plan_levels
from aemodel.network.inference import layer_widths
from aemodel.rows.layout import Layout
from aemodel.rows.preparation.prepare import prepare_rows
from aemodel.settings import ACTIVATIONS, ModelSettings, TrainSettings
from aemodel.training.epochs.batches import Batches
from aemodel.training.loop import CleanRows, train_autoencoder
from aemodel.training.measure import unmeasured_model

SHAPES = [
    *[(8, 8), (28, 28), (17, 23), (5, 6, 2), (4,), (5, 2)],
    *[pytest.param(shape, marks=pytest.mark.slow) for shape in ((28, 28, 3), (140,), (140, 3))],
]


def images(n=300, shape=(12, 12), seed=0):
    """Return bright squares at random positions, uint8 (n, *shape)."""
    random = np.random.default_rng(seed)
    rows = np.zeros((n, *shape), np.uint8)
    for row, top, left in zip(rows, *random.integers(0, shape[0] - 4, (2, n)), strict=True):
        row[top : top + 4, left : left + 4] = random.integers(150, 255)
    return rows


def waves(n=300, length=100):
    """Return sines of random phase, float32 (n, length)."""
    phases = np.random.default_rng(0).uniform(0, 6, (n, 1))
    return np.sin(np.linspace(0, 12, length) + phases).astype(np.float32)


def train(rows, **settings):
    layout = Layout(row_shape=rows.shape[1:], dtype=rows.dtype.name)
    train_settings = TrainSettings(
        epochs=settings.pop("epochs", 1),
        batch_size=32,
        learning_rate=3e-3,
        calibration=0.1,
        validation=0.3,
    )
    model = ModelSettings(network="conv", **{"latent": 4, "activation": "silu", **settings})
    return train_autoencoder(
        CleanRows(lambda: [rows], layout, memory_bytes=10**8), model=model, train=train_settings
    )


def signal_settings(**settings):
    return {"output": "identity", "loss": "mse", "scaling": "standard", **settings}


@pytest.fixture
def set_threads():
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def test_images_are_learned():
    trained = train(images(600), latent=8, epochs=20)
    assert trained.validation_error < trained.column_mean_error / 2
    assert trained.history[-1].train_loss < trained.history[0].train_loss
    assert trained.dead_latents == ()


def test_signals_are_learned():
    trained = train(waves(600), epochs=10, **signal_settings())
    assert trained.validation_error < trained.column_mean_error / 10


@pytest.mark.parametrize("shape", SHAPES)
def test_reconstructions_have_the_shape_of_the_rows(shape):
    rows = np.random.default_rng(0).random((40, *shape), np.float32)
    model = train(rows, **signal_settings()).model
    assert model.encode(rows).shape == (40, 4)
    assert model.reconstruct(rows).shape == rows.shape
    assert model.decoder.decode(model.encode(rows)).shape == rows.shape


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((28, 28), (28, 28, 1)),
        ((28, 28, 3), (28, 28, 3)),
        ((140,), (140, 1, 1)),
        ((140, 3), (140, 1, 3)),
        ((1000, 12), (1000, 1, 12)),
    ],
)
def test_two_axes_are_an_image_unless_one_is_much_shorter(shape, expected):
    assert image_shape(shape) == expected


def test_levels_downsample_every_axis_until_it_is_short():
    assert [level.after for level in plan_levels((28, 28), ())] == [(14, 14, 16), (7, 7, 32)]
    assert [level.after for level in plan_levels((100, 9, 3), ())][-1] == (7, 5, 64)
    assert [level.after for level in plan_levels((1000,), ())][-1] == (4, 1, 64)
    assert [level.after for level in plan_levels((28, 28), (4, 8, 6))] == [
        (14, 14, 4),
        (7, 7, 8),
        (7, 7, 6),
    ]


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize(
    ("shape", "activation"),
    [
        ((28, 28), "gelu"),
        ((40, 39, 3), "silu"),
        pytest.param((600, 2), "tanh", marks=pytest.mark.slow),
    ],
)
def test_a_row_has_the_same_bits_at_every_position_in_a_batch(
    set_threads, threads, shape, activation
):
    row = np.random.default_rng(0).random((1, *shape), np.float32)
    model = train(
        np.random.default_rng(1).random((40, *shape), np.float32),
        activation=activation,
        **signal_settings(scaling="none"),
    ).model
    set_threads(threads)
    alone, error = model.encode_and_errors(row)
    latents, errors = model.encode_and_errors(np.repeat(row, 131, axis=0))
    assert (latents == alone).all()
    assert (errors == error).all()


def test_results_for_a_row_do_not_depend_on_the_number_of_rows():
    rows = np.random.default_rng(0).integers(0, 255, (20_000, 9, 9)).astype(np.uint8)
    model = train(rows[:200]).model
    latents, errors = model.encode_and_errors(rows)
    for place in (0, 1, 63, 64, 4_095, 4_096, 19_990):
        assert model.errors(rows[place : place + 1])[0] == errors[place]
        assert (model.errors(rows[place : place + 7]) == errors[place : place + 7]).all()
        assert model.encode(rows[place : place + 7])[0].tobytes() == latents[place].tobytes()


def test_inference_agrees_with_the_modules():
    rows = images(200)
    model = train(rows).model
    with torch.inference_mode():
        latents, logits = model.members[0](torch.from_numpy(model.scale(rows)))
    np.testing.assert_allclose(model.encode(rows), latents.numpy(), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(
        model.rebuild(rows).rebuilt, torch.sigmoid(logits).numpy(), rtol=1e-4, atol=1e-5
    )


def test_large_images_are_processed_in_small_batches():
    rows = (
        np.zeros((40, 128, 128, 3), np.uint8) + np.arange(40, dtype=np.uint8)[:, None, None, None]
    )
    settings, layout = ModelSettings(network="conv"), Layout(row_shape=(128, 128, 3), dtype="uint8")
    seen = prepare_rows(
        lambda: [rows], layout=layout, model=settings, train=TrainSettings(), memory_bytes=10**9
    )
    network = build_network(layout.row_shape, settings, torch.Generator())
    model = unmeasured_model((network,), seen, settings=settings, layout=layout)
    widest = max(layer_widths(network.get_submodule("encoder")))
    assert widest >= 128 * 128 * 3
    assert model.size * widest <= 4_194_304


def test_large_images_are_validated_in_small_batches():
    rows = np.zeros((200, 256, 256), np.uint8) + np.arange(200, dtype=np.uint8)[:, None, None]
    seen = prepare_rows(
        lambda: [rows],
        layout=Layout(row_shape=(256, 256), dtype="uint8"),
        model=ModelSettings(network="conv"),
        train=TrainSettings(validation=0.7),
        memory_bytes=10**9,
    )
    batches = Batches(seen, torch.device("cpu")).validation()
    sizes = [len(batch.rows) for batch in batches]
    assert sum(sizes) == seen.n_validation
    assert max(sizes) == 64


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation_trains_with_penalties(activation):
    model = train(images(60), activation=activation, noise=0.2, l1=1e-3, l2=1e-5).model
    assert np.isfinite(model.errors(images(20))).all()


@pytest.mark.parametrize(
    "settings",
    [
        {"output": "relu", "loss": "mse"},
        {"output": "sigmoid", "loss": "mse", "scaling": "minmax"},
        {"output": "identity", "loss": "mse", "scaling": "robust"},
        {"hidden": (5, 3)},
    ],
)
def test_every_output_and_scaling_trains(settings):
    rows = images(60)
    assert np.isfinite(train(rows, **settings).model.errors(rows)).all()


def test_missing_values_do_not_count_as_errors():
    rows = waves(80)
    model = train(rows, **signal_settings()).model
    rows[:, 7] = np.nan
    assert np.isfinite(model.errors(rows)).all()


def test_the_same_seed_gives_the_same_model_and_leaves_global_state_alone():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    assert to_files(train(images(60)).model) == to_files(train(images(60)).model)
    assert torch.equal(torch.get_rng_state(), before)


def test_bundle_and_decoder_restore_the_model():
    rows = images()
    model = train(rows, hidden=(6, 12)).model
    back, decoder = from_files(to_files(model)), decoder_from_files(decoder_files(model))
    latents = model.encode(rows)
    assert (back.errors(rows) == model.errors(rows)).all()
    assert to_files(back) == to_files(model)
    assert (decoder.decode(latents) == model.decoder.decode(latents)).all()
    assert decoder.decode(latents).dtype == np.uint8


def test_a_bundle_with_weights_of_another_network_is_refused():
    files = to_files(
        train(np.zeros((40, 8, 8), np.uint8) + np.arange(40, dtype=np.uint8)[:, None, None]).model
    )
    broken = {
        **files,
        "model.json": files["model.json"].replace(b'"network": "conv"', b'"network": "dense"'),
    }
    with pytest.raises(BundleError, match=r"the weights do not fit the settings"):
        from_files(broken)


@pytest.mark.parametrize("shape", [(1,), (3,), (3, 32, 32), (3, 140), (9, 3, 3), (2, 8, 8, 8)])
def test_rows_of_unsupported_shape_raise_an_error_that_names_the_key(shape):
    with pytest.raises(
        SettingsError, match=r"Got rows of the shape .* set model.network to 'dense'"
    ):
        train(np.zeros((20, *shape), np.uint8))


def test_tied_weights_are_refused():
    with pytest.raises(SettingsError, match=r"model.tied = true needs model.network = 'dense'"):
        ModelSettings(network="conv", tied=True)
