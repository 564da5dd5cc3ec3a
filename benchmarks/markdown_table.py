"""Markdown tables on stdout, one row at a time."""

from __future__ import annotations


def print_head(*names: str, left: int = 1) -> None:
    """Print the header; the first `left` columns are left-aligned, the others right-aligned."""
    rules = [":--"] * left + ["--:"] * (len(names) - left)
    print(f"| {' | '.join(names)} |\n|{'|'.join(rules)}|", flush=True)


def print_row(*cells: object) -> None:
    """Print one row, at once: benchmarks run for minutes."""
    print(f"| {' | '.join(map(str, cells))} |", flush=True)
