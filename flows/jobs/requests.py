"""Requests to train, encode and score: plain values from a command line or a form."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class TrainRequest:
    """job: path of the job file. overrides: `section.key=value`."""

    job: str
    overrides: tuple[str, ...] = ()
    require_gpu: bool = False


@dataclass(frozen=True, kw_only=True)
class EncodeRequest:
    """source or date: the input; without either, the clean rows. out: folder of the store."""

    job: str
    source: str = ""
    date: str = ""
    out: str = ""
    overrides: tuple[str, ...] = ()
    require_gpu: bool = False


@dataclass(frozen=True, kw_only=True)
class ScoreRequest:
    """date: the data date. source: an input other than the one for the date.

    model: an id, 'as-of' for the champion on the data date, '' for the current champion.
    force: write a new revision even if nothing changed.
    """

    job: str
    date: str
    source: str = ""
    model: str = ""
    force: bool = False
    overrides: tuple[str, ...] = ()
    require_gpu: bool = False
