"""How CSV files write cells: delimiters, decimal marks, and encodings, found or set."""

from __future__ import annotations

import gzip

import numpy as np
import pytest

from storage.errors import SourceError
from storage.sources import BROKEN_CELLS, CATEGORY, Dialect, open_source, open_surveyed, spread_rows
from storage.sources.columns.kinds import level_key

TEXT = "when;Größe;city\n2026-11-20;1,5;Zürich\n2026-11-21;-2,25e1;Genève\n"


def write(tmp_path, text, encoding="utf-8", name="a.csv"):
    path = tmp_path / name
    content = text.encode(encoding)
    path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return path


def read(path, **how):
    with open_source(path, **how) as source:
        return np.concatenate([chunk.rows for chunk in source.chunks(max_rows=2)])


@pytest.mark.parametrize(
    ("encoding", "shown"),
    [
        ("utf-8", None),
        ("utf-8-sig", "UTF-8 with a byte order mark"),
        ("utf-16", "UTF-16 with a byte order mark"),
        ("cp1252", "Windows-1252"),
    ],
)
@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz"])
def test_encoding_and_decimal_comma_are_found_and_shown(tmp_path, encoding, shown, name):
    path = write(tmp_path, TEXT, encoding, name)
    with open_source(path, columns=["Größe", "city"]) as source:
        assert source.facts["decimal mark"] == "comma"
        assert source.facts.get("encoding") == shown
        rows = next(source.chunks(max_rows=9)).rows
    assert rows.tolist() == [[1.5, level_key("Zürich")], [-22.5, level_key("Genève")]]


def test_a_store_keeps_text_in_unicode(tmp_path):
    with open_source(write(tmp_path, TEXT, "cp1252"), columns=["Größe", "city"]) as source:
        source.exact = True
        assert next(source.chunks(max_rows=9)).beside["city"].to_pylist() == ["Zürich", "Genève"]


def test_points_among_decimal_commas_are_no_numbers(tmp_path):
    lines = ["x;y", *(f"{i},5;1" for i in range(40)), "1.234;1", "1.5;1"]
    path = write(tmp_path, "\n".join(lines))

    with open_source(path) as source:
        assert source.facts[BROKEN_CELLS].startswith("2 (a.csv, line 42, column x: '1.234'; ")
    with pytest.raises(SourceError, match=r"row 40 \(line 42\), column x: .* got '1.234'"):
        read(path)
    rows = read(path, missing="impute")
    assert rows[:3, 0].tolist() == [0.5, 1.5, 2.5]
    assert np.isnan(rows[40:, 0]).all()


@pytest.mark.parametrize(
    ("text", "mark"),
    [
        ("x;y\n1.5;2\n", None),
        ("x,y\n1,5\n2,5\n", None),
        ("x\ty\n1,5\t2\n", "comma"),
        ("x;day\n1,5;20.11.2026\n", "comma"),
        ("x;y\n1;2\n", None),
        ("x;y\n1.234,50 €;1.234\n-2,5 €;2.500\n", "comma"),
        ("x\ty\n1,234\t2\n5,678\t2.5\n", None),
        ("x;y\n1,234;2\n", "comma"),
        ("x|y\n$1,234.50|2\n", None),
    ],
)
def test_a_comma_is_the_decimal_mark_only_where_decimals_have_one(tmp_path, text, mark):
    assert open_source(write(tmp_path, text)).facts.get("decimal mark") == mark


def test_what_is_set_is_not_detected(tmp_path):
    path = write(tmp_path, "x:y\n1,5:ä\n", "latin-1")
    dialect = Dialect(":", ",", "iso8859-15")

    with open_source(path, csv=dialect) as source:
        assert source.facts["delimiter"] == "':'"
        assert source.facts["encoding"] == "iso8859-15"
        assert next(source.chunks(max_rows=9)).rows.tolist() == [[1.5, level_key("ä")]]


def test_another_dialect_is_another_fingerprint(tmp_path):
    path = write(tmp_path, "x;y\n1,5;2\n")

    before = open_source(path, kinds={"x": (CATEGORY,)})
    after = open_source(path, kinds={"x": (CATEGORY,)}, csv=Dialect(decimal="."))
    assert before.fingerprint() != after.fingerprint()


