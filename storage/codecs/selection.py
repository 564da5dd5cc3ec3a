"""The contest that picks the codec of a store with an error bound.

Every candidate packs the same sample; the fewest bytes win.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from storage.codecs.blocks import Bound, Codec, encode_block
from storage.codecs.candidates import Sample, candidates, own_bound, rmse
from storage.errors import CodecError

log = logging.getLogger(__name__)
HOPELESS = 1.4  # times the smallest so far: the slower coder cannot save that much
WORTH = 0.99  # the slower coder must save one percent
FAST_WORTH = 0.9  # where speed counts most, a tenth


@dataclass(frozen=True)
class Entry:
    """A candidate and the bytes of the whole store if written by it.

    codec: None if the latents alone hold the bound.
    """

    name: str
    codec: Codec | None
    store_bytes: int

    @property
    def decodes_latents(self) -> bool:
        """Whether decoding reads latents and decoder."""
        return self.codec is None or self.codec.name == "residual"


def hold_contest(sample: Sample, bound: Bound, *, fast: bool = False) -> list[Entry]:
    """Return all candidates that hold `bound` on the sample, the smallest first.

    The lossless codec is always among them. fast: see `candidates`.
    """
    entries = list(_latents_alone(sample, bound))
    for candidate in candidates(sample, bound, fast=fast):
        for codec in candidate.codecs:
            entry = _measured(candidate.name, codec, sample, bound)
            if entry is None:
                break
            entries.append(entry)
            smallest = min(each.store_bytes for each in entries)
            if entry.store_bytes > HOPELESS * smallest:
                break  # the other coder will not make up for that
    return sorted(entries, key=lambda entry: _weighted_bytes(entry, fast=fast))


def _weighted_bytes(entry: Entry, *, fast: bool) -> float:
    """Return the bytes by which entries rank: those of faster coders have a bonus."""
    coder = entry.codec.coder if entry.codec else ""
    if fast:
        return entry.store_bytes * (1.0 if coder == "pco" else FAST_WORTH)
    return entry.store_bytes * (1.0 if coder == "xz" else WORTH)


def _measured(name: str, codec: Codec, sample: Sample, bound: Bound) -> Entry | None:
    """Return the entry of a codec, or None if it fails or breaks the bound on the sample."""
    try:
        block, back = encode_block(codec, sample.rows, sample.predicted, own_bound(name, bound))
    except CodecError as error:
        log.warning("%s is not used: %s", name, error)
        return None
    if rmse(sample.rows, back) > bound.rmse:
        return None
    size = round(len(block) * sample.rows_in_all / max(1, len(sample.rows)))
    if codec.name == "residual":
        size += sample.decoder_bytes + sample.latent_bytes
    log.info("contest: %s, %s would take %s bytes", name, codec.coder, size)
    return Entry(name if codec.name == "sz3" else f"{name}, {codec.coder}", codec, size)


def _latents_alone(sample: Sample, bound: Bound) -> Iterator[Entry]:
    """Yield the entry without a codec, if the latents hold the bound."""
    if np.isinf(bound.tolerance).all() and sample.latents_rmse <= bound.rmse:
        size = sample.decoder_bytes + sample.latent_bytes + sample.exact_bytes
        yield Entry("latents", None, size)
