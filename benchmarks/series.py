"""Anomalies in series: NAB, SKAB, generated series with planted anomalies, speed, and memory.

    python benchmarks/series.py [--parts labeled warmup planted speed] [--clean 30] [--seed 0]

Every series of NAB and SKAB is judged against its own clean beginning: the first 15 % of a series
of NAB, the first 400 rows of one of SKAB (valve 1). AUROC, average precision, and VUS-PR are of
rows, without point adjustment, and means over series. The peers standardize sensors by the same
clean beginning. Once more, one model of SKAB's anomaly-free run judges all its series.

Generated series have 10 sensors and a row a minute. The model is fitted on 4 weeks; then 8 clean
weeks tell false events, and the same weeks with an anomaly on every day tell what is found, both
with 'events 1/7d'. The cause is right if it names the sensor first.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
import warnings
from collections import defaultdict
from collections.abc import Iterable

import numpy as np
from datasets import machine
from markdown_table import print_head, print_row
from series_data import (
    CLEAN,
    DAY,
    KINDS,
    SENSORS,
    Labeled,
    Rows,
    clean_rows,
    nab,
    plant,
    skab,
    skab_clean,
)
from series_peers import ByRow, Scores, peers
from sklearn.metrics import average_precision_score, roc_auc_score
from vus_pr import vus_pr

from aemodel import SeriesDetector
from aemodel.series.windows.points import Piece

FIT_DAYS, JUDGED_DAYS = 28, 56
RULE = "events 1/7d"
CHUNK = 65_536  # rows scored at once
SPEED_ROWS = 1_000_000
PARTS = ("labeled", "warmup", "planted", "speed")


def nightglass(rows: Rows, clean: int) -> Scores:
    return -SeriesDetector().fit(rows[:clean]).score_samples(rows)


def figures(series: Iterable[Labeled], score: ByRow) -> str:
    """AUROC / AP / VUS-PR after the clean beginning, means over series."""
    found = []
    for each in series:
        labels = each.labels[each.clean :]
        scores = score(each.rows, each.clean)[each.clean :]
        measures = (roc_auc_score, average_precision_score, vus_pr)
        found.append([measure(labels, scores) for measure in measures])
    return " / ".join(f"{value:.3f}" for value in np.mean(found, axis=0))


def compare_labeled() -> None:
    """Print the table of NAB and SKAB, with peers."""
    print("\nAUROC / AP / VUS-PR; each series by its own clean beginning\n")
    print_head("method", "NAB (23)", "SKAB valve 1 (16)")
    for name, score in {"nightglass": nightglass, **peers()}.items():
        print_row(name, figures(nab(), score), figures(skab(), score))
    print_row("nightglass, one model of all", *map(_by_one_model, (list(nab()), list(skab()))))


def _by_one_model(series: list[Labeled]) -> str:
    """Fit on the clean beginnings of all series together, each an entity of its own."""
    beginnings = [each.rows[: each.clean] for each in series]
    names = np.repeat([f"series {place}" for place in range(len(series))], [*map(len, beginnings)])
    detector = SeriesDetector().fit(np.concatenate(beginnings), entities=names)
    places = iter(range(len(series)))  # `figures` scores one series after another

    def score(rows: Rows, _: int) -> Scores:
        names = np.full(len(rows), f"series {next(places)}")
        return -detector.score_samples(rows, entities=names)

    return figures(series, score)


def compare_warmup() -> None:
    """Print SKAB by one model of the anomaly-free run."""
    print("\nSKAB valve 1 by one model of the anomaly-free run: AUROC / AP / VUS-PR\n")
    print_head("baseline", "figures")
    clean = skab_clean()
    for baseline in ("none", "warmup 400"):
        detector = SeriesDetector(baseline=baseline).fit(clean)
        print_row(baseline, figures(skab(), lambda rows, _: -detector.score_samples(rows)))  # noqa: B023 # used at once


def compare_planted(count: int, first: int) -> None:
    """Print false events of clean series, and what is found of planted anomalies."""
    print(f"\n{count} generated series, '{RULE}'\n")
    false: dict[str, list[float]] = defaultdict(list)
    hits: dict[tuple[str, str], list[bool]] = defaultdict(list)
    right: dict[str, list[bool]] = defaultdict(list)
    for seed in range(first, first + count):
        kind = CLEAN[seed % len(CLEAN)]
        _judge_generated(seed, kind, false=false[kind], hits=hits, right=right)
    print_head("clean series", "false events a week", *KINDS)
    for kind, rates in false.items():
        found = [f"{np.mean(hits[kind, each]):.0%}" for each in KINDS]
        print_row(kind, f"{np.mean(rates):.2f}", *found)
    every = [np.concatenate([hits[kind, each] for kind in false]) for each in KINDS]
    rates = np.concatenate(list(false.values()))
    error = rates.std() / np.sqrt(len(rates))
    print_row("all", f"{rates.mean():.2f} ± {error:.2f}", *(f"{each.mean():.1%}" for each in every))
    print_row("right sensor first", "", *(f"{np.mean(right[each]):.1%}" for each in KINDS))
    named = np.concatenate([right[each] for each in KINDS])
    print(f"\nFound {np.concatenate(every).mean():.1%}; of those, right sensor {named.mean():.1%}")


def _judge_generated(
    seed: int,
    kind: str,
    *,
    false: list[float],
    hits: dict[tuple[str, str], list[bool]],
    right: dict[str, list[bool]],
) -> None:
    random, fit = np.random.default_rng(seed), FIT_DAYS * DAY
    rows = clean_rows(random, (FIT_DAYS + JUDGED_DAYS) * DAY, kind)
    seconds = 60.0 * np.arange(len(rows))
    detector = SeriesDetector(rule=RULE).fit(rows[:fit], times=seconds[:fit])
    later = seconds[fit:] - seconds[fit]
    false.append(len(detector.events(rows[fit:], times=later)) / (JUDGED_DAYS / 7))
    tonight, planted = plant(random, rows[fit:])
    events = detector.events(tonight, times=later)
    for each in planted:
        start, stop = 60.0 * each.start, 60.0 * each.stop
        found = [event for event in events if event.start < stop and event.end >= start]
        hits[kind, each.kind].append(bool(found))
        right[each.kind] += [event.sensors[0].index == each.sensor for event in found[:1]]


def measure_speed() -> None:
    """Print rows per CPU second and peak memory for several numbers of rows."""
    print(f"\nScoring {SENSORS} sensors in chunks of {CHUNK:,} rows, one core, scaling included\n")
    print_head("window", "rows", "rows per CPU second", "peak memory, MiB", left=0)
    for window in (64, 128):
        for times in (1, 2, 4):
            command = [sys.executable, __file__, "--score", str(times * SPEED_ROWS), str(window)]
            found = subprocess.check_output(command, text=True)  # noqa: S603 (our own command)
            print_row(window, *found.split())


def score_many(rows: int, window: int) -> None:
    """Score so many rows in this process, and print rows, speed, and peak memory."""
    random = np.random.default_rng(0)
    chunk = clean_rows(random, CHUNK, "seasonal").astype(np.float32)
    model = SeriesDetector(window=window).fit(chunk[: CHUNK // 2]).model_
    context, seconds = model.scorer.context, 0.0
    for start in range(0, rows, CHUNK):
        started = time.process_time()
        model.scorer.points(Piece(model.scaled(chunk, 0), first=max(0, start - context)))
        seconds += time.process_time() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    scored = -(-rows // CHUNK) * CHUNK
    print(f"{scored:,} {scored / seconds:,.0f} {peak:,.0f}")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--clean", type=int, default=30, help="number of generated series")
    parser.add_argument("--seed", type=int, default=0, help="seed of the first of them")
    parser.add_argument("--score", nargs=2, type=int, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    arguments = parse_arguments()
    warnings.filterwarnings("ignore", "There will be no events")
    if arguments.score:
        score_many(*arguments.score)
        return
    print(machine())
    if "labeled" in arguments.parts:
        compare_labeled()
    if "warmup" in arguments.parts:
        compare_warmup()
    if "planted" in arguments.parts:
        compare_planted(arguments.clean, arguments.seed)
    if "speed" in arguments.parts:
        measure_speed()


if __name__ == "__main__":
    main()