def test_rows_kept_while_a_file_is_opened_have_its_decimal_mark(tmp_path):
    path = write(tmp_path, "x;y\n1,5;2\n2,5;3\n")

    with open_source(path, keep=10) as source:
        assert spread_rows(source, 10).tolist() == [[1.5, 2], [2.5, 3]]


def test_text_that_breaks_off_its_encoding_is_refused(tmp_path):
    path = write(tmp_path, "x;y\n" + "1,5;ä\n" * 30_000, "cp1252")
    path.write_bytes(path.read_bytes() + b"2,5;\x81\n")

    with pytest.raises(SourceError, match=r"a.csv: not text in cp1252 .* set data.csv.encoding"):
        read(path, csv=Dialect(encoding="cp1252"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "Sales,,,\n,,,\nid,day,qty,to\n1,2026-01-01,3,x\n",
            "names 1 of 4 columns; .* delete titles",
        ),
        ("Sales\nid,day\n1,2026-01-01\n", "fix the row, or delete titles above and totals"),
        (
            "  id   years  sex\n   1   3.5    m\n   2   4.5    f\n",
            "one column, 'id   years  sex'; ",
        ),
    ],
)
def test_lines_that_are_no_table_say_what_to_do(tmp_path, text, message):
    with pytest.raises(SourceError, match=message):
        open_source(write(tmp_path, text))


def test_the_only_column_may_hold_days_with_times(tmp_path):
    with open_source(write(tmp_path, "event time\n2026-01-31 10:05\n")) as source:
        assert source.schema.names == ("event time",)


def test_a_column_without_a_name_is_no_title(tmp_path):
    with open_source(write(tmp_path, ",x,\n0,1.5,\n1,2.5,\n")) as source:
        assert source.schema.columns == ("x",)


@pytest.mark.parametrize(
    ("days", "found"),
    [
        (["1/2/2026", "1/13/2026"], "month first"),
        (["1/2/2026", "13/1/2026 10:05"], "day first"),
        (["1/2/2026", "2/1/2026"], None),
        (["1/13/2026", "13/1/2026"], None),
        (["3/3/13 21:57", "3/31/13 02:10"], "month first"),
        (["01.02.26", "13.02.26"], "day first"),
        (["26/11/02", "26/11/30", "26/12/31"], None),
        (["13.11.2026", "14.11.2026"], None),
        (["1/2/2026", "13.1.2026"], "day first"),
        (["10.20.30.40", "2026/1/13"], None),
        (["11/1/2026", "14.4.26", "15.4.26"], None),
        (["1/2/26", "13/2/26", "1.4.10", "1.4.11"], "day first"),
    ],
)
def test_some_days_show_whether_the_month_comes_first(tmp_path, days, found):
    path = write(tmp_path, "\n".join(["x,day", *(f"1,{day}" for day in days)]))
    with open_source(path) as source:
        assert source.facts.get("days") == found


def test_a_day_that_shows_the_order_may_come_late(tmp_path, monkeypatch):
    monkeypatch.setattr("storage.sources.csv_files.text.SNIFF_BYTES", 64)
    rows = [f"1,{1 + i // 90}/2/2026" for i in range(900)]
    with open_source(write(tmp_path, "\n".join(["x,day", *rows, "1,1/31/2026"]))) as source:
        assert source.facts["days"] == "month first"


def test_parts_of_a_file_cut_no_day_in_half(tmp_path, monkeypatch):
    monkeypatch.setattr("storage.sources.csv_files.text.SNIFF_BYTES", 37)  # ends in 15.1.20
    path = write(tmp_path, "\n".join(["day,x", *(f"{13 + i % 16}.1.2026,1" for i in range(90))]))
    with open_source(path) as source:
        assert "days" not in source.facts


def test_bytes_that_are_no_text_do_not_hide_the_order_of_days(tmp_path):
    lines = ["x,day", "é,1/2/2026", *["cafe,1/2/2026"] * 9_000]
    path = write(tmp_path, "\n".join(lines))
    path.write_bytes(path.read_bytes() + b"\n\xe9,1/13/2026\n")
    with open_source(path) as source:
        assert source.facts["days"] == "month first"


