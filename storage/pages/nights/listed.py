"""The rows of the table: what it shows of each, and how a label file names it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from storage.nights.night import CutRow, Evidence, Night
from storage.nights.outliers import spreadsheet_text
from storage.pages.nights.dots import Dot, draw_dots
from storage.pages.nights.waves import Wave, draw_wave, shown_as_wave, stretch_words
from storage.pages.nights.worst import clean_row_chance
from storage.pages.pictures import is_picture, picture_uri

MOST_ID = 2_000  # characters of an id in a label file; a longer one is named by its row number
PICTURE_BYTES = 2_000_000  # of all pictures in the table, so that a page can be mailed
ODD = 0.01  # a p-value up to which a kind of evidence stands out
CHIPS = {"range": "range", "latent": "latents", "residual": "reconstruction"}


@dataclass(frozen=True)
class Chip:
    """One kind of evidence: how often clean rows show as much, in words; odd: if that is rare."""

    name: str
    words: str
    odd: bool


@dataclass(frozen=True)
class LabelName:
    """How a label file names a row.

    cell: its id as outliers.csv writes it, '' if that is too long.
    number: its row number where the id alone does not name it, else ''.
    """

    cell: str
    number: str


@dataclass(frozen=True)
class ListedRow:
    """One row of the table.

    outlier: as in outliers.parquet. group: id of its group, '' for none. why: it stands out.
    cell, number: how a label file names it, see LabelName.
    picture: a data URI, or '': input, reconstruction, difference, the nearest clean row, and the
    patches that count.
    """

    outlier: Mapping[str, Any]
    evidence: Evidence | None
    group: str
    why: str
    cell: str
    number: str
    chips: Sequence[Chip] = ()
    dots: Sequence[Dot] = ()
    picture: str = ""
    wave: Wave | None = None


def list_rows(night: Night, outliers: Sequence[Mapping[str, Any]]) -> list[ListedRow]:
    """Return what the table shows of the listed rows, as in outliers.parquet, best first.

    Pictures are drawn until they fill PICTURE_BYTES.
    """
    return list(_listed(night, outliers))


def list_near(night: Night, rows: Sequence[CutRow]) -> list[ListedRow]:
    """Return what is shown of rows that are not in the table."""
    return [
        ListedRow(
            outlier=each.outlier,
            evidence=each.evidence,
            group="",
            why=_why(night, each.outlier, each.evidence).partition("; ")[0],
            cell="",
            number="",
            picture=_picture(night, each.evidence),
            wave=_wave(night, each.evidence),
        )
        for each in rows
    ]


def names_in_labels(rows: Sequence[tuple[str, int]]) -> list[LabelName]:
    """Return how a label file names each of `rows`, which are ids and row numbers."""
    shared = Counter(row_id for row_id, _ in rows)
    cells = [_label_cell(row_id) for row_id, _ in rows]
    return [
        LabelName(cell, "" if cell and shared[row_id] == 1 else str(row))
        for cell, (row_id, row) in zip(cells, rows, strict=True)
    ]


def _listed(night: Night, outliers: Sequence[Mapping[str, Any]]) -> Iterator[ListedRow]:
    groups = {row: group.id for group in night.groups for row in group.rows}
    names = names_in_labels([(each["id"], each["row"]) for each in outliers])
    left = PICTURE_BYTES
    for each, name in zip(outliers, names, strict=True):
        evidence = night.evidence.get(each["row"])
        picture = _picture(night, evidence) if left > 0 else ""
        left -= len(picture)
        yield ListedRow(
            outlier=each,
            evidence=evidence,
            group=groups.get(each["row"], ""),
            why=_why(night, each, evidence),
            cell=name.cell,
            number=name.number,
            chips=_chips(night, evidence),
            dots=draw_dots(evidence.columns) if evidence else (),
            picture=picture if left >= 0 else "",
            wave=_wave(night, evidence),
        )


def _label_cell(row_id: str) -> str:
    cell = spreadsheet_text(row_id) if len(row_id) <= MOST_ID else ""
    return cell if len(cell) <= MOST_ID else ""


def _chips(night: Night, evidence: Evidence | None) -> list[Chip]:
    sides = evidence.sides if evidence else {}
    return [
        Chip(name, clean_row_chance(sides[side], night), sides[side] <= ODD)
        for side, name in CHIPS.items()
        if side in sides and clean_row_chance(sides[side], night)
    ]


def _why(night: Night, outlier: Mapping[str, Any], evidence: Evidence | None) -> str:
    """Return why a row stands out: of a line the stretch, as single steps say little."""
    if evidence and shown_as_wave(night, evidence):
        return stretch_words(evidence)
    return str(outlier["cause"])


def _picture(night: Night, evidence: Evidence | None) -> str:
    if evidence is None or not night.pictures or not is_picture(evidence.actual.shape):
        return ""
    return picture_uri(
        evidence.actual, evidence.expected, evidence.nearest, patches=evidence.patches
    )


def _wave(night: Night, evidence: Evidence | None) -> Wave | None:
    return draw_wave(evidence) if evidence and shown_as_wave(night, evidence) else None
