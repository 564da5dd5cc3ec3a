"""Settings of the network and of its training, as frozen values that check themselves.

Imports no torch.
"""

from __future__ import annotations

from dataclasses import dataclass

from aemodel.errors import SettingsError

NETWORKS = ("dense", "conv")
ACTIVATIONS = ("relu", "silu", "gelu", "tanh", "elu")
OUTPUTS = ("sigmoid", "relu", "identity")
LOSSES = ("mse", "bce")
SCALINGS = ("none", "range", "minmax", "standard", "robust")
COMBINATIONS = ("mean", "max")
SCORES = ("error", "novelty", "relative")
DEVICES = ("auto", "cpu", "cuda", "mps")
MOST_MEMBERS = 100
WIDEST = 1_000_000  # layer
LARGEST_SEED = 2**63 - 1


@dataclass(frozen=True, kw_only=True)
class ModelSettings:
    """[model]: the autoencoder, or `members` of them.

    `hidden` are the widths between input and latent, mirrored in the decoder; of conv, the
    channels.
    """

    network: str = "dense"
    hidden: tuple[int, ...] = ()
    latent: int = 64
    prototypes: int = 0
    activation: str = "relu"
    output: str = "sigmoid"
    loss: str = "bce"
    scaling: str = "range"
    noise: float = 0.0
    l1: float = 0.0
    l2: float = 0.0
    tied: bool = False
    members: int = 1
    combine: str = "mean"

    def __post_init__(self) -> None:
        _choice("model.network", self.network, NETWORKS)
        _choice("model.activation", self.activation, ACTIVATIONS)
        _choice("model.output", self.output, OUTPUTS)
        _choice("model.loss", self.loss, LOSSES)
        _choice("model.scaling", self.scaling, SCALINGS)
        _choice("model.combine", self.combine, COMBINATIONS)
        _at_least("model.latent", self.latent, 1)
        _at_least("model.members", self.members, 1)
        _at_least("model.prototypes", self.prototypes, 0)
        _at_most("model.members", self.members, MOST_MEMBERS)
        _at_most("model.latent", self.latent, WIDEST)
        _at_most("model.prototypes", self.prototypes, WIDEST)
        for index, width in enumerate(self.hidden):
            _at_least(f"model.hidden[{index}]", width, 1)
            _at_most(f"model.hidden[{index}]", width, WIDEST)
        for name in ("noise", "l1", "l2"):
            _at_least(f"model.{name}", getattr(self, name), 0.0)
        if self.loss == "bce" and self.output != "sigmoid":
            raise SettingsError(
                f"model.loss = 'bce' needs model.output = 'sigmoid'. Got '{self.output}' instead; set the output to 'sigmoid' or the loss to 'mse'."
            )
        for key, wanted in (
            {"network": "dense", "output": "identity", "loss": "mse", "tied": False}.items()
            if self.prototypes
            else ()
        ):
            if getattr(self, key) != wanted:
                raise SettingsError(
                    f"model.prototypes needs model.{key} = {wanted!r}, since a reconstruction is a mean of rows. Got {getattr(self, key)!r} instead."
                )
        if self.tied and self.network == "conv":
            raise SettingsError(
                "model.tied = true needs model.network = 'dense'. Got 'conv' instead; set model.tied to false."
            )


@dataclass(frozen=True, kw_only=True)
class TrainSettings:
    """[train]: how the network is fitted.

    `calibration` and `validation` are shares of the clean rows, `trim` one of the fit rows.
    """

    epochs: int = 30
    batch_size: int = 256
    learning_rate: float = 1e-3
    patience: int = 0
    calibration: float = 0.1
    validation: float = 0.1
    trim: float = 0.0
    device: str = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        _at_least("train.epochs", self.epochs, 1)
        _at_least("train.batch_size", self.batch_size, 1)
        _at_least("train.patience", self.patience, 0)
        _at_least("train.seed", self.seed, 0)
        _at_most("train.seed", self.seed, LARGEST_SEED)
        _choice("train.device", self.device, DEVICES)
        if not 0 < self.learning_rate < float("inf"):
            raise SettingsError(
                f"train.learning_rate must be above 0 and finite. Got {self.learning_rate} instead."
            )
        for name in ("calibration", "validation"):
            _share(f"train.{name}", getattr(self, name))
        if not 0 <= self.trim <= 0.5:
            raise SettingsError(
                f"train.trim must be a share from 0 to 0.5. Got {self.trim} instead."
            )
        if self.calibration + self.validation > 0.9:
            raise SettingsError(
                f"train.calibration + train.validation must leave a tenth to fit on. Got {self.calibration} + {self.validation} instead."
            )
        if self.patience and not self.validation:
            raise SettingsError(
                "train.patience stops on validation rows; set train.validation above 0, or train.patience to 0."
            )


def _choice(key: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise SettingsError(f"{key} must be one of {', '.join(choices)}. Got '{value}' instead.")


def _at_least(key: str, value: float, low: float) -> None:
    if not low <= value < float("inf"):
        raise SettingsError(f"{key} must be at least {low}. Got {value} instead.")


def _at_most(key: str, value: int, high: int) -> None:
    if value > high:
        raise SettingsError(f"{key} must be at most {high:,}. Got {value:,} instead.")


def _share(key: str, value: float) -> None:
    if not 0 <= value <= 0.8:
        raise SettingsError(f"{key} must be a share from 0 to 0.8. Got {value} instead.")
