"""The sections [model], [train] and [score] of a proposed job file, with the reasons."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from decimal import Decimal

from aemodel.table_defaults import (
    BATCH,
    HIDDEN,
    LEARNING_RATE,
    MEMBERS,
    MIXED_NOISE,
    NIGHTLY_MEMBERS,
    NOISE,
    PROTOTYPES,
    WIDE_EPOCHS,
    WIDE_LEARNING_RATE,
    is_wide,
    table_epochs,
    table_latents,
    wide_latents,
)
from flows.jobs.proposal.held_out_blocks import (
    FEWEST_TO_HOLD_OUT,
    KnownBlocks,
    calibration_share,
)
from flows.jobs.proposal.sample import SAMPLE_ROWS, SampleSummary
from storage.text import list_first, printable

QUANTILES = ("0.999", "0.99", "0.95", "0.9")
FEW_LEVELS = 64  # bytes that use less than a quarter of their range are not gray levels
WIDTH = 512  # most units in a hidden layer for images
WANTED_ALARMS = 3  # calibration scores above the cut: with fewer, one or two rows decide the cut
MANY_MIXED_ROWS = 10_000  # from here on, more members gain little and a night of them is long
MANY_ROWS = 30_000  # with this many rows, a tenth is enough for calibration
FEWEST_LISTED, SHARE_LISTED = 5, 0.05  # of a night of which rows are only ranked
FEWEST_FOR_A_TENTH = 90  # with fewer rows, a tenth of them may be none, see FEWEST_TO_HOLD_OUT


def model_section(sample: SampleSummary) -> list[str]:
    """The keys of [model]: an image's, a wide table's, or a table's."""
    if sample.shares_a_scale:
        return _image_model(sample)
    return _wide_model(sample) if _is_wide(sample) else _table_model(sample)


def _is_wide(sample: SampleSummary) -> bool:
    if sample.kinds:
        return False
    return not sample.shares_a_scale and is_wide(sample.features, _fit_rows(sample))


def _fit_rows(sample: SampleSummary) -> float:
    return sample.rows * (1 - float(_validation(sample)) - float(_calibration(sample)))


def _validation(sample: SampleSummary) -> str:
    """The share of rows reserved for scales and the promotion gate."""
    if sample.rows < FEWEST_TO_HOLD_OUT:
        return "0.0"
    return "0.2" if sample.rows < FEWEST_FOR_A_TENTH else "0.1"


def _calibration(sample: SampleSummary) -> str:
    """The share of rows reserved for p-values."""
    if sample.rows < FEWEST_TO_HOLD_OUT:
        return "0.0"
    return "0.1" if sample.rows >= MANY_ROWS else "0.2"


