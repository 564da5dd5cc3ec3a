"""SQL databases: queries, their results as Parquet snapshots, and tables that results go to.

PostgreSQL and SQLite are read and written through ADBC, DuckDB through its own driver; each driver
is an extra. A URI with a password stays in a `Database`: no message, file, or log contains it.
"""
