"""Stores with an error bound and latent stores against SZ3, ZFP, Blosc2, zstd, and PCA.

    python benchmarks/compression.py                               all tables
    python benchmarks/compression.py tables SKAB shuttle           one table, or some of its rows
    python benchmarks/compression.py --keep rows.json              resumes an interrupted run

Ratios are against float32 and count everything that `decode` reads, unless a table says otherwise.
The peers require the extra 'sz3'.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from datasets import machine
from store_digits import all_digits, digits
from store_runs import ResultTables
from store_signals import signals
from store_speed import latents, speed
from store_tables import fields, tables

TABLES = {
    "tables": tables,
    "fields": fields,
    "signals": signals,
    "digits": digits,
    "all_digits": all_digits,
    "latents": latents,
    "speed": speed,
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("table", nargs="?", choices=TABLES, help="default: all")
    parser.add_argument(
        "only",
        nargs="*",
        help="data sets, formats, or budgets of that table; for 'speed', the number of rows",
    )
    parser.add_argument("--keep", type=Path, help="JSON file of finished rows, which are skipped")
    chosen = parser.parse_args()
    print(f"Machine: {machine()}")
    for name in [chosen.table] if chosen.table else TABLES:
        TABLES[name](ResultTables(chosen.keep), chosen.only)


if __name__ == "__main__":
    main()
