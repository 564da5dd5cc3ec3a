"""The job file: defaults, parsed values, relative paths, overrides, errors that name the key."""

from __future__ import annotations

from datetime import date, timedelta
from zoneinfo import ZoneInfo

import pytest

from flows.errors import UsageError
from flows.jobs.job_file import read_job

SMALL = 'name = "digits"\n[data]\nclean = "clean.npy"\n'


@pytest.fixture
def write(tmp_path):
    def write(text):
        path = tmp_path / "job.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_only_name_and_clean_are_needed(write):
    job = read_job(write(SMALL))

    assert (job.name, job.model.latent, job.train.epochs, str(job.score.rule)) == (
        "digits",
        64,
        30,
        "quantile 0.999",
    )


def test_settings_hold_parsed_values(write):
    job = read_job(
        write(
            SMALL
            + 'settle = "10 min"\nshard_bytes = "1 GiB"\n'
            + '[score]\nrule = "absolute  1e9"\n[schedule]\ntimezone = "Europe/Berlin"\n'
        )
    )

    assert (job.data.settle, job.data.shard_bytes) == (timedelta(minutes=10), 2**30)
    assert (job.schedule.timezone, job.score.rule.kind) == (ZoneInfo("Europe/Berlin"), "absolute")
    assert job.score.digested()["rule"] == "absolute  1e9", "digests keep the text as written"


@pytest.mark.parametrize(
    ("keys", "computed"),
    [
        ("", ("error",)),
        ('by = "novelty"', ("error", "novelty")),
        ('by = "relative"\nalso = ["novelty"]', ("error", "novelty", "relative")),
    ],
)
def test_only_the_error_and_the_scores_that_are_asked_for_are_computed(write, keys, computed):
    assert read_job(write(SMALL + f"[score]\n{keys}\n")).score.computed == computed


def test_relative_paths_start_at_the_job_file(write, tmp_path):
    job = read_job(write(SMALL + 'incoming = "nights/{date}.npy"\n'))

    assert job.path(job.data.clean) == tmp_path / "clean.npy"
    assert job.incoming(date(2026, 11, 22)) == tmp_path / "nights" / "2026-11-22.npy"


def test_a_date_may_stand_in_any_part_of_a_path(write, tmp_path):
    incoming = 'incoming = "lake/{date:%Y/%m}/dt={date}"\n'
    job = read_job(write(SMALL + incoming + 'ready = "done/{date:%Y%m%d}/_SUCCESS"\n'))

    assert job.incoming(date(2026, 11, 2)) == tmp_path / "lake/2026/11/dt=2026-11-02"
    assert job.marker(date(2026, 11, 2)) == tmp_path / "done/20261102/_SUCCESS"


@pytest.mark.parametrize("key", ["incoming", "ready"])
def test_a_path_that_two_dates_share_is_refused(write, key):
    with pytest.raises(UsageError, match=f"data.{key} must name every date differently, as in"):
        read_job(write(SMALL + f'{key} = "nights/{{date:%Y-%m}}"\n'))


