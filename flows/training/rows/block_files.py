"""Files as blocks: each by itself, those of one day, or those with one value of a partition."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from storage.sources import Chunk, Source, relative_names

FILES = "files"  # as train.blocks
NO_VALUE = "(no value)"
# 2026-11-20 or 20261120, as in dt=2026-11-20, 2026-11-20T03.csv, or part-20261120-7.parquet
DATE_IN_A_NAME = re.compile(r"(?<![0-9A-Za-z])(\d{4})(-?)(\d\d)\2(\d\d)(?![0-9A-SU-Za-z])")
# 2026/11/20 or year=2026/month=11/day=20
NESTED_DATE = re.compile(r"(?:^|/)(?:\w+=)?(\d{4})()/(?:\w+=)?(\d\d?)/(?:\w+=)?(\d\d?)(?=/)")
YEARS = range(1970, 2100)  # else the digits are no date


@dataclass(frozen=True)
class SourceBlocks:
    """The blocks of the rows of a source.

    by: the value of train.blocks that gives these blocks: FILES, or a column.
    kind, names: see `aemodel.rows.blocks.CleanBlocks`.
    numbers: the block (n,) of each row of a chunk, as an index of `names`.
    whole_files: whether all rows of a file are in one block.
    """

    by: str
    kind: str
    names: tuple[str, ...]
    numbers: Callable[[Chunk], NDArray[np.intp]]
    whole_files: bool = False


def file_blocks(source: Source) -> SourceBlocks | None:
    """The files that hold rows, if there are several.

    Files of one day are one block, if the paths of all name a day, and not all the same.
    """
    names = relative_names(source.path, [*source.files])
    held = _files_with_rows(source)
    if len(held) < 2:
        return None
    folders = source.folder_columns
    days = [_day_of(names[place], folders[place]) for place in held]
    if None not in days and 1 < len({*days}) < len(days):
        return _grouped(source, FILES, "days", [day or "" for day in days])
    return _grouped(source, FILES, FILES, [names[place] for place in held])


def partition_blocks(source: Source, name: str) -> SourceBlocks | None:
    """The files by what their folders, or the table's log, name as `name`; None if they do not."""
    folders = [source.folder_columns[place] for place in _files_with_rows(source)]
    if not all(name in each for each in folders):
        return None
    values = [each[name] for each in folders]
    days = [_day_of(value or "", {}) for value in values]
    if None not in days:
        return _grouped(source, name, "days", [day or "" for day in days])
    return _grouped(source, name, "partitions", [value or NO_VALUE for value in values])


def _files_with_rows(source: Source) -> list[int]:
    """Places of the files that hold rows."""
    return [place for place, (start, stop) in enumerate(pairwise(source.starts)) if stop > start]


def _grouped(source: Source, by: str, kind: str, names: Sequence[str]) -> SourceBlocks:
    """Blocks of the files with rows, by the name of each file's block."""
    starts = [source.starts[place] for place in _files_with_rows(source)]
    distinct = tuple(dict.fromkeys(names))
    numbers_of_files = [distinct.index(name) for name in names]

    def numbers(chunk: Chunk) -> NDArray[np.intp]:
        file = bisect_right(starts, chunk.start) - 1
        return np.full(len(chunk.rows), numbers_of_files[file])

    return SourceBlocks(by, kind, distinct, numbers, whole_files=True)


def _day_of(name: str, folders: Mapping[str, str | None]) -> str | None:
    """The last day that a path or its partition columns name, as 2026-11-20; None without one."""
    partitions = "/".join(f"{key}={value}" for key, value in folders.items())
    for text in (name, f"{partitions}/"):
        found = [*NESTED_DATE.finditer(text), *DATE_IN_A_NAME.finditer(text)]
        days = [day for match in found if (day := _as_day(match))]
        if days:
            return days[-1]
    return None


def _as_day(match: re.Match[str]) -> str | None:
    year, month, day = int(match[1]), int(match[3]), int(match[4])
    if year not in YEARS:
        return None
    try:
        return date(year, month, day).isoformat()
    except ValueError:  # such as month 13
        return None
