"""What train, encode and score are asked to do.

Plain values, as a command line or a form gives them.
"""

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
    """source or date name the rows, the clean rows where neither does. out: the store's folder."""

    job: str
    source: str = ""
    date: str = ""
    out: str = ""
    overrides: tuple[str, ...] = ()
    require_gpu: bool = False


@dataclass(frozen=True, kw_only=True)
class ScoreRequest:
    """date: the data date. source: other rows than those of the date.

    model: an id, 'as-of' for the champion on the data date, '' for the champion now.
    force: write a new revision even where nothing has changed.
    """

    job: str
    date: str
    source: str = ""
    model: str = ""
    force: bool = False
    overrides: tuple[str, ...] = ()
    require_gpu: bool = False
