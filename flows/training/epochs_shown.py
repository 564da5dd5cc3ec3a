"""How far a training is: rows of all its epochs, and the losses of the last one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from aemodel.training.result import Epoch
from flows.engine.progress import Part, part


class EpochsShown:
    """Shows a training from its first batch on; `stack` ends what is shown.

    on_epoch: called with each epoch, and with the one that training resumes after.
    """

    def __init__(self, epochs: int, on_epoch: Callable[[Epoch], None], stack: ExitStack) -> None:
        self._epochs, self._report, self._stack = epochs, on_epoch, stack
        self._part: Part | None = None
        self._last: Epoch | None = None

    def on_epoch(self, epoch: Epoch) -> None:
        """Note the losses of an epoch."""
        self._last = epoch
        if epoch.number == self._epochs:
            self._stack.close()
        elif self._part:
            self._describe(self._part, epoch)
        self._report(epoch)

    def on_batch(self, rows: int, fit_rows: int) -> None:
        """Count the rows of a batch, of `fit_rows` in an epoch."""
        if self._part is None:
            self._part = self._begin(fit_rows)
        self._part.advance(rows)

    def _begin(self, fit_rows: int) -> Part:
        label = f"epoch 1/{self._epochs}"
        begun = self._stack.enter_context(part(label, self._epochs * fit_rows))
        if self._last:
            begun.skip(self._last.number * fit_rows)
            self._describe(begun, self._last)
        return begun

    def _describe(self, running: Part, epoch: Epoch) -> None:
        running.label = f"epoch {epoch.number + 1}/{self._epochs}"
        running.note = f"loss {epoch.train_loss:.3g}"


@contextmanager
def epochs_shown(epochs: int, on_epoch: Callable[[Epoch], None]) -> Iterator[EpochsShown]:
    """Show a training of at most `epochs` epochs while it lasts."""
    with ExitStack() as stack:
        yield EpochsShown(epochs, on_epoch, stack)
