"""A CSV file as a spreadsheet writes it: the job that init proposes reads it, and later nights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from bench import DAY, Bench, causes_by

pytestmark = pytest.mark.slow


def write(path, days, *, scale=1.0):
    """Write a sale of each day: its day and time, amount, discount, and commission, or none."""
    random = np.random.default_rng(len(days))
    rows = ["Day,Amount,Off,Fee"]
    for number, day in enumerate(days):
        amount = random.lognormal(7, 0.5) * (scale if number == 3 else 1)
        off = random.choice([0, 5, 12.5])
        fee = "-" if number % 3 else f"({amount / 10:,.2f})"
        rows.append(f'{day} {1 + number % 12}:05 PM,"${amount:,.2f}",{off}%,"{fee}"')
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
    assert "not read" not in text
    assert bench.run("train", bench.job).code == 0
    scored = bench.score()
    assert scored.code == 0, scored.err
    assert causes_by("row", Path(scored.facts["path"]))["3"].startswith("Amount ")
