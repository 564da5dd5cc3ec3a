"""What training minimizes: the losses of rows of numbers and of several kinds, and penalties."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional

from aemodel.network.dense import finish_output
from aemodel.network.expansion import Expansion
from aemodel.rows.layout import Layout
from aemodel.rows.training_rows import FitRows
from aemodel.settings import ModelSettings
from aemodel.training.reference_rows import sample_fit_rows

LEAST_USUAL = 0.05  # error of the column means, below which a column does not weigh more
SWAPPED = 0.15  # share of the levels that noise replaces by those of other rows
MOST_SAMPLED = 10_000  # rows that the usual errors are measured on
OWN = 0.7  # of a prototype's first probabilities, its own level's; the rest is as in all rows


def row_losses(
    logits: Tensor, clean: Tensor, model: ModelSettings, weights: Tensor | None
) -> Tensor:
    """Return each row's loss (n,), the mean over members and features.

    It is the squared error or the binary cross-entropy (model.loss). logits, clean:
    (members, n, d), NaN in `clean` where nothing was observed. weights: see `observed_means`; None
    if there are no gaps.
    """
    if weights is None:
        return feature_losses(logits, clean, model).mean(dim=(0, 2))
    gaps = clean.isnan()
    losses = feature_losses(logits, clean.masked_fill(gaps, 0.0), model)
    return observed_means(losses, gaps, weights)


def losses_and_gradient(
    logits: Tensor, clean: Tensor, model: ModelSettings, weight: float
) -> tuple[Tensor, Tensor] | None:
    """Return `row_losses` without gaps (n,), and `weight` times the gradient of their mean.

    By formula, in a third of the time; None if there is none for these settings. The gradient is
    (members, n, d).
    """
    factor = weight / logits.numel()
    if model.loss == "bce":
        targets, likely = clean.clamp(0, 1), torch.sigmoid(logits)
        losses = functional.relu(logits).addcmul_(logits, targets, value=-1).sum(dim=2)
        losses -= _sum_of_logs(likely)
        return losses.mean(dim=0) / logits.shape[2], likely.sub_(targets).mul_(factor)
    if model.output == "identity":
        away = logits - clean
        return away.square().mean(dim=(0, 2)), away.mul_(2 * factor)
    return None


def _sum_of_logs(likely: Tensor) -> Tensor:
    """Sum log max(p, 1 - p) over the last axis of probabilities (..., d).

    It is that of products of up to eight, which take a tenth of the time of a logarithm.
    """
    found = 1 - likely
    torch.maximum(found, likely, out=found)
    for _ in range(3):
        if found.shape[-1] % 2 == 0:
            one, other = found.chunk(2, dim=-1)
            found = one.mul_(other)
    return found.log().sum(dim=-1)


def observed_means(losses: Tensor, gaps: Tensor, weights: Tensor) -> Tensor:
    """Return each row's mean (n,) of losses (members, n, d), 0 in place of gaps.

    weights: (d,), so large that each column weighs the same over all rows, whatever its gaps.
    """
    return (losses.masked_fill(gaps, 0.0) * weights).mean(dim=(0, 2))


def feature_losses(logits: Tensor, clean: Tensor, model: ModelSettings) -> Tensor:
    """Return the loss of every feature, (members, n, d)."""
    if model.loss == "bce":
        targets = clean.clamp(0, 1)
        return functional.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    return functional.mse_loss(finish_output(logits, model.output), clean, reduction="none")


def without_worst(losses: Tensor, share: float) -> Tensor:
    """Return the losses (n,) without the `share` of them that are highest.

    Iteratively trimmed loss (Shen & Sanghavi, ICML 2019).
    """
    kept = len(losses) - int(share * len(losses))
    return losses if kept == len(losses) else losses.topk(kept, largest=False).values


def penalty(weights: Mapping[str, Tensor], latents: Tensor, model: ModelSettings) -> Tensor:
    """Return l1 times the mean absolute latent plus l2 times the sum of squared weights.

    With several members, the sum of their penalties.
    """
    cost = torch.zeros((), device=latents.device)
    if model.l1:
        cost = cost + model.l1 * model.members * latents.abs().mean()
    if model.l2:
        squares = [weight.square().sum() for name, weight in weights.items() if "weight" in name]
        cost = cost + model.l2 * torch.stack(squares).sum()
    return cost


class MixedLoss:
    """Expands rows for a network, and measures its loss, each column weighing the same.

    A column's error is divided by its error if all rows are rebuilt as the mean row.
    """

    def __init__(self, expansion: Expansion, usual: Tensor) -> None:
        """Divide by the columns' usual errors (d,)."""
        self.expansion = expansion
        self._usual = usual.clamp_min(LEAST_USUAL).to(expansion.device)

    @classmethod
    def of(cls, rows: FitRows, layout: Layout, device: str) -> MixedLoss | None:
        """Measure a sample of the fit rows; None if all columns are numbers."""
        levels = rows.scaler.levels
        if levels is None:
            return None
        sample = rows.gappy_tensor(sample_fit_rows(rows, MOST_SAMPLED))
        usual = Expansion(layout.kinds, levels, "cpu").usual_errors(sample)
        return cls(Expansion(layout.kinds, levels, device), usual)

    def inputs(self, filled: Tensor, noise: float, generator: torch.Generator) -> Tensor:
        """Expand rows (members, n, d) to (members, n, width), with noise.

        Numbers get Gaussian noise, and a share of the levels are those of other rows.
        """
        if not noise:
            return self.expansion(filled)
        expanded = self.expansion(self.expansion.swap(filled, SWAPPED, generator))
        shape = (*expanded.shape[:-1], self.expansion.first_level)
        gaussian = torch.randn(shape, generator=generator, device=expanded.device)
        expanded[..., : self.expansion.first_level] += noise * gaussian
        return expanded

    def row_losses(self, logits: Tensor, clean: Tensor, weights: Tensor | None) -> Tensor:
        """Return each row's loss (n,), the mean over members and columns.

        logits: (members, n, width). clean: (members, n, d), NaN where nothing was observed.
        weights: see `observed_means`; without them, the mean is over observed columns.
        """
        gaps = clean.isnan()
        errors = self.expansion.errors_of_logits(logits, clean.nan_to_num())
        errors = errors / self._usual
        if weights is not None:
            return observed_means(errors, gaps, weights)
        observed = (~gaps).sum(dim=(0, 2)).clamp_min(1)
        return errors.masked_fill(gaps, 0.0).sum(dim=(0, 2)) / observed


def start_outputs(expanded: Tensor, expansion: Expansion) -> Tensor:
    """Return what prototypes at expanded rows (n, width) put out at first, (n, width)."""
    outputs = expanded.clone()
    levels = outputs[:, expansion.first_level :]
    usual = levels.mean(dim=0).clamp_min(1 / (len(levels) + 1))
    levels.copy_((OWN * levels + (1 - OWN) * usual).log())
    return outputs
