"""Training, bundles, and results that do not depend on how rows are grouped."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from aemodel.bundle import from_files, to_files
from aemodel.decoder_files import decoder_files, decoder_from_files
from aemodel.errors import BundleError, DataError, SettingsError
from aemodel.explain.attribution import explain
from aemodel.rows.layout import Layout, cast_rows
from aemodel.settings import ModelSettings, TrainSettings
from aemodel.training.loop import CleanRows, train_autoencoder
from aemodel.training.promotion_gate import compare_to_column_means, judge_challenger

TABLE = ModelSettings(
    hidden=(16,), latent=3, activation="silu", output="identity", loss="mse", scaling="standard"
)


def clean_rows(n=600, d=6, seed=0, dtype=np.float64):
    random = np.random.default_rng(seed)
    return (
        random.normal(size=(n, 2)) @ random.normal(size=(2, d)) + 0.05 * random.normal(size=(n, d))
    ).astype(dtype)


def train(rows, *, model=TABLE, chunk=100, memory=10**8, columns=(), **settings):
    layout = Layout(row_shape=rows.shape[1:], dtype=rows.dtype.name, columns=columns)
    parts = [rows[start : start + chunk] for start in range(0, len(rows), chunk)]
    chosen = TrainSettings(**{"epochs": 60, "batch_size": 64, "learning_rate": 3e-3, **settings})
    return train_autoencoder(
        CleanRows(lambda: iter(parts), layout, memory_bytes=memory), model=model, train=chosen
    )


@pytest.fixture(scope="module")
def trained():
    return train(clean_rows(), columns=tuple("abcdef"))


def test_training_reduces_the_loss(trained):
    assert trained.history[-1].train_loss < trained.history[0].train_loss / 3
    assert trained.validation_error < trained.column_mean_error / 3
    assert trained.n_fit + trained.n_validation + trained.n_calibration == 600
    assert trained.dead_latents == ()


def test_the_same_seed_gives_the_same_model_and_leaves_global_state_alone():
    rows = clean_rows(200)
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first, second = (to_files(train(rows, epochs=2, seed=3).model) for _ in range(2))

    assert first == second
    assert torch.equal(torch.get_rng_state(), before)
    assert to_files(train(rows, epochs=2, seed=4).model) != first


def test_the_model_does_not_depend_on_chunk_size():
    rows = clean_rows(300)
    whole, pieces = train(rows, chunk=300, epochs=3), train(rows, chunk=7, epochs=3)

    np.testing.assert_allclose(whole.model.errors(rows), pieces.model.errors(rows), rtol=1e-4)


def test_rows_that_exceed_memory_stream_through_a_shuffle_buffer():
    rows = clean_rows(2000)
    streamed = train(rows, memory=20_000, epochs=10)

    assert streamed.validation_error < streamed.column_mean_error / 2


def test_streamed_epochs_do_not_hash_rows_again(monkeypatch):
    from aemodel.rows import hashes

    calls, whole = [], hashes.row_hashes
    monkeypatch.setattr(hashes, "row_hashes", lambda rows: calls.append(1) or whole(rows))
    rows, found = clean_rows(2000), {}
    for epochs in (1, 4):
        calls.clear()
        train(rows, memory=20_000, epochs=epochs)
        found[epochs] = len(calls)

    assert found[1] == found[4] > 0


def test_early_stopping_keeps_the_best_weights():
    rows = clean_rows(300)
    result = train(rows, epochs=60, patience=3, learning_rate=0.05, validation=0.3)

    losses = [epoch.validation_loss for epoch in result.history]
    assert result.best_epoch == int(np.argmin(losses)) + 1
    assert len(losses) <= max(result.best_epoch + 3, 60)


@pytest.mark.parametrize("kind", ["float64", "uint8"])
def test_results_for_a_row_do_not_depend_on_other_rows(kind):
    if kind == "uint8":
        rows = np.random.default_rng(0).integers(0, 255, (20_000, 7, 7)).astype(np.uint8)
        model = train(rows[:300], model=ModelSettings(latent=8), epochs=1).model
    else:
        rows = clean_rows(20_000)
        model = train(rows[:300], epochs=1).model
    latents, errors = model.encode_and_errors(rows)
    random = np.random.default_rng(1)

    for place in (0, 1, 63, 4095, 4096, 19_999):
        assert model.errors(rows[place : place + 1])[0] == errors[place]
        assert model.encode(rows[place : place + 7])[0].tobytes() == latents[place].tobytes()
    order = random.permutation(len(rows))
    assert (model.errors(rows[order]) == errors[order]).all()


def test_a_bundle_restores_its_model(trained):
    rows = clean_rows(50, seed=9)
    files = to_files(trained.model)
    back = from_files(files)

    assert set(files) == {"model.safetensors", "model.json"}
    assert (back.errors(rows) == trained.model.errors(rows)).all()
    assert back.layout == trained.model.layout
    assert (back.calibration == trained.model.calibration).all()
    assert to_files(back) == files


@pytest.mark.parametrize("tied", [False, True])
def test_a_stored_decoder_decodes_like_its_model(tied):
    rows = np.random.default_rng(0).integers(0, 255, (300, 4, 4)).astype(np.uint8)
    model = train(rows, model=ModelSettings(hidden=(12,), latent=5, tied=tied), epochs=2).model
    decoder = decoder_from_files(decoder_files(model))
    latents = model.encode(rows)

    assert (decoder.decode(latents) == model.decoder.decode(latents)).all()
    assert decoder.decode(latents).dtype == np.uint8
    assert decoder.decode(latents).shape == rows.shape


def change(files, name, edit):
    return {**files, name: edit(files[name])}


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (
            lambda files: {"model.json": files["model.json"]},
            r"model.safetensors: missing or damaged",
        ),
        (
            lambda files: change(files, "model.safetensors", lambda b: b[:200]),
            r"model.safetensors: missing or damaged",
        ),
        (
            lambda files: change(files, "model.json", lambda b: b"{"),
            r"model.json: missing or not the JSON",
        ),
        (
            lambda files: change(
                files,
                "model.json",
                lambda b: b.replace(b'"format_version": 2', b'"format_version": 9'),
            ),
            "format_version 9 is newer than 2",
        ),
        (
            lambda files: change(
                files,
                "model.json",
                lambda b: b.replace(b'"format_version": 2', b'"format_version": 1'),
            ),
            "format_version must be 2. Got 1 instead; train again",
        ),
        (
            lambda files: change(
                files, "model.json", lambda b: b.replace(b'"latent": 3', b'"latent": 4')
            ),
            "latent_low has the shape",
        ),
        (
            lambda files: change(
                files, "model.json", lambda b: json.dumps({**json.loads(b), "layout": {}}).encode()
            ),
            "not a complete model",
        ),
    ],
)
def test_an_invalid_bundle_is_refused(trained, edit, message):
    with pytest.raises(BundleError, match=message):
        from_files(edit(to_files(trained.model)))


@pytest.mark.parametrize(
    ("settings", "rows", "message"),
    [
        (
            {"output": "sigmoid", "loss": "mse", "scaling": "standard"},
            clean_rows(50),
            r"model.output = 'sigmoid' needs scaled values in \[0, 1\]",
        ),
        ({"scaling": "none"}, clean_rows(50), "set model.scaling to 'range'"),
        (
            {"output": "relu", "loss": "mse", "scaling": "none"},
            clean_rows(50),
            "model.output = 'relu' cannot produce negative values",
        ),
    ],
)
def test_settings_that_do_not_fit_the_values_name_the_key(settings, rows, message):
    with pytest.raises(SettingsError, match=message):
        train(rows, model=ModelSettings(**settings))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"loss": "bce", "output": "identity"},
            "model.loss = 'bce' needs model.output = 'sigmoid'",
        ),
        ({"network": "rnn"}, "model.network must be one of dense, conv"),
        ({"latent": 0}, "model.latent must be at least 1"),
        ({"hidden": (8, 0)}, r"model.hidden\[1\] must be at least 1"),
        ({"l1": float("nan")}, "model.l1 must be at least 0"),
    ],
)
def test_contradictory_settings_are_refused(settings, message):
    with pytest.raises(SettingsError, match=message):
        ModelSettings(**settings)


@pytest.mark.parametrize("n", [1, 2])
def test_too_few_rows_raise_an_error(n):
    with pytest.raises(DataError, match=r"at least 2 are needed|split is empty"):
        train(clean_rows(n))


def test_fewer_rows_than_a_batch_are_enough():
    assert np.isfinite(train(clean_rows(20), calibration=0.3, validation=0.2).validation_error)


def test_a_diverging_loss_raises_an_error():
    with pytest.raises(DataError, match=r"the loss is (nan|inf); lower train.learning_rate"):
        train(clean_rows(300), learning_rate=1e18)


@pytest.mark.parametrize("scaling", ["none", "range", "minmax", "standard", "robust"])
def test_constant_columns_never_give_inf_or_nan(scaling):
    rows = np.concatenate(
        [clean_rows(200, 3), np.full((200, 2), 1000.0), np.zeros((200, 1))], axis=1
    )
    model = train(
        rows,
        model=ModelSettings(latent=2, output="identity", loss="mse", scaling=scaling),
        epochs=2,
    ).model
    moved = rows.copy()
    moved[:, 4] += 5

    assert np.isfinite(model.errors(rows)).all()
    assert (model.errors(moved) > model.errors(rows)).any()
    assert model.errors(moved).max() < 1e7


def test_missing_values_are_filled_and_do_not_count_as_errors(trained):
    rows = clean_rows(50, seed=3)
    gappy = rows.copy()
    gappy[:, 2] = np.nan
    gappy[7] = np.nan
    errors = trained.model.errors(gappy)

    assert np.isfinite(np.delete(errors, 7)).all()
    assert errors[7] == np.inf


def test_a_row_beyond_float32_ranks_first(trained):
    rows = clean_rows(5)
    rows[2] = 1e300

    assert np.argmax(trained.model.errors(rows)) == 2


def test_a_dead_latent_is_found():
    rows = np.random.default_rng(0).integers(0, 255, (300, 4, 4)).astype(np.uint8)
    result = train(rows, model=ModelSettings(latent=4, l1=100.0), epochs=30, learning_rate=0.05)

    assert len(result.dead_latents) > 0


def test_no_function_changes_its_input(trained):
    rows = clean_rows(200)
    kept = rows.copy()
    trained.model.errors(rows)
    trained.model.reconstruct(rows)
    explain(trained.model, trained.model.rebuild(rows), by="novelty")
    train(rows, epochs=1)

    assert rows.tobytes() == kept.tobytes()


def test_rows_of_another_shape_are_refused(trained):
    with pytest.raises(DataError, match=r"rows must have the shape \(6,\)"):
        trained.model.errors(np.zeros((3, 5)))


def test_the_cause_names_the_columns_with_the_largest_residuals(trained):
    rows = clean_rows(10)
    rows[4, 3] += 20
    residuals = trained.model.residuals(rows)[4]
    [cause] = explain(trained.model, trained.model.rebuild(rows[4:5]))
    first = cause.features[0]

    assert [feature.name for feature in cause.features] == [
        "abcdef"[index] for index in np.argsort(-np.abs(residuals))[:3]
    ]
    assert cause.words.startswith(f"{first.name} is {first.actual:.4g}, ")
    assert abs(first.residual) > 3


def test_the_cause_of_an_image_is_a_region():
    rows = np.random.default_rng(0).integers(0, 20, (300, 9, 9)).astype(np.uint8)
    model = train(rows, model=ModelSettings(latent=4), epochs=2).model
    rows[0, 6:, :3] = 255

    assert explain(model, model.rebuild(rows[:1]))[0].words.startswith(
        "lower left (rows 6–8, columns 0–2): higher than expected"
    )


def test_the_first_model_must_beat_the_column_means(trained):
    noise = np.random.default_rng(0).normal(size=(300, 6))
    poor = train(noise, epochs=1, learning_rate=1e-9)

    assert compare_to_column_means(trained).promote
    assert not compare_to_column_means(poor).promote
    assert "no better than the column means" in compare_to_column_means(poor).reasons[0]


def test_a_worse_challenger_is_refused_and_an_equal_one_accepted(trained):
    rows = clean_rows()
    poor = train(rows, epochs=1, columns=tuple("abcdef"))
    again = train(rows, epochs=90, columns=tuple("abcdef"))

    refused = judge_challenger(poor, trained.model, lambda: [rows])
    assert not refused.promote
    assert "worse than the champion" in refused.reasons[0]
    assert judge_challenger(again, trained.model, lambda: [rows]).promote


def test_whole_numbers_are_rounded_and_clipped():
    assert cast_rows(np.array([-3.0, 1.5, 2.6, 999.0]), "uint8").tolist() == [0, 2, 3, 255]
    assert cast_rows(np.array([1e30, -1e30]), "int64").tolist() == [2**63 - 1, -(2**63)]
