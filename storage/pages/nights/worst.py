"""The worst rows as cards: a picture, a waveform, or bars; a sentence; how rare that is."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from storage.nights.night import Night, RowGroup
from storage.pages.nights.waves import Wave, draw_wave, shown_as_wave, stretch_words
from storage.pages.pictures import is_picture, picture_uri

MOST_CARDS = 5
SHARE = re.compile(r"(?:,| \()\s*\d+% of the [a-z ]+\)?$")  # at the end of a cause; bars show it
Row = Mapping[str, Any]  # one of outliers.parquet


@dataclass(frozen=True)
class Card:
    """One of the worst rows. picture: PNG as a data URI. features: those of `Evidence`.

    One of picture, wave and features is shown, if any is known. group: id of its group, '' for
    none. alike: rows in that group.
    """

    outlier: Row
    chance: str
    group: str
    alike: int
    sentence: str
    picture: str = ""
    wave: Wave | None = None
    features: Sequence[Mapping[str, object]] = ()


def worst_cards(night: Night, outliers: Sequence[Row]) -> list[Card]:
    """Return cards of the worst row of each group, filled up with the next rows.

    In a flood, the largest groups come first, as one cause may explain most of it.
    outliers: the listed rows, best first, as in outliers.parquet.
    """
    flagged = [each for each in outliers if each["flagged"]]
    groups = {row: group for group in night.groups for row in group.rows}
    first: dict[str | int, Row] = {}
    for each in flagged:
        group = groups.get(each["row"])
        first.setdefault(group.id if group else each["row"], each)
    ordered = list(first.values())
    if night.flooded:
        ordered.sort(key=lambda each: -_alike(groups.get(each["row"])))
    chosen = ordered[:MOST_CARDS]
    others = [each for each in flagged or outliers if each not in chosen]
    chosen += others[: MOST_CARDS - len(chosen)]
    if not night.flooded:
        chosen.sort(key=lambda each: each["rank"])
    return [_card(night, each, groups.get(each["row"])) for each in chosen]


def _alike(group: RowGroup | None) -> int:
    return len(group.rows) if group else 0


def _card(night: Night, outlier: Row, group: RowGroup | None) -> Card:
    evidence = night.evidence.get(outlier["row"])
    card = Card(
        outlier,
        clean_row_chance(outlier["p_value"], night),
        group.id if group else "",
        _alike(group),
        outlier["cause"].partition("; ")[0],
    )
    if evidence is None:
        return card
    if night.pictures and is_picture(evidence.actual.shape):
        return replace(card, picture=picture_uri(evidence.actual, evidence.expected))
    if shown_as_wave(night, evidence):
        return replace(card, wave=draw_wave(evidence), sentence=stretch_words(evidence))
    return replace(card, features=evidence.features, sentence=SHARE.sub("", card.sentence))


def clean_row_chance(p_value: float | None, night: Night) -> str:
    """Return a p-value in words: '1 in 2,434 clean rows'; empty if no clean rows are known."""
    if p_value is None or not p_value > 0 or night.in_sample or not night.calibration_rows:
        return ""
    if p_value > 0.5:
        return "like most clean rows"
    return f"1 in {round(1 / p_value):,} clean rows"
