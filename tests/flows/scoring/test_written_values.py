"""A CSV file as a spreadsheet writes it: the job that init proposes reads it, and later nights."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from bench import DAY, Bench, causes_by

pytestmark = pytest.mark.slow


def write(path, days, *, scale=1.0):
    """Write a sale of each day: its day and time, amount, discount, and commission, or none."""
    random = np.random.default_rng(len(days))
    rows = ["Day,Amount,Off,Fee,Note"]
    for number, day in enumerate(days):
        amount = random.lognormal(7, 0.5) * (scale if number == 3 else 1)
        off = random.choice([0, 5, 12.5])
        fee = "-" if number % 3 else f"({amount / 10:,.2f})"
        rows.append(
            f'{day} {1 + number % 12}:05 PM,"${amount:,.2f}",{off}%,"{fee}",n {number % 300}'
        )
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")


def test_amounts_days_and_marks_are_read_in_clean_data_and_at_night(tmp_path):
    (tmp_path / "nights").mkdir()
    days = [f"{1 + i * 7 % 12}/{1 + i * 11 % 28}/2026" for i in range(400)]
    write(tmp_path / "clean.csv", days)
    write(tmp_path / f"nights/{DAY}.csv", ["2/3/2026"] * 40, scale=100)
    bench = Bench(tmp_path)
    text = bench.run("init", tmp_path / "clean.csv").facts["job"]
    bench.job.write_text(text.replace("nights/", f"{tmp_path}/nights/"), encoding="utf-8")

    assert "# read as hour and weekday: 'Day'" in text
    assert "# read as number: 'Amount', 'Off', 'Fee'" in text
    assert "# columns not read: Note (text or ids: 300 levels in 400 rows)" in text
    assert bench.run("train", bench.job).code == 0
    scored = bench.score()
    assert scored.code == 0, scored.err
    assert causes_by("row", Path(scored.facts["path"]))["3"].startswith("Amount ")

    for folder in (
        scored.facts["path"],
        bench.run("score", bench.job, "--in-sample").facts["path"],
    ):
        summary = json.loads((Path(folder) / "summary.json").read_text(encoding="utf-8"))
        reason = "Note (text or ids: 300 levels in 400 rows)"
        assert summary["checks"]["columns not read"] == reason
        assert not [note for note in summary["notes"] if "not read" in note]
