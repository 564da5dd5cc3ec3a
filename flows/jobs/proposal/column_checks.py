"""Columns and rows of clean data that tell a network nothing new, or something other than amounts.

`check_columns` takes a sample (n, d) of numbers; `warnings_of` puts what it found into words.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aemodel.rows.hashes import repeated_share

BLOCK_VALUES = 4_000_000  # inspected together
FEWEST_ROWS = 10  # fewer are constant or equal by chance
FEWEST_CODES, MOST_CODES = 3, 1_000
ROWS_PER_CODE = 20
MOST_SCATTERED = 0.05  # share of the whole numbers in their range that codes use
DIGITS = 9  # of standardized values that equal columns share
FEWEST_REPEATED = 0.01  # share of rows that is worth a warning
LARGEST_WHOLE = 2.0**53
LOWEST_NUMBERED = 1e8  # of numbers as long as those of cards
MOST_NUMBERED_ALIKE = 0.01  # share of the rows of such a column that repeat a number

Values = NDArray[np.float64]


@dataclass(frozen=True)
class ColumnFindings:
    """Indices of columns to reconsider, and the share of rows that repeat an earlier one.

    equal: pairs of a column and an earlier one with the same values; linear: pairs where one is
    the other in another unit, or its complement. codes: whole numbers scattered like codes.
    numbered: long whole numbers that hardly repeat, like those of cards.
    """

    sampled: int = 0
    empty: tuple[int, ...] = ()
    constant: tuple[int, ...] = ()
    equal: tuple[tuple[int, int], ...] = ()
    linear: tuple[tuple[int, int], ...] = ()
    codes: tuple[int, ...] = ()
    numbered: tuple[int, ...] = ()
    repeated: float = 0.0


def check_columns(rows: NDArray[np.generic]) -> ColumnFindings:
    """Check the columns of a sample of rows (n, d); nothing is found in a few rows."""
    if len(rows) < FEWEST_ROWS:
        return ColumnFindings(len(rows))
    checks = _Checks()
    width = max(1, BLOCK_VALUES // len(rows))
    for start in range(0, rows.shape[1], width):
        block = rows[:, start : start + width].astype(np.float64)
        for place, column in enumerate(np.ascontiguousarray(block.T), start):
            checks.add(place, column)
    return checks.findings(len(rows), repeated_share(rows))


class _Checks:
    """Findings column by column."""

    def __init__(self) -> None:
        self.empty: list[int] = []
        self.constant: list[int] = []
        self.codes: list[int] = []
        self.numbered: list[int] = []
        self.equal, self.linear = _Twins(), _Twins()

    def add(self, place: int, column: Values) -> None:
        known = column[np.isfinite(column)]
        if not len(known):
            self.empty.append(place)
        elif (known == known[0]).all():
            self.constant.append(place)
        elif not self.equal.add(place, column):
            self.linear.add(place, _standardized(column, known))
            if _are_codes(known):
                self.codes.append(place)
            elif _are_numbered(known):
                self.numbered.append(place)

    def findings(self, sampled: int, repeated: float) -> ColumnFindings:
        return ColumnFindings(
            sampled=sampled,
            empty=tuple(self.empty),
            constant=tuple(self.constant),
            equal=tuple(self.equal.pairs),
            linear=tuple(self.linear.pairs),
            codes=tuple(self.codes),
            numbered=tuple(self.numbered),
            repeated=repeated,
        )


class _Twins:
    """Pairs of a column and the first one with the same bytes."""

    def __init__(self) -> None:
        self.pairs: list[tuple[int, int]] = []
        self._first: dict[bytes, int] = {}

    def add(self, place: int, column: Values) -> bool:
        """Add a column (n,); return whether an earlier one is the same."""
        first = self._first.setdefault(_digest(column), place)
        if first != place:
            self.pairs.append((place, first))
        return first != place


def _digest(column: Values) -> bytes:
    return hashlib.blake2b((column + 0.0).tobytes(), digest_size=16).digest()  # -0.0 is 0.0


def _standardized(column: Values, known: Values) -> Values:
    """Return a column without its unit, offset and sign: equal for linear functions of it.

    A column whose squares float64 cannot hold is divided by its largest value first.
    """
    size = np.abs(known).max()
    column, known = (column, known) if 1e-100 < size < 1e100 else (column / size, known / size)
    with np.errstate(over="ignore", invalid="ignore"):
        scaled = (column - known.mean()) / known.std()
    finite = scaled[np.isfinite(scaled)]
    sign = np.sign(finite[np.argmax(np.abs(finite) > 0.5)]) if len(finite) else 1.0
    return np.asarray(np.round(sign * scaled, DIGITS))


def _are_codes(known: Values) -> bool:
    """Return whether finite values (n,) are few whole numbers, scattered over their range.

    A common divisor counts as the unit: 0, 10, 20 to 100 are amounts.
    """
    if not (np.abs(known) < LARGEST_WHOLE).all() or (known % 1).any():
        return False
    values = np.unique(known).astype(np.int64)
    if not FEWEST_CODES <= len(values) <= min(MOST_CODES, len(known) // ROWS_PER_CODE):
        return False
    steps = np.diff(values)
    places = (values[-1] - values[0]) // np.gcd.reduce(steps) + 1
    return bool(len(values) < MOST_SCATTERED * places)


def _are_numbered(known: Values) -> bool:
    """Return whether finite values (n,) are long whole numbers, nearly all of them distinct."""
    if not (known >= LOWEST_NUMBERED).all() or (known % 1).any():
        return False
    return len(np.unique(known)) >= (1 - MOST_NUMBERED_ALIKE) * len(known)


def warnings_of(
    found: ColumnFindings, names: Sequence[str], remedy: str
) -> Iterator[tuple[str, list[str]]]:
    """Yield what is suspect, and the columns or figures that it concerns; see `names`.

    names: of all columns, as displayed. remedy: how to leave out columns.
    """
    where = f"in all {found.sampled:,} rows sampled"
    twice = f"so it counts twice; {remedy}"
    yield f"empty {where}: later values cannot be judged; {remedy}", _named(found.empty, names)
    yield (
        f"constant {where}; if so in all rows, any change is reported",
        _named(found.constant, names),
    )
    yield f"equal to an earlier column {where}, {twice}", _pairs(found.equal, names)
    yield f"an earlier column in another unit {where}, {twice}", _pairs(found.linear, names)
    yield (
        "few, scattered whole numbers: codes without an order? If so, list them in data.categories",
        _named(found.codes, names),
    )
    if found.repeated >= FEWEST_REPEATED:
        what = 'rows that repeat (train.split = "content" keeps the copies of a row together)'
        yield what, [f"{found.repeated:.1%} of {found.sampled:,} rows sampled"]


def _named(places: Sequence[int], names: Sequence[str]) -> list[str]:
    return [names[place] for place in places]


def _pairs(pairs: Sequence[tuple[int, int]], names: Sequence[str]) -> list[str]:
    return [f"{names[later]} (as {names[earlier]})" for later, earlier in pairs]
