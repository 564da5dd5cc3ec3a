"""Numbers as people write them in CSV files: with separators, a currency, or a percent sign."""

from __future__ import annotations

from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from storage.sources.csv_files.dialect import CURRENCIES, SPACES

SEPARATORS = {".": ",", ",": "."}  # of thousands, by decimal mark
GROUPS = {".": r"(?:,\d{2,3})*,\d{3}", ",": r"(?:\.\d{3})+"}  # 1,23,456 as in India, too
SPACED = rf"[1-9]\d{{0,2}}(?:[{SPACES}'’]\d{{3}})+"
BARE = {".": r"^\d{1,3}(?: \d{3})+$", ",": r"^\d{1,3}(?:(?: \d{3})+|\.\d{3})$"}  # not clear


class Amounts(NamedTuple):
    """Texts as float64, null where one is no number, and their units, '' for none."""

    values: pa.DoubleArray
    units: pa.StringArray


def looks_like_amount(texts: pa.StringArray, decimal: str) -> pa.BooleanArray:
    """Mark the texts that `read_amounts` may read."""
    return pc.match_substring_regex(texts, _pattern(decimal))


def read_amounts(texts: pa.StringArray, decimal: str) -> Amounts:
    """Read numbers such as 1,234.50, $5, 12.5 %, or (1,234) for a negative one; 12 % is 12.

    Where the decimal mark is a comma, such as 1.234,50. What may be no number of thousands is none:
    there 1.234, and anywhere groups of digits between plain spaces, such as 555 123 456.
    """
    parts = pc.extract_regex(texts, _pattern(decimal))
    number, opened, closed = (pc.struct_field(parts, each) for each in ("number", "open", "close"))
    minus = pc.binary_join_element_wise(*_fields(parts, "minus", "inner"), "")
    units = pc.binary_join_element_wise(*_fields(parts, "before", "after"), "")
    unclear = pc.and_(pc.match_substring_regex(number, BARE[decimal]), pc.equal(units, ""))
    balanced = pc.equal(pc.utf8_length(opened), pc.utf8_length(closed))
    single = pc.and_(*(pc.less_equal(pc.utf8_length(each), 1) for each in (units, minus)))
    sound = pc.and_not(pc.and_(balanced, single), unclear)
    digits = pc.replace_substring_regex(number, rf"[{SPACES}'’{SEPARATORS[decimal]}]", "")
    values = pc.replace_substring(digits, ",", ".").cast(pa.float64())
    negative = pc.or_(pc.equal(opened, "("), pc.is_in(minus, pa.array(["-", "−"])))
    signed = pc.if_else(negative, pc.negate(values), values)
    none = pa.scalar(None, pa.float64())
    return Amounts(pc.if_else(sound, signed, none), units)


def _fields(parts: pa.StructArray, *names: str) -> list[pa.StringArray]:
    return [pc.struct_field(parts, name) for name in names]


def _pattern(decimal: str) -> str:
    number = rf"(?:\d+|[1-9]\d{{0,2}}{GROUPS[decimal]}|{SPACED})(?:\{decimal}\d*)?|\{decimal}\d+"
    return (
        rf"^(?P<open>\(?)(?P<minus>[-+−]?)(?P<before>[{CURRENCIES}]?)[{SPACES}]?"
        rf"(?P<inner>[-+−]?)(?P<number>{number})[{SPACES}]?(?P<after>[%{CURRENCIES}]?)"
        r"(?P<close>\)?)$"
    )