def test_a_day_of_another_file_may_show_the_order(tmp_path):
    for day in ("02", "03", "13"):
        write(tmp_path, f"x,day\n1,1/{day}/2026\n", name=f"{day}.csv")
    with open_source(tmp_path) as source:
        assert source.facts["days"] == "month first"


@pytest.mark.parametrize(("first", "weekday"), [("month", 4), ("day", 6)])
def test_days_in_a_known_order_are_times(tmp_path, first, weekday):
    clean = [f"{i},{i}/11/2026" if first == "day" else f"{i},11/{i}/2026" for i in range(1, 31)]
    path = write(tmp_path, "\n".join(["x,day", *clean]))
    with open_surveyed(path) as source:
        assert source.schema.kinds == ("number", "weekday")
    how = {"csv": Dialect(days=f"{first} first"), "kinds": {"day": ("weekday",)}}
    night = write(tmp_path, "x,day\n1,1/2/26\n", name="night.csv")
    assert read(night, **how)[:, 1].tolist() == [weekday]


def test_days_in_a_known_order_are_stored_as_they_are_written(tmp_path):
    path = write(tmp_path, "id,x,day\n1/2/2026,1,1/2/2026\n1/3/2026,2,1/31/2026\n")
    with open_source(path, id="id") as source:
        source.exact = True
        chunk = next(source.chunks(max_rows=9))
    assert chunk.beside["day"].to_pylist() == ["1/2/2026", "1/31/2026"]
    assert chunk.ids.tolist() == ["1/2/2026", "1/3/2026"]


def test_days_of_unclear_order_are_not_read_and_say_what_to_do(tmp_path):
    lines = ["x,day", *(f"{i},{1 + i % 12}/{1 + i % 11}/2026" for i in range(40))]
    with open_surveyed(write(tmp_path, "\n".join(lines))) as source:
        assert source.unread["day"] == (
            "days such as '1/1/2026': month or day first? "
            "set data.csv.days, or write them as 2026-01-31"
        )


@pytest.mark.parametrize(
    ("text", "encoding", "shown"),
    [
        ("café", "cp1252", "Windows-1252"),
        ("caf\x81é", "latin-1", "Latin-1"),
        ("café", "utf-8", None),
    ],
)
def test_the_first_letter_beyond_ascii_shows_the_encoding_wherever_it_stands(
    tmp_path, text, encoding, shown
):
    lines = ["x,name", *(f"{i},cafe" for i in range(20_000)), f"1,{text}", ""]
    with open_source(write(tmp_path, "\n".join(lines), encoding)) as source:
        assert source.facts.get("encoding") == shown
        rows = np.concatenate([chunk.rows for chunk in source.chunks(max_rows=9_999)])
    assert rows[-1, 1] == level_key(text)


def test_a_late_byte_that_windows_1252_lacks_makes_the_file_latin_1(tmp_path):
    lines = ["x,name", *(f"{i},caf\xe9" for i in range(20_000)), "1,\x81"]
    with open_source(write(tmp_path, "\n".join(lines), "latin-1")) as source:
        assert source.facts["encoding"] == "Latin-1"


def test_text_in_an_encoding_that_is_not_detected_says_to_convert_it(tmp_path):
    path = write(tmp_path, "x,name\n1,\x81\n2,a,b\n", "latin-1")
    with pytest.raises(SourceError, match="read as Latin-1; convert it to UTF-8 if it is not; fix"):
        open_source(path)


def test_levels_that_look_like_days_stay_as_they_are_written(tmp_path):
    rows = [
        f"{i % 12 + 1}/{i % 28 + 1}/2026,{('1-2-26', '1.2.26', '2.0.0')[i % 3]}" for i in range(60)
    ]
    with open_surveyed(write(tmp_path, "\n".join(["day,version", *rows]))) as source:
        assert source.schema.kinds == ("weekday", "category")
        levels = [level_key(each) for each in ("1-2-26", "1.2.26", "2.0.0")]
        assert next(source.chunks(max_rows=3)).rows[:, 1].tolist() == levels


def test_days_with_points_begin_with_the_day_where_others_begin_with_the_month(tmp_path):
    path = write(tmp_path, "day,other\n1/31/2026,2.6.2026\n")
    kinds = {"day": ("weekday",), "other": ("weekday",)}
    assert read(path, kinds=kinds).tolist() == [[5, 1]]  # 31 January, 2 June
