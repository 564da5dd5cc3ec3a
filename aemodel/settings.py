"""Settings of the network and of its training, as frozen dataclasses that validate themselves.

This module does not import torch.
"""

from __future__ import annotations

from dataclasses import dataclass

from aemodel.errors import SettingsError

NETWORKS = ("dense", "conv")
ACTIVATIONS = ("relu", "silu", "gelu", "tanh", "elu", "identity")
OUTPUTS = ("sigmoid", "relu", "identity")
LOSSES = ("mse", "bce")
SCALINGS = ("none", "range", "minmax", "standard", "robust")
COMBINATIONS = ("mean", "max")
FEATURES = ("none", "efficientnet-lite0")
SCORES = ("error", "novelty", "relative")
SPLITS = ("occurrence", "content", "blocks")
DEVICES = ("auto", "cpu", "cuda", "mps")
MOST_MEMBERS = 100
WIDEST = 1_000_000  # values in one layer
LARGEST_SEED = 2**63 - 1
# with prototypes, a reconstruction is a weighted mean of learned rows
PROTOTYPES_NEED = {"network": "dense", "output": "identity", "loss": "mse", "tied": False}


@dataclass(frozen=True, kw_only=True)
class ModelSettings:
    """[model]: an autoencoder, or an ensemble of them.

    network: `dense`, or `conv` for signals, and images of any size with channels last.
    hidden: layer widths between input and latents, mirrored in the decoder; for `conv` the
    channels, empty to derive them from the row shape.
    latent: number of latents; they have no activation if there are hidden layers.
    prototypes: if above 0, the decoder averages this many learned rows, so it cannot reconstruct
    distant rows.
    activation: `relu`, `silu`, `gelu`, `tanh`, `elu`, or `identity`, a linear network.
    output: activation of the output: `sigmoid`, `relu`, or `identity`.
    loss: `mse`, or `bce`, which requires `sigmoid` and values in [0, 1].
    scaling: `none`, `range` (of the whole row; 0 to 255 for uint8), or per column `minmax`,
    `standard`, or `robust`.
    noise [scaled units]: denoising: standard deviation of the noise on inputs in training.
    l1: penalty on the latents.
    l2: penalty on the weights.
    tied: decoder weights are the transposed encoder weights.
    members: number of autoencoders, which train as one batched network.
    combine: error of an ensemble: the `mean` or the `max` of its members' errors.
    features: what novelty compares pictures by: `none` for their pixels, or `efficientnet-lite0`,
    features of a network trained on photographs.
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
    features: str = "none"

    @property
    def is_linear(self) -> bool:
        """Whether principal components are the best weights: one linear layer on each side."""
        chosen = (self.network, self.activation, self.output, self.loss)
        single_layer = not (self.hidden or self.prototypes)
        return single_layer and chosen == ("dense", "identity", "identity", "mse")

    def __post_init__(self) -> None:
        """Check every setting. Raises SettingsError, which names the key."""
        self._check_choices()
        self._check_sizes()
        self._check_loss()
        if self.prototypes:
            self._check_prototypes()
        if self.features != "none" and self.scaling != "range":
            raise SettingsError(
                "model.features needs model.scaling = 'range', which keeps a picture a picture. "
                f"Got '{self.scaling}' instead."
            )
        if self.tied and self.network == "conv":
            raise SettingsError(
                "model.tied = true needs model.network = 'dense'. Got 'conv' instead; "
                "set model.tied to false."
            )

    def _check_choices(self) -> None:
        _choice("model.network", self.network, NETWORKS)
        _choice("model.activation", self.activation, ACTIVATIONS)
        _choice("model.output", self.output, OUTPUTS)
        _choice("model.loss", self.loss, LOSSES)
        _choice("model.scaling", self.scaling, SCALINGS)
        _choice("model.combine", self.combine, COMBINATIONS)
        _choice("model.features", self.features, FEATURES)

    def _check_sizes(self) -> None:
        _in_range("model.latent", self.latent, 1, WIDEST)
        _in_range("model.members", self.members, 1, MOST_MEMBERS)
        _in_range("model.prototypes", self.prototypes, 0, WIDEST)
        for index, width in enumerate(self.hidden):
            _in_range(f"model.hidden[{index}]", width, 1, WIDEST)
        for name in ("noise", "l1", "l2"):
            _at_least(f"model.{name}", getattr(self, name), 0.0)

    def _check_loss(self) -> None:
        if self.loss == "bce" and self.output != "sigmoid":
            raise SettingsError(
                f"model.loss = 'bce' needs model.output = 'sigmoid'. Got '{self.output}' instead; "
                "set the output to 'sigmoid' or the loss to 'mse'."
            )

    def _check_prototypes(self) -> None:
        for key, needed in PROTOTYPES_NEED.items():
            if getattr(self, key) != needed:
                raise SettingsError(
                    f"model.prototypes needs model.{key} = {needed!r}, because a reconstruction is "
                    f"a weighted mean of rows. Got {getattr(self, key)!r} instead."
                )


@dataclass(frozen=True, kw_only=True)
class TrainSettings:
    """[train]: how the network is fitted.

    epochs: passes over the fit rows.
    batch_size [rows]: rows per step.
    learning_rate: largest step size of the optimizer: the step size rises over the first tenth of
    the epochs, and falls to 0 over the last four tenths.
    patience [epochs]: early stopping on validation rows; 0 for none. The step size may not have
    fallen by then: fewer epochs usually end at a lower loss.
    calibration [share]: share of the clean rows that is reserved for p-values.
    validation [share]: share of the clean rows reserved for early stopping, scales, and the gate;
    if they and the fit rows are at most 2,000, novelty also compares with them.
    split: `occurrence` splits the copies of a row like other rows, `content` keeps them together,
    and `blocks` keeps all rows of a block together, see `aemodel.rows.blocks`.
    blocks: what the blocks are: `files`, or a column whose days or levels are blocks; empty for
    the first that exist. Models of equal `blocks` have the same.
    trim [share]: share of the fit rows left out because they stand apart from the bulk, for clean
    data that contains outliers; up to twice as many are left out because they form groups no larger
    than this share (see `aemodel.training.trimming`); of the others, each batch leaves out the
    share with the largest losses.
    device: `auto`, `cpu`, `cuda`, or `mps`.
    seed: seed of all randomness.
    """

    epochs: int = 30
    batch_size: int = 256
    learning_rate: float = 2e-3
    patience: int = 0
    calibration: float = 0.1
    validation: float = 0.1
    split: str = "occurrence"
    blocks: str = ""
    trim: float = 0.0
    device: str = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        """Check every setting. Raises SettingsError, which names the key."""
        _at_least("train.epochs", self.epochs, 1)
        _at_least("train.batch_size", self.batch_size, 1)
        _at_least("train.patience", self.patience, 0)
        _in_range("train.seed", self.seed, 0, LARGEST_SEED)
        _choice("train.device", self.device, DEVICES)
        _choice("train.split", self.split, SPLITS)
        if not 0 < self.learning_rate < float("inf"):
            raise SettingsError(
                f"train.learning_rate must be above 0 and finite. Got {self.learning_rate} instead."
            )
        self._check_shares()
        if self.patience and not self.validation:
            raise SettingsError(
                "train.patience needs validation rows; "
                "set train.validation above 0, or train.patience to 0."
            )

    def _check_shares(self) -> None:
        _share("train.calibration", self.calibration, 0.8)
        _share("train.validation", self.validation, 0.8)
        _share("train.trim", self.trim, 0.5)
        if self.calibration + self.validation > 0.9:
            raise SettingsError(
                "train.calibration + train.validation must be at most 0.9, to leave rows to fit "
                f"on. Got {self.calibration} + {self.validation} instead."
            )


def _choice(key: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise SettingsError(f"{key} must be one of {', '.join(choices)}. Got '{value}' instead.")


def _at_least(key: str, value: float, low: float) -> None:
    if not low <= value < float("inf"):
        raise SettingsError(f"{key} must be at least {low}. Got {value} instead.")


def _in_range(key: str, value: int, low: int, high: int) -> None:
    _at_least(key, value, low)
    if value > high:
        raise SettingsError(f"{key} must be at most {high:,}. Got {value:,} instead.")


def _share(key: str, value: float, high: float) -> None:
    if not 0 <= value <= high:
        raise SettingsError(f"{key} must be a share from 0 to {high}. Got {value} instead.")
