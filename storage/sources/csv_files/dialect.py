"""How a CSV file writes cells: its encoding, delimiter, decimal mark, and days, as it shows."""

from __future__ import annotations

import codecs
import csv
import re
from typing import NamedTuple

DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
MARKS = {"": "", ".": "point", ",": "comma"}  # decimal marks, and their names
BYTE_ORDER_MARKS = {codecs.BOM_UTF8: "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
WINDOWS, LATIN = "cp1252", "latin-1"
NAMES = {
    "utf-8": "UTF-8",
    "utf-8-sig": "UTF-8 with a byte order mark",
    "utf-16": "UTF-16 with a byte order mark",
    WINDOWS: "Windows-1252",
    LATIN: "Latin-1",
}
CURRENCIES = "$€£¥₹₩₽₺₪₫฿"
SPACES = " \u00a0\u202f"  # also those that do not break, which French software writes
NO_TEXT = re.compile(rb"[\0-\x08\x0e-\x19\x1c-\x1f]")
COMMA_DECIMAL = rf"(\d*|\d{{1,3}}([.'{SPACES}]\d{{3}})+),\d+([eE][+-]?\d+)?"
POINT_DECIMAL = rf"(\d*|\d{{1,3}}([,'{SPACES}]\d{{3}})+)\.\d+"
THOUSANDS = r"[1-9]\d{{0,2}}{mark}\d{{3}}"  # or a number with three decimals
MONTH_FIRST, DAY_FIRST = "month first", "day first"
AROUND = f"+-−()%\t{SPACES}{CURRENCIES}"  # what may stand before or after a number


class Dialect(NamedTuple):
    """Delimiter, decimal mark, and encoding of CSV files; '' for what is to be detected.

    days: MONTH_FIRST if 1/2/2026 is in January, DAY_FIRST if it is in February; '' if unknown.
    """

    delimiter: str = ""
    decimal: str = ""
    encoding: str = ""
    days: str = ""

    @property
    def arrow_encoding(self) -> str:
        """The encoding as Arrow takes it, which skips the byte order mark of UTF-8 itself."""
        return "utf8" if self.encoding in ("utf-8", "utf-8-sig") else self.encoding

    @property
    def doubt(self) -> str:
        """What to add to an error about the text: it may be in an encoding that is not detected."""
        return (
            ", read as Latin-1; convert it to UTF-8 if it is not" if self.encoding == LATIN else ""
        )

    def facts(self) -> dict[str, str]:
        """Return what to show: the delimiter, and the rest unless it is as usual."""
        facts = {"delimiter": DELIMITERS.get(self.delimiter, repr(self.delimiter))}
        facts |= {"decimal mark": MARKS[self.decimal]} if self.decimal != "." else {}
        facts |= {"days": self.days} if self.days else {}
        encoding = NAMES.get(self.encoding, self.encoding)
        return facts | ({"encoding": encoding} if self.encoding != "utf-8" else {})


def detect_encoding(start: bytes) -> str:
    """Return the encoding of a text that starts so: a cut character at the end does not count.

    What is not UTF-8 counts as Windows-1252, which holds Western European text, or as Latin-1, in
    which every byte is a character. Raises UnicodeDecodeError if it is no text.
    """
    for mark, encoding in BYTE_ORDER_MARKS.items():
        if start.startswith(mark):
            return encoding
    try:
        codecs.getincrementaldecoder("utf-8")().decode(start)
        return "utf-8"
    except UnicodeDecodeError:
        if NO_TEXT.search(start):
            raise
    return of_one_byte(start)


def of_one_byte(part: bytes) -> str:
    """Return Windows-1252, or Latin-1 for a text with bytes that the former lacks."""
    try:
        part.decode(WINDOWS)
    except UnicodeDecodeError:
        return LATIN
    return WINDOWS


def detect_delimiter(text: str) -> str:
    """Return the delimiter that splits the first line of a text into most columns."""
    header = text.splitlines()[0]
    counts = {each: len(next(csv.reader([header], delimiter=each))) for each in DELIMITERS}
    return max(DELIMITERS, key=lambda each: counts[each])


def detect_decimal(text: str, delimiter: str) -> str:
    """Return the decimal mark of most cells of a text: a comma, or a point.

    A comma that delimits is none. What may be a mark between thousands does not count.
    """
    if delimiter == ",":
        return "."
    rows = csv.reader(text.splitlines(), delimiter=delimiter)
    cells = [cell.strip(AROUND) for row in rows for cell in row]
    between = r"\." if delimiter == ";" else ","  # software writes ; where , is the decimal mark
    unclear = THOUSANDS.format(mark=between)
    cells = [cell for cell in cells if not re.fullmatch(unclear, cell)]
    commas = sum(bool(re.fullmatch(COMMA_DECIMAL, cell)) for cell in cells)
    points = sum(bool(re.fullmatch(POINT_DECIMAL, cell)) for cell in cells)
    return "," if commas > points else "."
