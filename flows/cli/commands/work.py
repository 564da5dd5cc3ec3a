"""train, encode, decode, score, probe: the commands that do the work."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flows.cli.commands.options import (
    AsJson,
    DataDate,
    JobFile,
    Overrides,
    RequireGpu,
    Source,
    UsePrefect,
)
from flows.cli.terminal import reporting
from flows.jobs.requests import EncodeRequest, ScoreRequest, TrainRequest

Store = Annotated[
    Path,
    typer.Argument(
        metavar="STORE", help="The folder of a latent store, or the file that pack made of it."
    ),
]


def train(
    job: JobFile,
    overrides: Overrides = None,
    require_gpu: RequireGpu = False,
    prefect: UsePrefect = None,
    json: AsJson = False,
) -> None:
    """Fit a model on the clean rows, calibrate it, and promote it if the gate lets it pass.

    Example: nightglass train digits.toml --set model.latent=8
    """
    with reporting(as_json=json) as report:
        from flows.orchestration.backends import pick_backend  # late: --help stays quick

        request = TrainRequest(
            job=str(job), overrides=tuple(overrides or ()), require_gpu=require_gpu
        )
        result = pick_backend(prefect).train(request)
        report(result)


def encode(
    job: JobFile,
    source: Source = "",
    date: DataDate = "",
    out: Annotated[
        str,
        typer.Option(
            "--out", metavar="DIR", help="Write the store here instead of into the workspace."
        ),
    ] = "",
    overrides: Overrides = None,
    require_gpu: RequireGpu = False,
    prefect: UsePrefect = None,
    json: AsJson = False,
) -> None:
    """Compress rows into a latent store, and say what it costs and saves.

    Without --source or --date: the clean rows.
    Example: nightglass encode digits.toml --date 2026-11-22
    """
    with reporting(as_json=json) as report:
        from flows.orchestration.backends import pick_backend  # late: --help stays quick

        request = EncodeRequest(
            job=str(job),
            source=source,
            date=date,
            out=out,
            overrides=tuple(overrides or ()),
            require_gpu=require_gpu,
        )
        result = pick_backend(prefect).encode(request)
        report(result)


def decode(
    store: Store,
    out: Annotated[
        Path,
        typer.Option("--out", metavar="FILE", help="Where to write: a .npy, .h5 or .parquet file."),
    ],
    rows: Annotated[
        str,
        typer.Option(
            "--rows",
            metavar="A:B",
            help="Only rows A (from 0) up to B, B left out; or single rows; several with commas between, as in 3,17,40:50.",
        ),
    ] = "",
    json: AsJson = False,
) -> None:
    """Bring the data back from a latent store alone, in the dtype of the source.

    Example: nightglass decode workspace/latents/digits/night-1a2b3c4d --out back.npy --rows 0:100
    """
    with reporting(as_json=json) as report:
        from flows.encoding.decode import decode_store  # late: --help stays quick

        result = decode_store(store, out, rows=rows)
        report(result)


def pack(
    store: Store,
    out: Annotated[
        Path, typer.Option("--out", metavar="FILE", help="Where to write: an .h5 file.")
    ],
    json: AsJson = False,
) -> None:
    """Make one self-contained HDF5 file of a latent store. It decodes and verifies like the folder.

    Example: nightglass pack workspace/latents/digits/night-1a2b3c4d --out night.h5
    """
    with reporting(as_json=json) as report:
        from flows.encoding.decode import pack_folder  # late: --help stays quick

        result = pack_folder(store, out)
        report(result)


def score(
    job: JobFile,
    date: DataDate = "",
    since: Annotated[
        str, typer.Option("--from", metavar="YYYY-MM-DD", help="First data date of a range.")
    ] = "",
    to: Annotated[
        str, typer.Option("--to", metavar="YYYY-MM-DD", help="Last data date of a range.")
    ] = "",
    source: Source = "",
    model: Annotated[
        str,
        typer.Option(
            "--model",
            metavar="ID",
            help="A model id, or 'as-of': the model in force on the data date.",
        ),
    ] = "",
    force: Annotated[
        bool, typer.Option("--force", help="Write a new revision even where nothing has changed.")
    ] = False,
    overrides: Overrides = None,
    require_gpu: RequireGpu = False,
    prefect: UsePrefect = None,
    json: AsJson = False,
) -> None:
    """Score a night, rank its rows, and write the report.

    Without a date: yesterday in the job's time zone.
    Example: nightglass score digits.toml --date 2026-11-22
    """
    with reporting(as_json=json) as report:
        from flows.cli.score_range import score_nights  # late: --help stays quick

        request = ScoreRequest(
            job=str(job),
            date=date,
            source=source,
            model=model,
            force=force,
            overrides=tuple(overrides or ()),
            require_gpu=require_gpu,
        )
        result = score_nights(request, since=since, to=to, prefect=prefect)
        report(result)


def probe(
    store: Store,
    labels: Annotated[
        Path,
        typer.Option(
            "--labels", metavar="L", help="Labels of the store's rows: IDX, NPY, or a column file."
        ),
    ],
    test: Annotated[
        Path,
        typer.Option("--test", metavar="STORE", help="A second store, to predict the labels of."),
    ],
    test_labels: Annotated[
        Path, typer.Option("--test-labels", metavar="L", help="Labels of the second store's rows.")
    ],
    neighbors: Annotated[int, typer.Option("--neighbors", min=1, help="Neighbours that vote.")] = 7,
    json: AsJson = False,
) -> None:
    """Measure how informative the latents are: accuracy and time of nearest neighbours, beside the original features.

    Example: nightglass probe train-store --labels train.idx.gz --test test-store --test-labels test.idx.gz
    """
    with reporting(as_json=json) as report:
        from flows.encoding.probe import probe_stores  # late: --help stays quick

        result = probe_stores(store, labels, test, test_labels, neighbors=neighbors)
        report(result)
