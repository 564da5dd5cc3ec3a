"""What a report says first: a sentence, what to compare it with, what to do, and what to doubt."""

from __future__ import annotations

from collections.abc import Iterator

from storage.nights.night import Night
from storage.pages import count
from storage.pages.nights.history import usual_rows
from storage.pages.nights.unread import unread_words

MOST_MOVED = 3  # columns named in the warning of drift
MANY = 100  # rows; more are shown as whole numbers
MOST_TIMES = 2  # the usual rows, or a part of them, before the warning of volume
FEWEST_ALIKE = 3  # rows of one kind that the first screen mentions
TOO_FEW = "clean data may contain outliers"  # so that too few rows are flagged: no doubt in a flood
DOUBTS = ("max_model_age_days", TOO_FEW, "rows that the model was trained on")
TAILS = {
    "OK": "an ordinary night",
    "REVIEW": "review",
    "FLOOD": "flood",
    "DRIFT": "the data moved",
    "PARTIAL": "incomplete",
}
ADVICE = {
    "OK": "Nothing to do.",
    "REVIEW": "Look at the rows below, worst first.",
    "FLOOD": "Look for one common cause first, such as a changed sensor, unit, or input.",
    "DRIFT": "Find out what changed in the data before you trust single rows.",
    "PARTIAL": "Review what is listed; run it again once the rest can be read.",
    "NO DATA": "Check whether the data have arrived; a later run scores them.",
    "FAILED": "Fix the cause and run it again.",
}


def headline_sentence(night: Night) -> str:
    """Return the first sentence, such as '32 unusual of 1,530: review'."""
    if night.verdict.startswith("NO DATA"):
        return f"No data for {night.date}"
    if not night.rows:
        return f"Nothing was scored for {night.date}"
    tail = _of_verdict(TAILS, night.verdict)
    if not night.unusual:
        doubt = "" if night.verdict == "OK" else f": {tail}"
        return f"Nothing unusual in {count(night.rows)} rows{doubt}"
    return f"{count(night.unusual)} unusual of {count(night.rows)}: {tail}"


def advice(verdict: str) -> str:
    """Return what to do about a verdict."""
    return _of_verdict(ADVICE, verdict)


def _of_verdict(texts: dict[str, str], verdict: str) -> str:
    return next((text for start, text in texts.items() if verdict.startswith(start)), "")


def clean_data(night: Night) -> str:
    """Return how many rows clean data would have flagged, and how many are known normal."""
    return " ".join(filter(None, [_clean_data(night), _known_normal(night)]))


def _known_normal(night: Night) -> str:
    """Say whose labels make rows known normal: '5 known normal, label of ann until 2026-12-31.'."""
    whose = list(dict.fromkeys(night.known.values()))
    if not whose:
        return ""
    more = f", and {len(whose) - 1:,} more" if len(whose) > 1 else ""
    return f"{count(night.known_normal)} known normal, {whose[0]}{more}."


def _clean_data(night: Night) -> str:
    if not night.rows or night.in_sample:
        return ""
    if not night.promises or night.expected is None or night.limit is None:
        return "What clean data gives is not known tonight."
    expected = night.expected
    gives = f"{expected:.2g}" if expected < MANY else count(round(expected))
    return f"Clean data gives {gives} (rarely above {count(night.limit)})."


def largest_group(night: Night) -> str:
    """Say how many of the flagged rows the largest group holds; empty without a large one."""
    largest = max((len(group.rows) for group in night.groups), default=0)
    if largest < FEWEST_ALIKE or 2 * largest < night.grouped:
        return ""
    first = "the first " if night.grouped < night.flagged else ""
    return f"One kind makes up {count(largest)} of {first}{count(night.grouped)}."


def warnings(night: Night) -> list[tuple[str, str]]:
    """Return what affects trust in this night, as (word, sentence); empty if nothing does."""
    return list(_warnings(night))


def _warnings(night: Night) -> Iterator[tuple[str, str]]:
    if night.drift.get("alarm"):
        yield "Drift", _drift(night)
    if night.failed:
        yield "Incomplete", f"Not read: {unread_words(night.failed)}. The flags are provisional."
    if night.flooded:
        flagged, budget = count(night.flagged), count(night.alert_budget)
        yield "Flood", f"{flagged} rows are above the cut; the budget is {budget}."
    usual = usual_rows(night.earlier)
    if night.rows and usual and not 1 / MOST_TIMES < night.rows / usual < MOST_TIMES:
        yield "Volume", f"{count(night.rows)} rows; a usual night has {usual:,.10g}."
    for note in night.notes:
        if any(doubt in note for doubt in DOUBTS) and not (night.flooded and TOO_FEW in note):
            yield "Note", f"{note[0].upper()}{note[1:]}."


def _drift(night: Night) -> str:
    """Name the columns that moved most, with their shift in clean deviations."""
    features = night.drift["features"]
    assert isinstance(features, list), "written by flows as a list"
    moved = ", ".join(
        f"{each['name']} ({each['mean']:+.2g}, spread × {each['deviation']:.2g})"
        for each in features[:MOST_MOVED]
    )
    why = f" Most moved, in clean deviations: {moved}." if moved else ""
    return f"The bulk of the rows differs from clean data, so nothing is guaranteed.{why}"
