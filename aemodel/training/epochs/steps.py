"""Passes over batches: steps of the optimizer, and validation.

The device is read once a pass, for the mean loss: a read in each step would stop it every time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property, partial

import torch
from torch import Tensor

from aemodel.devices.graphs import Recorded, Work, can_record
from aemodel.devices.out_of_memory import halving
from aemodel.network.dense import finish_output
from aemodel.network.ensemble import Ensemble
from aemodel.network.gaps import GapFiller
from aemodel.settings import ModelSettings
from aemodel.training.epochs.adam import Adam
from aemodel.training.epochs.batches import ScaledRows
from aemodel.training.epochs.ranks import Ranks
from aemodel.training.epochs.schedule import Schedule
from aemodel.training.losses import (
    MixedLoss,
    losses_and_gradient,
    penalty,
    row_losses,
    without_worst,
)

OnBatch = Callable[[int], None]  # is called with the number of rows of each batch
LARGEST_SEED = 2**62


@dataclass(frozen=True)
class Steps:
    """An ensemble being fitted, with its optimizer, learning rates, and source of randomness.

    fill: (d,), what the network sees where nothing was observed. filler: fills gaps in columns that
    have some in the fit rows. mixed: the loss of rows whose columns are of several kinds. ranks:
    the processes that share the steps.
    """

    ensemble: Ensemble
    optimizer: Adam
    schedule: Schedule
    model: ModelSettings
    generator: torch.Generator
    fill: Tensor
    filler: GapFiller | None
    mixed: MixedLoss | None
    ranks: Ranks

    def one_pass(
        self, batches: Iterable[ScaledRows], before: int, trim: float, on_batch: OnBatch
    ) -> float:
        """Fit to batches once; return the mean loss per row. before: rows of earlier passes."""
        self._seed_noise()
        self._total.clear()
        whole = 0
        for batch in batches:
            rows, whole = batch.rows, whole or len(batch.rows)
            step = self._step_of(batch, trim, repeats=len(rows) == whole)
            self.optimizer.set_rate(self.schedule.rate(before, len(rows)))
            step(rows)
            before += len(rows)
            on_batch(len(rows))
        return self._total.mean(self.ranks)

    def _step_of(self, batch: ScaledRows, trim: float, *, repeats: bool) -> Work:
        """Return what takes a step on rows like those of a batch: a recorded one where it repeats.

        Recorded steps are in CUDA graphs, which leave out what several processes tell each other.
        """
        step = partial(self._step, batch.has_gaps, trim)
        if not (repeats and self.ranks.count == 1 and can_record(self.ensemble.device)):
            return step
        key = (batch.has_gaps, trim, len(batch.rows))
        if key not in self._recorded:
            for other in [each for each in self._recorded if each[1] != trim]:
                del self._recorded[other]  # and the memory that it takes on the device
            changed = [*self.ensemble.weights.values(), *self.optimizer.state().values()]
            changed.append(self._total.value)
            at_once = partial(step, in_pieces=False)
            state = self._noise.get_state()
            self._recorded[key] = Recorded.of(at_once, batch.rows, changed, self._noise)
            if self._recorded[key] is None:  # which may leave the generator unusable
                self._noises.append(torch.Generator(self.ensemble.device).set_state(state))
        return self._recorded[key] or step

    def _step(self, has_gaps: bool, trim: float, rows: Tensor, *, in_pieces: bool = True) -> None:
        """Take a step on rows (n, d), of which this process takes its share.

        in_pieces: whether it may be taken piece by piece, when the device runs out of memory.
        """
        clean = self._for_each_member(rows)
        inputs = self._inputs(self._with_medians(clean, has_gaps), self._noise)
        some, weight = self.ranks.share(len(rows))
        inputs = self._refilled(inputs[:, some], rows[some], has_gaps)
        part = _Part(inputs, clean[:, some], has_gaps, weight)
        add_gradients = partial(self._add_gradients, part, trim)
        losses = halving(add_gradients, len(rows)) if in_pieces else add_gradients(1)
        self.ranks.add_gradients(self.ensemble.weights.values())
        self.optimizer.step()
        self._total.add(losses, weight * len(rows) / part.rows)

    @torch.inference_mode()
    def validation_loss(self, batches: Iterable[ScaledRows]) -> float:
        """Return the mean loss per row of batches; NaN without rows."""
        total = _Total(self.ensemble.device)
        for place, batch in enumerate(batches):
            if place % self.ranks.count == self.ranks.rank:
                total.add(halving(partial(self._losses, batch), len(batch.rows)))
        return total.mean(self.ranks)

    @property
    def _noise(self) -> torch.Generator:
        """What draws noise on the device; seeded for each pass, so only `generator` is resumed."""
        return self._noises[-1]

    @cached_property
    def _noises(self) -> list[torch.Generator]:
        return [torch.Generator(self.ensemble.device)]

    def _seed_noise(self) -> None:
        if self.model.noise:
            self._noise.manual_seed(int(torch.randint(LARGEST_SEED, (), generator=self.generator)))

    @cached_property
    def _total(self) -> _Total:
        """Of the losses of a pass."""
        return _Total(self.ensemble.device)

    @cached_property
    def _recorded(self) -> dict[tuple[bool, float, int], Recorded | None]:
        """Steps by whether there are gaps, train.trim, and the number of rows."""
        return {}

    def _with_medians(self, rows: Tensor, has_gaps: bool) -> Tensor:
        """Return rows (..., d) with `fill` for NaN; the device is not read to look for any."""
        return torch.where(rows.isnan(), self.fill, rows) if has_gaps else rows

    def _seen(self, filled: Tensor) -> Tensor:
        """Return what the network sees (..., width) of rows (..., d) without gaps and noise."""
        return self.mixed.expansion(filled) if self.mixed else filled

    @torch.no_grad()
    def _refilled(self, inputs: Tensor, rows: Tensor, has_gaps: bool) -> Tensor:
        """Put in place of gaps in inputs (members, n, width) what the members make of them.

        They do so of rows (n, d) with the values of similar rows, as at night.
        """
        if not has_gaps or self.filler is None:
            return inputs
        gaps = self.filler.gaps(rows)
        filled = self.filler(self._seen(self._with_medians(rows, has_gaps)), gaps)
        _, logits = self.ensemble(self._for_each_member(filled))
        return torch.where(gaps, finish_output(logits, self.model.output).mean(dim=0), inputs)

    def _for_each_member(self, rows: Tensor) -> Tensor:
        return rows.expand(self.model.members, *rows.shape)

    def _inputs(self, clean: Tensor, generator: torch.Generator) -> Tensor:
        """Return what the members see of rows (members, n, d) without gaps: with noise."""
        if self.mixed is not None:
            return self.mixed.inputs(clean, self.model.noise, generator)
        if not self.model.noise:
            return clean
        noise = torch.randn(clean.shape, generator=generator, device=clean.device)
        return noise.mul_(self.model.noise).add_(clean)

    def _add_gradients(self, part: _Part, trim: float, pieces: int) -> Tensor:
        """Accumulate the gradients of a part of a batch, piece by piece.

        Returns the losses of the rows that were not trimmed.
        """
        self.optimizer.zero_grad()
        kept = []
        add = self._add_by_formula if self._has_formulas else self._add_by_torch
        chunks = zip(part.inputs.chunk(pieces, dim=1), part.clean.chunk(pieces, dim=1), strict=True)
        for inputs, targets in chunks:
            share = part.weight * inputs.shape[1] / part.rows
            piece = _Part(inputs, targets, part.has_gaps, share)
            kept.append(add(piece, trim))
        return torch.cat(kept)

    @cached_property
    def _has_formulas(self) -> bool:
        return self.ensemble.has_formulas and not (self.model.l1 or self.model.l2)

    def _add_by_formula(self, part: _Part, trim: float) -> Tensor:
        values = self.ensemble.run(part.inputs)
        losses, gradient = self._losses_and_gradient(values[-1], part, trim)
        self.ensemble.add_gradients(values, gradient)
        return losses

    def _losses_and_gradient(
        self, logits: Tensor, part: _Part, trim: float
    ) -> tuple[Tensor, Tensor]:
        """Return the losses of the rows that are not trimmed, and the gradient of the cost."""
        weight = self.model.members * part.weight
        if not (self.mixed or part.has_gaps or trim):
            found = losses_and_gradient(logits, part.clean, self.model, weight)
            if found is not None:
                return found
        leaf = logits.detach().requires_grad_()
        losses = self._kept_losses(leaf, part, trim)
        (weight * losses.mean()).backward()  # type: ignore[no-untyped-call] # torch leaves it open
        assert leaf.grad is not None
        return losses.detach(), leaf.grad

    def _add_by_torch(self, part: _Part, trim: float) -> Tensor:
        latents, logits = self.ensemble(part.inputs)
        losses = self._kept_losses(logits, part, trim)
        cost = self.model.members * losses.mean()
        cost = cost + penalty(self.ensemble.weights, latents, self.model)
        (cost * part.weight).backward()  # type: ignore[no-untyped-call] # torch leaves it open
        return losses.detach()

    def _kept_losses(self, logits: Tensor, part: _Part, trim: float) -> Tensor:
        return without_worst(self._row_losses(logits, part.clean, part.has_gaps), trim)

    def _losses(self, batch: ScaledRows, pieces: int) -> Tensor:
        """Return the losses (n,) of the rows of a batch, piece by piece."""
        parts = self._for_each_member(batch.rows).chunk(pieces, dim=1)
        return torch.cat([self._losses_of(part, batch.has_gaps) for part in parts])

    def _losses_of(self, clean: Tensor, has_gaps: bool) -> Tensor:
        seen = self._seen(self._with_medians(clean, has_gaps))
        _, logits = self.ensemble(self._refilled(seen, clean[0], has_gaps))
        return self._row_losses(logits, clean, has_gaps)

    def _row_losses(self, logits: Tensor, clean: Tensor, has_gaps: bool) -> Tensor:
        weights = None if self.filler is None else self.filler.weights
        if self.mixed is not None:
            return self.mixed.row_losses(logits, clean, weights)
        if has_gaps and weights is None:  # in validation rows alone
            weights = torch.ones_like(self.fill)
        return row_losses(logits, clean, self.model, weights if has_gaps else None)


@dataclass(frozen=True)
class _Part:
    """What one process takes of a batch: rows (members, n, d), and their weight in its loss."""

    inputs: Tensor
    clean: Tensor
    has_gaps: bool
    weight: float

    @property
    def rows(self) -> int:
        return self.clean.shape[1]


class _Total:
    """A sum of losses and their number, which stay on the device."""

    def __init__(self, device: torch.device) -> None:
        on = "cpu" if device.type == "mps" else device  # MPS has no float64
        self.value = torch.zeros(2, dtype=torch.float64, device=on)

    def clear(self) -> None:
        self.value.zero_()

    def add(self, losses: Tensor, weight: float = 1.0) -> None:
        self.value[0] += losses.to(self.value).sum() * weight
        self.value[1] += len(losses) * weight

    def mean(self, ranks: Ranks) -> float:
        ranks.add_up(self.value)
        return float(self.value[0] / self.value[1])  # NaN without any
