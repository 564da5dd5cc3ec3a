"""init: the job file it proposes is valid TOML and names what is suspect in the data."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
from bench import Bench
from PIL import Image

from flows.errors import UsageError
from flows.jobs.proposal.propose import propose_job
from flows.jobs.proposal.suspect_values import Sentinel, find_sentinels
from storage.errors import SourceError

pytestmark = pytest.mark.slow

N = 3_000


@pytest.fixture
def columns(random):
    return {name: random.normal(size=N) for name in "abc"}


def write(path, columns):
    pq.write_table(pa.table(columns), path)
    return str(path)


def proposed(path):
    return propose_job(str(path), field="").text


def in_one_line(text):
    return " ".join(line.removeprefix("# ") for line in text.splitlines())


def keys(path):
    return tomllib.loads(proposed(path))


def test_line_breaks_and_control_characters_in_names_give_valid_toml(tmp_path, columns):
    odd = {"note\n(free)\x1b[31m\x7f": ["x"] * N}
    path = write(tmp_path / "a\x7f\n.parquet", columns | odd)
    assert keys(path)["data"]["clean"] == path
    assert r"read as category: 'note\n(free)\x1b[31m\x7f'" in proposed(path)

    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["a\nb"] = np.ones((20, 2))
    assert r"field a\nb" in proposed(tmp_path / "a.h5")
    assert "data" in keys(tmp_path / "a.h5")


def test_a_path_that_is_not_utf8_is_refused():
    with pytest.raises(UsageError, match=r"a\\xe9.npy: a job file is UTF-8"):
        propose_job("a\udce9.npy", field="")


def test_all_columns_that_are_not_read_are_listed(tmp_path, columns):
    texts = {f"text {index}": [["x"]] * N for index in range(90)}
    text = proposed(write(tmp_path / "a.parquet", columns | texts))

    listed = " ".join(line.removeprefix("# ") for line in text.splitlines() if line[:2] == "# ")
    assert ", ".join(texts) in listed
    assert max(map(len, text.splitlines())) < 150


def test_a_running_id_is_proposed_as_id_and_is_no_feature(tmp_path, columns):
    path = write(tmp_path / "a.parquet", {"row": np.arange(N) + 7} | columns)

    assert keys(path)["data"]["id"] == "row"
    assert "rows of 3 features" in proposed(path)


def test_other_columns_that_ascend_are_named(tmp_path, columns):
    more = {"row": np.arange(N), "elapsed": np.arange(N) * 0.1, "second id": np.arange(N) + 5}
    text = proposed(write(tmp_path / "a.parquet", columns | more))

    assert tomllib.loads(text)["data"]["id"] == "row"
    assert "# distinct and ascending in all rows sampled" in text
    assert "'elapsed', 'second id'" in text


def test_a_column_of_an_array_that_ascends_is_named(tmp_path, columns):
    np.save(tmp_path / "a.npy", np.column_stack([*columns.values(), np.arange(N)]))

    assert "fall outside; remove them: column 3" in proposed(tmp_path / "a.npy")


def test_ordinary_columns_are_neither_ids_nor_codes(tmp_path, random):
    ordinary = {
        "normal": random.normal(size=N),
        "heavy": random.standard_cauchy(size=N),
        "log": np.exp(3 * random.normal(size=N)),
        "counts": random.poisson(2, N),
        "rare": (random.random(N) < 0.01).astype(float),
        "mostly zero": np.where(random.random(N) < 0.97, 0, random.integers(1, 20, N)),
        "constant": np.full(N, 999.0),
        "percent": np.minimum(random.integers(0, 100, N), 99),
        "timestamps": 1.7e18 + random.permutation(N) * 1e9,
    }
    text = proposed(write(tmp_path / "a.parquet", ordinary))

    assert "missing-value codes" not in text
    assert "ascending" not in text


@pytest.mark.parametrize(
    "code", [-9999.0, 999.0, -999.25, 1e20, -1.79e308, 65535.0, 9.96921e36, -32768.0]
)
def test_values_that_look_like_sentinels_are_named(tmp_path, columns, code):
    columns["b"][[5, 50, 500, 1000, 2000]] = code
    text = proposed(write(tmp_path / "a.parquet", columns))

    assert f"replace them with NaN: {code:g} in 'b' (5 times)" in " ".join(
        line.removeprefix("# ") for line in text.splitlines()
    )


def test_several_codes_in_one_column_are_found_even_if_frequent(random):
    column = random.normal(size=N)
    column[:900], column[900:903], column[903] = -9999, 9999, -999

    assert sorted(find_sentinels(column[:, None]), key=lambda each: each.value) == [
        Sentinel(0, -9999.0, 900),
        Sentinel(0, -999.0, 1),
        Sentinel(0, 9999.0, 3),
    ]


def test_an_unusual_code_is_found_if_it_repeats(random):
    column = random.normal(size=N)
    column[:3] = -1000

    assert list(find_sentinels(column[:, None])) == [Sentinel(0, -1000.0, 3)]


def test_a_code_in_images_is_named_once(tmp_path, random):
    images = random.normal(size=(50, 8, 8)).astype(np.float32)
    images[3, 2:5] = -9999
    np.save(tmp_path / "a.npy", images)

    assert "-9999 in all columns (24 times)" in proposed(tmp_path / "a.npy")


def test_a_table_with_more_columns_than_rows_gets_one_linear_network(tmp_path, random):
    np.save(tmp_path / "a.npy", random.normal(size=(300, 2_500)))
    found = keys(tmp_path / "a.npy")

    assert found["model"]["activation"] == "identity"
    assert found["model"]["hidden"] == []
    assert "prototypes" not in found["model"]
    assert found["model"]["latent"] <= 70  # of 210 rows to fit to
    assert found["score"]["by"] == "error"


@pytest.mark.parametrize("shape", [(60, 30), (300, 200), (3_000, 400)])
def test_other_tables_keep_their_prototypes(tmp_path, random, shape):
    np.save(tmp_path / "a.npy", random.normal(size=shape))

    assert keys(tmp_path / "a.npy")["model"]["prototypes"] > 0


@pytest.mark.parametrize(("levels", "members"), [((), 2), (("red", "blue"), 4)])
def test_a_table_of_numbers_gets_fewer_members_than_one_with_categories(
    tmp_path, columns, levels, members
):
    if levels:
        columns["color"] = np.resize(levels, N)
    write(tmp_path / "clean.parquet", columns)

    assert keys(tmp_path / "clean.parquet")["model"]["members"] == members


def test_a_large_table_gets_fewer_members_whatever_its_columns(tmp_path, random):
    n = 10_000
    write(tmp_path / "a.parquet", {"x": random.normal(size=n), "c": np.resize(["red", "blue"], n)})

    assert keys(tmp_path / "a.parquet")["model"]["members"] == 2


@pytest.mark.parametrize(("rows", "steps"), [(3_000, "200"), (80_000, "1,000")])
def test_the_steps_that_init_names_are_those_of_its_epochs(tmp_path, random, rows, steps):
    path = write(tmp_path / "a.parquet", {"x": random.normal(size=rows)})
    train = keys(path)["train"]
    fit_rows = rows * (0.9 - train["calibration"])
    assert f"# about {steps} steps" in proposed(path)
    assert train["epochs"] * fit_rows / train["batch_size"] == pytest.approx(
        float(steps.replace(",", "")), rel=0.2
    )


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_suspect_columns_and_repeated_rows_are_named(tmp_path, columns, random, suffix):
    columns["status"] = random.choice([200, 301, 404], N) * 1.0
    odd = {"copy": columns["a"], "same": np.full(N, 5.0), "void": np.full(N, np.nan)}
    table = pa.table({**columns, **odd})
    write_table = pq.write_table if suffix == "parquet" else pa_csv.write_csv
    write_table(pa.concat_tables([table, table]), tmp_path / f"a.{suffix}")
    text = in_one_line(proposed(tmp_path / f"a.{suffix}"))

    assert "sampled: later values cannot be judged; list them in data.ignore: 'void'" in text
    assert "if so in all rows, any change is reported: 'same'" in text
    assert "list them in data.ignore: 'copy' (as 'a')" in text
    assert "list them in data.categories: 'status'" in text
    assert "50.0% of 6,000 rows sampled" in text


def test_long_lists_are_cut(tmp_path, columns):
    same = {f"same {index}": np.full(N, 1.0) for index in range(150)}
    text = proposed(write(tmp_path / "a.parquet", columns | same))

    assert "'same 99' and 50 more" in in_one_line(text)


def test_what_lies_beyond_the_first_rows_is_found(tmp_path, columns):
    columns = {name: np.tile(values, 20) for name, values in columns.items()}
    columns["b"][50_000:] = -9999.0
    text = proposed(write(tmp_path / "a.parquet", columns))

    assert "replace them with NaN: -9999 in 'b'" in in_one_line(text)


def test_a_sorted_column_with_repeated_values_is_no_id(tmp_path, columns):
    columns = {name: np.tile(values, 20) for name, values in columns.items()}
    pairs = {"order": np.arange(20 * N) // 2}

    assert "id" not in keys(write(tmp_path / "a.parquet", pairs | columns))["data"]


@pytest.mark.parametrize(
    ("rows", "rule", "top_n", "why"),
    [
        (50_000, "quantile 0.999", 100, ""),
        (2_000, "quantile 0.99", 100, "0.999 needs 2,999"),
        (140, "top", 7, "too few for a guarantee"),
        (50, "top", 5, "10 % of a night as large as the clean data"),
    ],
)
def test_the_rule_is_the_strictest_that_the_rows_can_honor(
    tmp_path, random, rows, rule, top_n, why
):
    path = write(tmp_path / "a.parquet", {name: random.normal(size=rows) for name in "abc"})
    score = keys(path)["score"]

    assert (score["rule"], score["top_n"]) == (rule, top_n)
    assert why in proposed(path)


@pytest.mark.parametrize(("files", "share"), [(9, 0.2), (10, 0.4), (12, 0.3), (40, 0.2)])
def test_whole_files_are_held_out_where_there_are_ten_or_more(tmp_path, columns, files, share):
    for number in range(files):
        part = {name: values[number::files] for name, values in columns.items()}
        write(tmp_path / f"{number:02}.parquet", part)
    train = keys(tmp_path)["train"]

    assert train.get("split") == ("blocks" if files >= 10 else None)
    assert train["calibration"] == share
    assert (f"{files} files: whole ones are held out" in proposed(tmp_path)) == (files >= 10)


def scattered(days, *, rows=30):
    """Times of rows at any time of some days, which form no series."""
    start, random = np.datetime64("2026-10-01T00:00", "s"), np.random.default_rng(1)
    seconds = np.sort(random.integers(0, 86_400, (days, rows)), axis=1)
    seconds += 86_400 * np.arange(days)[:, None]
    return start + seconds.ravel().astype("timedelta64[s]")


@pytest.mark.parametrize(("days", "share"), [(4, 0.2), (9, 0.2), (10, 0.4), (60, 0.2)])
def test_whole_days_are_held_out_where_there_are_ten_or_more(tmp_path, random, days, share):
    when = scattered(days)
    path = write(tmp_path / "a.parquet", {"x": random.normal(size=len(when)), "when": when})
    train, text = keys(path)["train"], proposed(path)

    assert (train.get("split"), train.get("blocks")) == (
        ("blocks", "when") if days >= 10 else (None, None)
    )
    assert train["calibration"] == share
    assert (f"{days} days: whole ones are held out" in text) == (days >= 10)
    assert ("if days differ by no more than chance" in text) == (days >= 5)


def test_days_with_a_few_rows_each_are_no_blocks(tmp_path, columns):
    born = np.datetime64("1950-01-01") + (np.arange(N) * 7).astype("timedelta64[D]")
    path = write(tmp_path / "a.parquet", columns | {"born": born})

    assert "split" not in keys(path)["train"]


def test_init_says_which_of_two_columns_of_dates_gives_the_days(tmp_path, random):
    when = scattered(12)
    born = random.permutation(when) - np.timedelta64(9_000, "D")
    rows = {"born": born, "x": random.normal(size=len(when)), "when": when}
    path = write(tmp_path / "a.parquet", rows)

    assert keys(path)["train"]["blocks"] == "when"
    assert "# days are those of 'when'; set blocks for others: 'born'" in proposed(path)


def test_times_of_day_are_no_choice_for_the_days(tmp_path, random):
    when = scattered(12)
    hours = (60 * random.integers(0, 24 * 60, len(when))).astype("datetime64[s]")
    rows = {"x": random.normal(size=len(when)), "when": when, "clock": hours}
    path = write(tmp_path / "a.parquet", rows)

    assert keys(path)["train"]["blocks"] == "when"
    assert "set blocks for others" not in proposed(path)


@pytest.mark.parametrize("named", [str, int])
def test_entities_that_come_and_go_are_held_out_and_are_no_feature(tmp_path, random, named):
    number = np.arange(N) * 20 // N
    rows = {name: 3 * random.normal(size=20)[number] + random.normal(size=N) for name in "ab"}
    batches = write(tmp_path / "a.parquet", rows | {"batch": [*map(named, number)]})
    mixed = random.permutation(N)
    columns = {name: values[mixed] for name, values in rows.items()}
    machines = {"machine": [*map(named, number[mixed])]}

    assert keys(batches)["train"]["blocks"] == "batch"
    assert keys(batches)["data"]["ignore"] == ["batch"]
    assert "20 entities: whole ones are held out" in proposed(batches)
    text = proposed(write(tmp_path / "b.parquet", columns | machines))
    assert "split" not in tomllib.loads(text)["train"]
    assert "data.entity scales rows" in text


def test_a_proposed_job_with_days_or_entities_trains(tmp_path, random):
    when, level = scattered(20), np.repeat(random.normal(size=20), 30)
    rows = {name: 4 * level + random.normal(size=600) for name in "ab"}
    number = np.arange(600) // 30
    batch = [f"b{each}" for each in number]
    for name, column, kind in (
        ("when", when, "days"), ("batch", batch, "entities"), ("lot", number, "entities")
    ):  # fmt: skip
        path = write(tmp_path / f"{name}.parquet", rows | {name: column})
        (tmp_path / f"{name}.toml").write_text(proposed(path))
        ran = Bench(tmp_path).run("train", tmp_path / f"{name}.toml", "--set", "train.epochs=1")

        assert ran.code == 0, ran.err
        model = json.loads((Path(ran.facts["path"]) / "model.json").read_text())
        assert (model["blocks"], model["train"]["blocks"]) == (kind, name)


def test_gaps_in_times_are_allowed_for_as_those_in_numbers(tmp_path, random):
    when = [*(np.datetime64("2026-01-01T00", "s") + 7_777 * random.permutation(400)), None]
    rows = {"when": when, "x": random.normal(size=401)}
    levels = {"level": random.choice(["a", None], size=401), "x": random.normal(size=401)}
    gaps = write(tmp_path / "a.parquet", rows)
    none = write(tmp_path / "b.parquet", {name: column[:400] for name, column in rows.items()})

    assert keys(gaps)["data"]["missing"] == "impute"
    assert "missing" not in keys(none)["data"]
    assert "missing" not in keys(write(tmp_path / "c.parquet", levels))["data"]


def test_days_written_as_numbers_are_pointed_out(tmp_path, random):
    days = np.datetime64("2026-01-20") + np.arange(400)
    numbers = np.array([int(str(day).replace("-", "")) for day in days])
    rows = {"x": random.normal(size=400)}
    written = write(tmp_path / "a.parquet", {"day": numbers, **rows})
    in_any_order = write(tmp_path / "b.parquet", {"day": random.permutation(numbers), **rows})
    amounts = write(tmp_path / "c.parquet", {"day": numbers + 20, **rows})

    for path in (written, in_any_order):
        assert "read as times" in proposed(path)
        assert re.search(r"\n# .*: 'day'\n", proposed(path))
    assert "read as times" not in proposed(amounts)


@pytest.mark.parametrize(
    ("name", "per_second", "unit"),
    [
        ("created_at", 1, "seconds"),
        ("ts", 10**6, "microseconds"),
        ("amount", 1, ""),
        ("candidates", 1, ""),
    ],
)
def test_times_since_1970_are_pointed_out(tmp_path, random, name, per_second, unit):
    seconds = 1_700_000_000 + random.integers(0, 10**6, 400)
    path = write(tmp_path / "a.parquet", {name: seconds * per_second, "x": random.normal(size=400)})

    assert ("since 1970, so later nights" in proposed(path)) == bool(unit)
    assert unit in proposed(path)


def test_the_night_of_a_folder_of_images_is_a_folder(tmp_path, random):
    (tmp_path / "clean").mkdir()
    for number in range(12):
        image = Image.fromarray(random.integers(0, 255, (4, 4), np.uint8))
        image.save(tmp_path / f"clean/{number}.png")

    assert keys(tmp_path / "clean")["data"]["incoming"] == "nights/{date}"
    assert keys(tmp_path / "clean" / "*.png")["data"]["incoming"] == "nights/{date}"


def test_nights_below_the_clean_folder_are_said_to_be_known(tmp_path, columns):
    (tmp_path / "dt=2026-11-20").mkdir()
    write(tmp_path / "dt=2026-11-20/a.parquet", columns)

    assert keys(tmp_path)["data"]["incoming"] == f"{tmp_path}/dt={{date}}"
    assert "training knows the days in clean, so score later ones" in proposed(tmp_path)


def test_images_of_several_sizes_are_read_in_the_usual_one(tmp_path, random):
    for number, (height, width) in enumerate([(10, 20), (12, 18), (12, 20), (300, 200)]):
        pixels = random.integers(0, 256, size=(height, width), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")

    assert keys(tmp_path)["data"]["resize"] == [12, 20]


def test_large_images_of_several_sizes_are_read_smaller(tmp_path, random):
    for number, side in enumerate([200, 300, 400]):
        pixels = random.integers(0, 256, size=(side, side // 2), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")

    assert keys(tmp_path)["data"]["resize"] == [64, 32]


def test_images_of_one_size_are_read_in_it(tmp_path):
    for number in range(3):
        Image.fromarray(np.full((4, 6), 50 * number, np.uint8)).save(tmp_path / f"{number}.png")

    assert "resize" not in keys(tmp_path)["data"]


def test_images_that_differ_in_color_are_refused(tmp_path):
    for number, shape in enumerate([(4, 6), (4, 6, 3)]):
        Image.fromarray(np.zeros(shape, np.uint8)).save(tmp_path / f"{number}.png")

    with pytest.raises(SourceError, match="Convert the images to one kind"):
        proposed(tmp_path)


@pytest.mark.parametrize(
    ("step", "line"), [(1, 'time        = "day"'), (11, "# read as weekday: 'day'")]
)
def test_days_that_show_whether_the_month_comes_first_set_it_for_later_nights(tmp_path, step, line):
    days = [f"{1 + i * step // 28 % 12}/{1 + i * step % 28}/2026" for i in range(300)]
    path = tmp_path / "clean.csv"
    rows = [f"{i % 7}.5,{day}" for i, day in enumerate(days)]
    path.write_text("\n".join(["x,day", *rows]) + "\n", encoding="utf-8")
    text = proposed(path)
    assert tomllib.loads(text)["data"]["csv"] == {"days": "month first"}
    assert line in text


def test_numbers_of_cards_are_pointed_out_but_not_times(tmp_path, columns, random):
    cards, times = random.integers(10**15, 10**16, N), 1_700_000_000 + random.integers(0, 10**8, N)
    text = proposed(write(tmp_path / "a.parquet", {**columns, "card": cards, "time": times}))
    assert (
        "# long whole numbers that hardly repeat: of cards, accounts, or phones? If so, list"
        in text
    )
    assert [line for line in text.splitlines() if line.endswith("'card'")]
    assert "'card', 'time'" not in text


def test_an_encoding_that_a_night_may_not_show_is_set(tmp_path):
    lines = [f"{i % 7}.5,caf\x81\xe9 {i % 3}" for i in range(300)]
    path = tmp_path / "clean.csv"
    path.write_text("\n".join(["x,name", *lines]) + "\n", encoding="latin-1")
    assert tomllib.loads(proposed(path))["data"]["csv"] == {"encoding": "latin-1"}


@pytest.mark.parametrize("name", ["rows.csv", "rows.jsonl", "rows.parquet"])
def test_a_gap_that_no_sampled_row_has_is_imputed(tmp_path, monkeypatch, name):
    for module in ("data_section", "sample"):
        monkeypatch.setattr(f"flows.jobs.proposal.{module}.SAMPLE_ROWS", 64)
    rows = [{"a": row % 7 + 0.5, "b": row % 9 + 0.5} for row in range(1_000)]
    rows[985]["b"] = None
    lines = map(json.dumps, rows)
    if name.endswith("csv"):
        cells = (f"{row['a']},{'' if row['b'] is None else row['b']}" for row in rows)
        lines = iter(["a,b", *cells])
    (tmp_path / name).write_text("\n".join(lines) + "\n")
    if name.endswith("parquet"):
        pq.write_table(pa.Table.from_pylist(rows), tmp_path / name)

    assert 'missing     = "impute"' in propose_job(str(tmp_path / name), field="").text
