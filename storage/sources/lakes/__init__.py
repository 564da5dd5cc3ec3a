"""Delta and Iceberg tables: which Parquet files hold the rows of their current version."""
