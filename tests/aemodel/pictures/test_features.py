"""Features of pictures, with weights of the right shapes and, where needed, the published ones."""

from __future__ import annotations

import io
from collections import OrderedDict

import numpy as np
import pytest
import torch

from aemodel.bundle import from_files, to_files
from aemodel.errors import SettingsError
from aemodel.explain.attribution import explain
from aemodel.pictures.backbone import STAGES, Backbone, SameConv, load_backbone
from aemodel.pictures.features import GROUPS, WIDTH, PictureFeatures
from aemodel.pictures.patches import patch_shares
from aemodel.rows.layout import Layout
from aemodel.settings import ModelSettings, TrainSettings
from aemodel.training.loop import CleanRows, train_autoencoder
from flows.training.picture_features import picture_features

SHAPE = (12, 12)
SETTINGS = ModelSettings(latent=4, loss="mse", features="efficientnet-lite0")
TRAIN = TrainSettings(epochs=2, calibration=0.2)


def features_of(shape=SHAPE) -> PictureFeatures:
    torch.manual_seed(0)
    return PictureFeatures(shape, Backbone()).requires_grad_(False).eval()


def pictures(count: int, seed: int) -> np.ndarray:
    """Smooth gray pictures (count, 12, 12)."""
    random = np.random.default_rng(seed)
    waves = np.sin(np.arange(12)[:, None] * random.uniform(0.2, 0.6, (count, 1, 1)))
    return np.rint(100 + 60 * waves + random.normal(0, 3, (count, *SHAPE))).astype(np.uint8)


@pytest.fixture(scope="module")
def trained():
    rows, layout = pictures(80, 0), Layout(row_shape=SHAPE, dtype="uint8")
    clean = CleanRows.in_memory(rows, layout)
    return train_autoencoder(clean, model=SETTINGS, train=TRAIN, features=features_of()).model


def convolutions(network: Backbone) -> list[SameConv]:
    return [each for each in network.modules() if isinstance(each, SameConv)]


def published_weights(norms: list[torch.nn.BatchNorm2d], weights: list[torch.Tensor]) -> bytes:
    """Write a file as it is published: each convolution followed by its normalization."""
    entries = OrderedDict()
    for index, (norm, weight) in enumerate(zip(norms, weights, strict=True)):
        entries[f"{index}.weight"] = weight
        entries |= {f"{index}.norm.{name}": value for name, value in norm.state_dict().items()}
    file = io.BytesIO()
    torch.save(entries, file)
    return file.getvalue()


def test_normalization_is_folded_into_the_convolutions():
    torch.manual_seed(1)
    layers = convolutions(Backbone())
    norms = [torch.nn.BatchNorm2d(each.out_channels, eps=1e-3).eval() for each in layers]
    norms[0].running_mean.uniform_(-1, 1)
    norms[0].running_var.uniform_(0.5, 2)
    found = load_backbone(published_weights(norms, [each.weight.detach() for each in layers]))
    images, padded = torch.rand(2, 3, 32, 32), (0, 1, 0, 1)  # 3 x 3 at every second pixel
    unfolded = torch.nn.functional.conv2d(
        torch.nn.functional.pad(images, padded), layers[0].weight, stride=2
    )

    assert torch.allclose(found.stem[0](images), norms[0](unfolded), atol=1e-5)


@pytest.mark.parametrize("weights", [b"", b"not a model", b"PK\x03\x04"])
def test_weights_that_cannot_be_read_are_refused(weights):
    with pytest.raises(SettingsError, match="cannot be read"):
        load_backbone(weights)


@pytest.mark.parametrize("shape", [(8,), (8, 8, 2), (4, 8, 8, 3)])
def test_rows_that_are_no_pictures_are_refused(shape):
    with pytest.raises(SettingsError, match="needs pictures"):
        features_of(shape)


@pytest.mark.parametrize("shape", [(9, 14), (9, 14, 1), (9, 14, 3)])
def test_gray_and_color_pictures_become_points(shape):
    points = features_of(shape)(torch.rand(3, int(np.prod(shape)), dtype=torch.float64))

    assert (points.shape, points.dtype) == ((3, WIDTH), torch.float64)


@pytest.mark.slow
def test_every_group_of_features_weighs_the_same(trained):
    scaled = torch.from_numpy(trained.scale(pictures(80, 0)))
    variances = torch.split(trained.to_points(scaled).var(dim=0), list(GROUPS))

    assert len(GROUPS) == 6
    assert [float(each.sum()) for each in variances] == pytest.approx([1.0] * 6, rel=0.6)


@pytest.mark.slow
def test_scores_do_not_depend_on_how_rows_are_grouped(trained):
    rows = pictures(70, 3)
    together = trained.scores_by("novelty", rows)
    apart = np.concatenate([trained.scores_by("novelty", each) for each in (rows[:9], rows[9:])])

    assert np.array_equal(together, apart)


@pytest.mark.slow
def test_a_bundle_keeps_the_features(trained):
    rows = pictures(20, 4)
    again = from_files(to_files(trained))

    assert np.array_equal(again.scores_by("novelty", rows), trained.scores_by("novelty", rows))


def test_the_odd_patch_has_the_largest_share():
    features = picture_features(SETTINGS, Layout(row_shape=(64, 64), dtype="uint8"))
    clean = torch.rand(4, 64 * 64, generator=torch.Generator().manual_seed(0)) * 0.1 + 0.4
    odd = clean[0].reshape(64, 64).clone()
    odd[40:56, 8:24] = torch.rand(16, 16).round()
    shares = patch_shares(features, odd.flatten(), clean[1:])

    assert float(shares.sum()) == pytest.approx(1.0, abs=1e-4)
    assert float(shares[32:, :32].sum()) > 0.5


@pytest.mark.slow
def test_the_cause_of_a_novel_picture_is_its_odd_region(trained):
    rows = pictures(1, 5)
    rows[0, :4, 8:] = 255
    cause = explain(trained, trained.rebuild(rows), by="novelty")[0]

    assert "of the novelty" in cause.words
    assert sum(feature.share for feature in cause.features) <= 1.0


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["cuda", "mps"])
def test_a_device_compares_and_explains_pictures(kind, trained, request):
    request.getfixturevalue(kind)
    clean = CleanRows.in_memory(pictures(80, 0), Layout(row_shape=SHAPE, dtype="uint8"))
    features, device = features_of(), f"{kind}:0"
    found = train_autoencoder(clean, model=SETTINGS, train=TRAIN, features=features, device=device)
    rows = pictures(5, 5)
    rows[0, :4, 8:] = 255
    model, cause = found.model, explain(found.model, found.model.rebuild(rows), by="novelty")[0]

    assert "of the novelty" in cause.words
    novelty = (each.scores_by("novelty", rows) for each in (model, trained))
    np.testing.assert_allclose(*novelty, rtol=0.05)  # random weights magnify rounding


def test_other_scalings_are_refused():
    with pytest.raises(SettingsError, match=r"model\.features needs model\.scaling = 'range'"):
        ModelSettings(features="efficientnet-lite0", scaling="standard")


def test_the_stages_are_those_of_the_paper():
    found = Backbone()(torch.zeros(1, 3, 64, 64))

    assert [each.shape[1] for each in found] == [stage.channels for stage in STAGES]
    assert [each.shape[2] for each in found] == [32, 16, 8, 4, 4, 2, 2]
