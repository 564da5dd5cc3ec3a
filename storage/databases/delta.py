"""Result tables in the format of Delta: a folder, or a prefix of a bucket."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import pyarrow as pa

from storage.databases.session import NightRows
from storage.errors import BucketError
from storage.objects.lake_access import delta_options
from storage.objects.systems import service_error

PARTITIONS = ["job", "date"]
ERRORS = (OSError, ValueError, TypeError, RuntimeError)  # what the library raises besides its own


def replace_in_delta(table: Path, night: NightRows, *, job: str, day: date) -> None:
    """Replace the rows of one job and date in a table, in one commit.

    Creates the table if it is absent, and columns that it lacks. Raises BucketError; readers then
    see the table as it was.
    """
    with _library(table):
        from deltalake import write_deltalake  # late: an extra
        from deltalake.exceptions import DeltaError
    try:
        write_deltalake(
            str(table),
            pa.RecordBatchReader.from_batches(night.schema, night.batches),
            mode="overwrite",
            predicate=f"job = '{job}' AND date = '{day}'",
            partition_by=PARTITIONS,
            schema_mode="merge",
            storage_options=delta_options(table) or None,
        )
    except (DeltaError, *ERRORS) as error:
        raise _refusal(table, error) from error


@contextmanager
def _library(table: Path) -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise BucketError(
            f"{table}: writing a Delta table needs the extra 'deltalake': "
            "run pip install 'nightglass[deltalake]'",
            passing=True,
        ) from error


def _refusal(table: Path, error: Exception) -> BucketError:
    if told := service_error(error):
        return BucketError(f"{table}: could not be written {told}", passing=True)
    said = " ".join(str(error).split())
    if "partitioning" in said:
        advice = "the table must be partitioned by job and date; name one that does not exist yet"
    else:
        advice = "check that it is a Delta table of nightglass, and disk space and permissions"
    return BucketError(
        f"{table}: could not be written ({type(error).__name__}: {said}); {advice}", passing=False
    )