def _image_model(sample: SampleSummary) -> list[str]:
    hidden = min(WIDTH, sample.features)
    latent = max(1, min(64, sample.features // 8))
    why_latent = f"an eighth of {sample.features} features that share one scale fits most images"
    return [
        key_line(
            "hidden", f"[{hidden}]", "one wide layer on each side captures nonlinear structure"
        ),
        key_line("latent", str(latent), why_latent),
        key_line("activation", '"silu"', "smooth, without dead units"),
        _scaling(sample),
        key_line("output", '"sigmoid"', "scaled values lie in [0, 1]"),
        key_line("loss", '"mse"', "the error that ranks rows"),
    ]


def _table_model(sample: SampleSummary) -> list[str]:
    latent = str(table_latents(sample.features))
    members = MEMBERS if sample.kinds and sample.rows < MANY_MIXED_ROWS else NIGHTLY_MEMBERS
    why_prototypes = "rows are rebuilt as means of prototypes, so distant rows cannot be"
    why_members = "0 prototypes and 1 member reconstruct more closely, for smaller stores"
    return [
        key_line(
            "hidden", str(list(HIDDEN)), "columns of a table depend on each other nonlinearly"
        ),
        key_line("latent", latent, "no bottleneck: the prototypes prevent copying"),
        key_line("prototypes", str(PROTOTYPES), why_prototypes),
        key_line("members", str(members), why_members),
        key_line("activation", '"silu"', "smooth, without dead units"),
        _table_scaling(sample),
        key_line("output", '"identity"', "a mean of rows needs no squashing"),
        key_line("loss", '"mse"', "cross-entropy requires values in [0, 1]"),
        _table_noise(sample),
    ]


def _table_scaling(sample: SampleSummary) -> str:
    if sample.kinds:
        return key_line("scaling", '"standard"', "numbers weigh as much as categories")
    return key_line(
        "scaling", '"minmax"', "each column has its own scale; ranked best in benchmarks"
    )


def _table_noise(sample: SampleSummary) -> str:
    if sample.kinds:
        why = "denoising: in standard deviations; levels are swapped between rows"
        return key_line("noise", str(MIXED_NOISE), why)
    return key_line("noise", str(NOISE), "denoising: share of each column's range")


def _wide_model(sample: SampleSummary) -> list[str]:
    columns = f"{sample.features:,} columns"
    latent = str(wide_latents(sample.features, _fit_rows(sample)))
    return [
        key_line("hidden", "[]", f"one layer on each side: {columns} leave too few rows for more"),
        key_line("latent", latent, "at most a third of the rows that the network is fitted to"),
        key_line("activation", '"identity"', "linear: training starts at the principal components"),
        key_line("tied", "true", "half the weights"),
        key_line("scaling", '"standard"', "each column has its own scale"),
        key_line("output", '"identity"', "as the scaled values, in any range"),
        key_line("loss", '"mse"', "the error that ranks rows"),
    ]


def _scaling(sample: SampleSummary) -> str:
    span = f"values range from {sample.low:g} to {sample.high:g}"
    if sample.is_bytes and sample.high < FEW_LEVELS:
        return key_line("scaling", '"minmax"', f"{span}; 'range' would divide bytes by 255")
    return key_line("scaling", '"range"', f"{span}: one scale for the whole row")


def train_and_score_sections(sample: SampleSummary, blocks: KnownBlocks | None) -> list[str]:
    """[train] and [score], with a rule that the calibration rows can honor."""
    whole = blocks if blocks and blocks.held_out else None
    share = calibration_share(_calibration(sample), whole.count if whole else 0)
    calibration = int(sample.rows * float(share))
    return [
        "[train]",
        *_epochs_and_batch(sample),
        *_held_out(sample, share, whole),
        *(_split(whole) if whole else []),
        *_choice_of_days(blocks),
        "",
        "[score]",
        *_ranking(sample),
        _rule(calibration, blocks.condition if blocks else ""),
        _top_n(sample, calibration),
    ]


def _split(blocks: KnownBlocks) -> list[str]:
    lines = [key_line("split", '"blocks"', blocks.reason)]
    if blocks.column:
        why = f"the column that tells the {blocks.kind}"
        lines.append(key_line("blocks", quoted(blocks.column), why))
    return lines


def _choice_of_days(blocks: KnownBlocks | None) -> Iterator[str]:
    """A comment that says which of several columns of dates tells the days."""
    if blocks and blocks.others:
        others = list_first([repr(name) for name in blocks.others])
        yield printable(f"# days are those of {blocks.column!r}; set blocks for others: {others}")


def _held_out(sample: SampleSummary, share: str, blocks: KnownBlocks | None) -> list[str]:
    """The keys that say which rows are held out; the usual share for validation needs none.

    blocks: those that are held out whole, if any.
    """
    if sample.rows < FEWEST_TO_HOLD_OUT:
        why = f"{sample.rows} rows are too few to hold any out: scales come from fit rows"
        none = key_line("calibration", share, "so there are no p-values")
        return [none, key_line("validation", "0.0", why)]
    calibration = f"about {int(sample.rows * float(share)):,} rows, reserved for p-values"
    lines = [key_line("calibration", share, calibration)]
    if sample.rows < FEWEST_FOR_A_TENTH and not blocks:
        why = "used for scales; of so few rows, a tenth may be none"
        lines.append(key_line("validation", _validation(sample), why))
    return lines


def _epochs_and_batch(sample: SampleSummary) -> list[str]:
    if _is_wide(sample):
        return [
            key_line("epochs", str(WIDE_EPOCHS), "the principal components are nearly the optimum"),
            key_line("batch_size", str(BATCH), "rows per step"),
            key_line("learning_rate", f"{WIDE_LEARNING_RATE:g}", "small steps from there"),
        ]
    if not sample.shares_a_scale:
        fit_rows = max(BATCH, _fit_rows(sample))
        epochs = table_epochs(fit_rows)
        steps = round(epochs * fit_rows / BATCH, -2)
        return [
            key_line("epochs", str(epochs), f"about {int(steps):,} steps"),
            key_line("batch_size", str(BATCH), "rows per step"),
            key_line("learning_rate", f"{LEARNING_RATE:g}", "large: it falls to 0 at the end"),
        ]
    if sample.rows < SAMPLE_ROWS:
        epochs_key = key_line("epochs", "100", "few rows need more epochs")
    else:
        epochs_key = key_line("epochs", "24", "enough for this many rows")
    batch = "128" if sample.rows >= 5_000 else "64"
    return [epochs_key, key_line("batch_size", batch, "rows per step")]


def _ranking(sample: SampleSummary) -> list[str]:
    novel = key_line("also", '["novelty"]', "also list rows far from all clean rows; [] is faster")
    if sample.shares_a_scale:
        why = "the error relative to clean rows with as much content: best for images"
        return [key_line("by", '"relative"', why), novel]
    if _is_wide(sample):
        why = "distances over so many columns hardly differ"
        return [key_line("by", '"error"', why), novel]
    why = "the error and the distance to clean rows: best for tables"
    return [key_line("by", '"novelty"', why)]


def _rule(calibration: int, condition: str) -> str:
    quantile = achievable_quantile(calibration)
    if not quantile:
        why = f"{calibration:,} calibration rows are too few for a guarantee: rows are only ranked"
        return key_line("rule", '"top"', why)
    percent = float((Decimal(1) - Decimal(quantile)) * 100)
    why = f"flags at most {percent:g} % of clean rows{condition}; {calibration:,} rows suffice"
    return key_line("rule", f'"quantile {quantile}"', why + _stricter(quantile))


def _top_n(sample: SampleSummary, calibration: int) -> str:
    if achievable_quantile(calibration):
        return key_line("top_n", "100", "rows always listed in the report")
    top_n = min(100, max(FEWEST_LISTED, math.ceil(SHARE_LISTED * sample.rows)))
    share = f"{100 * top_n / sample.rows:.2g} %" if sample.rows >= top_n else "all"
    why = f"rows flagged and listed each night: {share} of a night as large as the clean data"
    return key_line("top_n", str(top_n), why)


def _stricter(quantile: str) -> str:
    """What the next stricter rule needs, in words; '' if there is none."""
    place = QUANTILES.index(quantile)
    if not place:
        return ""
    needed = WANTED_ALARMS / (1 - Decimal(QUANTILES[place - 1])) - 1
    return f", {QUANTILES[place - 1]} needs {int(needed):,}"


def achievable_quantile(calibration_rows: int) -> str:
    """The strictest of QUANTILES with WANTED_ALARMS calibration scores above it; '' if none."""
    for quantile in QUANTILES:
        if int((calibration_rows + 1) * (1 - Decimal(quantile))) >= WANTED_ALARMS:
            return quantile
    return ""


def quoted(text: str) -> str:
    """Quote text as TOML does, which is as JSON does, but for the control character DEL."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def key_line(name: str, value: str, why: str) -> str:
    """One key of a job file, with the reason as a comment."""
    return f"{f'{name:<11} = {value}':<42} # {why}"
