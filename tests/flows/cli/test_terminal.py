"""What commands print: nothing from the input acts on the terminal."""

from __future__ import annotations

import json
import logging

import pytest
from typer.testing import CliRunner

from flows.cli.app import app
from flows.engine.session import log_to

HOSTILE = "\x1b]0;owned\x07\u202e"


@pytest.fixture
def hostile_csv(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text(f"a,{HOSTILE}b\n1,2\n3,4\n", encoding="utf-8")
    return path


def test_inspect_shows_escapes_in_column_names(hostile_csv):
    out = CliRunner().invoke(app, ["inspect", str(hostile_csv)]).stdout

    assert r"\u001b]0;owned\u0007\u202eb" in out
    assert not set(HOSTILE[:1] + HOSTILE[-2:]) & set(out)


def test_json_output_escapes_names_and_keeps_their_value(hostile_csv):
    out = CliRunner().invoke(app, ["inspect", str(hostile_csv), "--json"]).stdout

    assert not set(HOSTILE[:1] + HOSTILE[-2:]) & set(out)
    assert json.loads(out)["columns"] == ["a", f"{HOSTILE}b"]


def test_an_unknown_key_is_printed_without_its_escapes(tmp_path):
    job = tmp_path / "job.toml"
    job.write_text('name = "a"\n"\\u001b[2Jmodle" = 1\n[data]\nclean = "x"\n')
    found = CliRunner().invoke(app, ["train", str(job), "--no-prefect"])

    assert found.exit_code == 2
    assert r"\u001b[2Jmodle" in found.stderr
    assert "\x1b" not in found.stderr


def test_logged_warnings_are_printed_without_escapes(tmp_path, capsys):
    log_to(tmp_path, "test")
    logging.getLogger("storage").warning("row %s", HOSTILE)

    assert r"WARNING: row \u001b]0;owned" in capsys.readouterr().err
