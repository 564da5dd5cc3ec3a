"""decode, pack and probe: what to do with a latent store."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flows.cli.commands.options import AsJson
from flows.cli.slow_imports import slow_imports
from flows.cli.terminal import reporting

NOT_KEPT = "an unfinished file is not kept; rerun to start over"
Store = Annotated[
    Path,
    typer.Argument(
        metavar="STORE",
        help="Latent store: its folder or URI, or the file written by 'nightglass pack'.",
    ),
]
DecodedFile = Annotated[
    Path, typer.Option("--out", metavar="FILE", help="Output file: .npy, .h5 or .parquet.")
]
PackedFile = Annotated[Path, typer.Option("--out", metavar="FILE", help="Output file: .h5.")]
RowRange = Annotated[
    str,
    typer.Option(
        "--rows",
        metavar="A:B",
        help="Rows to decode, as Python slices and indices: 0:100 or 3,17,40:50 (default: all).",
    ),
]
StoreLabels = Annotated[
    Path,
    typer.Option(
        "--labels", metavar="FILE", help="Labels of the store's rows: IDX, NPY, or a column file."
    ),
]
TestStore = Annotated[
    Path, typer.Option("--test", metavar="STORE", help="Test store, whose labels are predicted.")
]
TestLabels = Annotated[
    Path, typer.Option("--test-labels", metavar="FILE", help="Labels of the test store's rows.")
]
Neighbors = Annotated[
    int,
    typer.Option("--neighbors", metavar="N", min=1, help="Number of nearest neighbors that vote."),
]


def decode_command(
    store: Store, out: DecodedFile, rows: RowRange = "", json: AsJson = False
) -> None:
    """Reconstruct rows from a latent store, in the dtype of the source.

    Needs only the store: neither the source nor the model.

    Example: nightglass decode workspace/latents/digits/night-1a2b3c4d --out back.npy --rows 0:100
    """
    with reporting(as_json=json, interrupted=NOT_KEPT) as report:
        with slow_imports():
            from flows.encoding.decode import decode_store  # late: keeps --help fast

        report(decode_store(store, out, rows=rows))


def pack_command(store: Store, out: PackedFile, json: AsJson = False) -> None:
    """Pack a latent store into one self-contained HDF5 file.

    The file decodes and verifies like the folder.

    Example: nightglass pack workspace/latents/digits/night-1a2b3c4d --out night.h5
    """
    with reporting(as_json=json, interrupted=NOT_KEPT) as report:
        from flows.encoding.decode import pack_folder  # late: keeps --help fast

        report(pack_folder(store, out))


def probe_command(
    store: Store,
    labels: StoreLabels,
    test: TestStore,
    test_labels: TestLabels,
    neighbors: Neighbors = 7,
    json: AsJson = False,
) -> None:
    """Measure how well the latents predict labels (nearest neighbors).

    Reports accuracy and time of a k-nearest-neighbors classifier, on the latents and on the
    original features, the effective dimension, and dead and duplicate latents.

    Example: nightglass probe train-store --labels train.idx.gz --test test-store
    --test-labels test.idx.gz
    """
    with reporting(as_json=json) as report:
        from flows.encoding.probe import probe_stores  # late: keeps --help fast

        report(probe_stores(store, labels, test, test_labels, neighbors=neighbors))
