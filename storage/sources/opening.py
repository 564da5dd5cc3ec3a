"""Open the rows of a path, whatever their format."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Unpack

from storage.errors import SchemaError, SourceError
from storage.files.reads import read_refusals
from storage.objects.at_once import file_sizes
from storage.objects.paths import located
from storage.sources.arrays.npy import NpySource, NpzSource
from storage.sources.arrays.streams import IdxSource
from storage.sources.columns.features import (
    DETECTED,
    NO_KINDS,
    Reading,
    Wanted,
    grouped,
    list_unread,
    named_features,
)
from storage.sources.columns.survey import (
    survey_columns,
)
from storage.sources.csv_files.dialect import Dialect
from storage.sources.input_files import (
    ARROW,
    CSV,
    JSON_LINES,
    ORC,
    TABLES,
    InputFiles,
    is_image,
    is_zarr,
    list_input,
    relative_names,
    table_format,
)
from storage.sources.source import Source

HDF5 = (".h5", ".hdf5", ".hdf", ".he5", ".nc", ".nc4")
SUPPORTED = (
    ".npy, .npz, .h5, .parquet, .arrow, .feather, .orc, .jsonl, .csv (the last two also .gz), "
    ".png, .jpg, .tif, Zarr folders, and IDX (-ubyte, .idx, also .gz)"
)
AS_CSV = "save the sheet as CSV"
HINTS = {".json": "write one object on each line, as .jsonl", ".xlsx": AS_CSV, ".xls": AS_CSV}


def open_source(path: Path | str, **how: Unpack[Reading]) -> Source:
    """Open the rows at `path`: a file, a folder or glob of tables or images, or a Zarr folder.

    Raises NoDataError if no file is found, ReadError if the operating system refuses, SourceError
    or SchemaError if the files cannot be used.
    """
    path = located(path)
    with read_refusals(path):
        return _open(path, list_input(path), how)


def open_sound_files(path: Path | str, **how: Unpack[Reading]) -> Source:
    """Open the rows at `path` like `open_source`, but leave out broken files among several.

    The source's `broken` names them, and images unlike most others. Raises like `open_source` if no
    file is sound, or if a table does not fit the others.
    """
    path = located(path)
    found = list_input(path)

    def open_files(files: Sequence[Path]) -> Source:
        with read_refusals(path):
            return _open(path, replace(found, files=list(files)), how)

    try:
        return open_files(found.files)
    except SourceError:
        if is_zarr(path, found.files):  # its files are parts of one array
            raise
        broken = {file: why for file in found.files if (why := _broken(file, open_files))}
        broken |= _unlike_most([file for file in found.files if file not in broken], how)
        if not broken or len(broken) == len(found.files):
            raise
    source = open_files([file for file in found.files if file not in broken])
    source.broken = tuple(zip(relative_names(path, [*broken]), broken.values(), strict=True))
    return source


def open_surveyed(path: Path | str, *, only_sound: bool = False, **how: Unpack[Reading]) -> Source:
    """Open the rows at `path` like `open_source`, without columns that are no features.

    A category or time is one by all its values, see `survey_columns`, unless `columns` or `kinds`
    name it. The source's `unread` says why a column is none. only_sound: whether to open like
    `open_sound_files`.
    """
    open_rows = open_sound_files if only_sound else open_source
    asked = {*how.get("columns", ()), *how.get("kinds", ())}
    opened = open_rows(path, **how)
    if not opened.schema.kinds or {*opened.schema.columns} <= asked:
        return opened
    found, unfit = survey_columns(opened, asked=asked)
    if not found:
        raise SourceError(f"{path}: no column can be a feature: {list_unread(unfit)}")
    if found == grouped(named_features(opened.schema)):
        return opened
    chosen: Reading = {**how, "columns": [*found], "kinds": found}
    source = open_rows(path, **chosen)
    source.unread = {**opened.unread, **unfit}
    source.not_features = opened.not_features
    return source


def _broken(file: Path, open_files: Callable[[Sequence[Path]], Source]) -> str:
    """Return why a file cannot be opened by itself; '' if it can, or has other columns."""
    try:
        with open_files([file]):
            return ""
    except SchemaError:
        return ""
    except SourceError as error:
        return str(error)


def _unlike_most(files: Sequence[Path], how: Reading) -> Mapping[Path, str]:
    if not files or not is_image(files[0]):
        return {}
    from storage.sources.arrays.images import unlike_most  # late: Pillow is slow to import

    return unlike_most(files, tuple(how.get("resize", ())))


def _open(path: Path, found: InputFiles, how: Reading) -> Source:
    source = _open_format(path, found, how)
    source.left_out = tuple(found.left_out)
    return source


def _open_format(path: Path, found: InputFiles, how: Reading) -> Source:
    files, missing = found.files, how.get("missing", "error")
    _require_content(files)
    if how.get("resize") and not is_image(files[0]):
        raise SourceError(f"{path}: expected images, since data.resize is set; remove this key")
    _require_csv(path, files[0], how.get("csv", DETECTED))
    if table_format(files[0]):
        return _open_table(path, found, _wanted(how), missing=missing)
    if how.get("columns") or how.get("id") or how.get("kinds"):
        raise SourceError(
            f"{path}: expected {TABLES} files, since data.columns, categories, times, "
            "ignore, id, or entity is set, got an array; remove these keys"
        )
    if is_image(files[0]):
        from storage.sources.arrays.images import ImageSource  # late: Pillow is slow to import

        return ImageSource(path, files, missing=missing, resize=tuple(how.get("resize", ())))
    if is_zarr(path, files):
        from storage.sources.arrays.zarr_arrays import ZarrSource  # late: zarr is an extra

        return ZarrSource(path, files, field=how.get("field", ""), missing=missing)
    if len(files) > 1:
        raise SourceError(
            f"{path}: only tables and images may have several files; "
            f"select one of these {len(files)}"
        )
    return _open_array(files[0], field=how.get("field", ""), missing=missing)


def _require_csv(path: Path, file: Path, csv: Dialect) -> None:
    found = table_format(file) or "an array"
    if csv != DETECTED and found != CSV:
        raise SourceError(
            f"{path}: expected CSV files, since data.csv is set, got {found}; remove this key"
        )


def _wanted(how: Reading) -> Wanted:
    return Wanted(
        tuple(how.get("columns", ())),
        how.get("id", ""),
        how.get("kinds", NO_KINDS),
        how.get("keep", 0),
        how.get("csv", DETECTED),
    )


def _require_content(files: Sequence[Path]) -> None:
    for file, size in zip(files, file_sizes(files), strict=True):
        if size == 0:
            raise SourceError(f"{file}: empty; expected a file with rows")


def _open_table(path: Path, found: InputFiles, wanted: Wanted, *, missing: str) -> Source:
    files, snapshot = found.files, found.snapshot
    if snapshot:
        from storage.sources.lakes.lake_tables import LakeSource  # late: pyarrow is slow to import

        return LakeSource(path, files, wanted, missing=missing, snapshot=snapshot)
    return _table_source(table_format(files[0]))(path, files, wanted, missing=missing)


def _table_source(found: str) -> Callable[..., Source]:
    """Return what opens files of a format; imported late, since pyarrow is slow to import."""
    if found == CSV:
        from storage.sources.csv_files.csv_tables import CsvSource

        return CsvSource
    if found == ARROW:
        from storage.sources.typed.arrow_files import ArrowSource

        return ArrowSource
    if found == ORC:
        from storage.sources.typed.orc_files import OrcSource

        return OrcSource
    if found == JSON_LINES:
        from storage.sources.typed.json_lines import JsonLinesSource

        return JsonLinesSource
    from storage.sources.typed.parquet_files import ParquetSource

    return ParquetSource


def _open_array(file: Path, *, field: str, missing: str) -> Source:
    kind = file.suffix.lower()
    if kind in HDF5:
        from storage.sources.arrays.hdf5 import Hdf5Source  # late: h5py is slow to import

        return Hdf5Source(file, field=field, missing=missing)
    if kind == ".npz":
        return NpzSource(file, field=field, missing=missing)
    if kind == ".npy":
        return NpySource(file, missing=missing)
    if kind == ".idx" or "ubyte" in file.name or ".idx" in file.name:
        return IdxSource(file, missing=missing)
    hint = HINTS.get(kind, f"supported: {SUPPORTED}")
    raise SourceError(f"{file}: unsupported file type; {hint}")