def test_overrides_need_no_quotes(write):
    job = read_job(
        write(SMALL),
        ["model.latent=8", "score.rule=fdr 0.1", "model.hidden=[32, 16]", "train.learning_rate=1"],
    )

    assert (job.model.latent, job.score.rule.text, job.model.hidden, job.train.learning_rate) == (
        8,
        "fdr 0.1",
        (32, 16),
        1.0,
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            'name = "digits"\n[data]\nclaen = "a"\n',
            r"'data.claen' is not a known key; did you mean 'data.clean'\?",
        ),
        (SMALL + "[modle]\nlatent = 8\n", r"'modle' is not a known key; did you mean 'model'\?"),
        ('folder = "x"\n' + SMALL, "'folder' is not a known key"),
        ('[data]\nclean = "a"\n', "'name' is missing"),
        ("", "job.toml: empty; expected a job file. If `nightglass init SOURCE > .*` failed"),
        (SMALL + '[score]\nrule = "mad"\n', r"score.rule must look like .* Got 'mad' instead"),
        (
            SMALL + '[score]\nby = "errors"\n',
            "score.by must be one of error, novelty, relative. Got 'errors'",
        ),
        (
            SMALL + '[score]\nalso = ["far"]\n',
            r"score.also\[0\] must be one of error, novelty, relative. Got 'far'",
        ),
        ('name = "digits"\n', "'data' is missing"),
        ('name = "digits"\n[data]\n', "'data.clean' is missing"),
        ('name = "Digits 1"\n[data]\nclean = "a"\n', "name must be lower-case"),
        (f'name = "{"a" * 101}"\n[data]\nclean = "a"\n', "letters, digits and dashes, at most 100"),
        ('name = "digits"\n[data]\nclean = ""\n', "data.clean must name the clean rows"),
        (
            SMALL + 'columns = ["a", "b", "a"]\n',
            r"data.columns must name each feature once, .* Got \['a', 'b', 'a'\]",
        ),
        (
            SMALL + 'columns = ["a", "b"]\nid = "a"\n',
            "data.columns must name each feature once, and not data.id",
        ),
        (SMALL + '[model]\nlatent = "8"\n', "'model.latent' must be a whole number. Got '8'"),
        (SMALL + "[model]\nlatent = true\n", "'model.latent' must be a whole number. Got True"),
        (SMALL + "[model]\nhidden = 64\n", "'model.hidden' must be a list"),
        (SMALL + "[model]\nlatent = 0\n", "latent"),
        (
            SMALL + '[encode]\nprecision = "int9"\n',
            "encode.precision must be one of float32, float16, int8, auto. Got 'int9'",
        ),
        (SMALL + '[score]\nmemory = "lots"\n', "score.memory: a size must look like '256 MB'"),
        (SMALL + '[score]\nmemory = "10 kB"\n', "score.memory must be at least 1 MB. Got 10 kB"),
        (SMALL + "[score]\nmemory = 5\n", "'score.memory' must be text in quotes. Got 5"),
        (SMALL + 'settle = "soon"\n', "data.settle: a duration must look like '10 min'"),
        (
            SMALL + '[schedule]\ntimezone = "Mars/Olympus"\n',
            "schedule.timezone: a time zone must look like 'Europe/Berlin'. Got 'Mars/Olympus'",
        ),
        ("name = ", "not valid TOML"),
    ],
)
def test_a_wrong_job_file_is_refused_by_key(write, text, message):
    with pytest.raises(UsageError, match=message) as caught:
        read_job(write(text))

    assert "job.toml" in str(caught.value)


def test_a_missing_job_file_names_the_command_that_creates_one(tmp_path):
    with pytest.raises(UsageError, match="nightglass init"):
        read_job(tmp_path / "none.toml")


@pytest.mark.parametrize("override", ["model.latent", "=8", "model..latent=8"])
def test_a_malformed_override_is_refused(write, override):
    with pytest.raises(UsageError, match="--set must look like"):
        read_job(write(SMALL), [override])


def test_a_job_without_an_input_path_says_what_to_do(write):
    with pytest.raises(UsageError, match="--source"):
        read_job(write(SMALL)).incoming(date(2026, 11, 22))


def test_a_csv_dialect_may_be_set_as_far_as_it_is_known(write):
    job = read_job(write(SMALL + 'csv = {decimal = ",", encoding = "CP1252"}\n'))

    assert job.data.reading["csv"] == ("", ",", "cp1252", "")


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ('delimiter = ";;"', "data.csv.delimiter must be one character"),
        ('decimal = "x"', r"data.csv.decimal must be a point '.' or a comma ','. Got 'x'"),
        ('days = "US"', "data.csv.days must be 'month first' or 'day first'. Got 'US'"),
        ('encoding = "none"', "data.csv.encoding must be one that Python knows"),
        ('delimeter = ";"', "'data.csv.delimeter' is not a known key; did you mean"),
    ],
)
def test_an_impossible_csv_dialect_is_refused(write, setting, message):
    with pytest.raises(UsageError, match=message):
        read_job(write(SMALL + f"csv = {{{setting}}}\n"))


def test_an_image_size_has_a_height_and_a_width(write):
    assert read_job(write(SMALL + "resize = [32, 48]\n")).data.resize == (32, 48)
    with pytest.raises(UsageError, match=r"data.resize must be \[height, width\] in pixels"):
        read_job(write(SMALL + "resize = [32]\n"))
