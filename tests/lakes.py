"""Delta and Iceberg tables to read, in folders or in buckets."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pyarrow as pa
import pytest

from storage.sources import open_source

deltalake = pytest.importorskip("deltalake")
catalogs = pytest.importorskip("pyiceberg.catalog.memory")


def rows_of(first, count=3, day=20):
    return pa.table(
        {
            "x": np.arange(first, first + count, dtype=np.float64),
            "region": ["eu", "us/1", None][:count],
            "dt": [dt.date(2026, 11, day)] * count,
        }
    )


def numbers(path, **how):
    with open_source(path, columns=["x"], **how) as source:
        return sorted(row for chunk in source.chunks(max_rows=2) for row in chunk.rows[:, 0])


class DeltaTable:
    """A Delta table at `root`; options: of its storage."""

    def __init__(self, root, options=None):
        self.root, self.options = root, options

    def append(self, table):
        deltalake.write_deltalake(
            str(self.root),
            table,
            mode="append",
            schema_mode="merge",
            partition_by=["dt", "region"],
            storage_options=self.options,
        )

    def delete(self, where):
        deltalake.DeltaTable(str(self.root), storage_options=self.options).delete(where)


class IcebergTable:
    """The Iceberg table shop.orders of a warehouse, whose files lie at `root`."""

    def __init__(self, root, warehouse, **properties):
        self.catalog = catalogs.InMemoryCatalog("test", warehouse=warehouse, **properties)
        self.catalog.create_namespace("shop")
        self.root, self.table = root, None

    def append(self, table):
        if self.table is None:
            self.table = self.catalog.create_table("shop.orders", schema=table.schema)
            with self.table.update_spec() as spec:
                spec.add_identity("dt")
                spec.add_identity("region")
        with self.table.update_schema() as schema:
            schema.union_by_name(table.schema)
        self.table.append(table)

    def delete(self, where):
        self.table.delete(where)
