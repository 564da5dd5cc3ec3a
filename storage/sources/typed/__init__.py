"""Tables whose columns have Arrow types: Parquet, Arrow IPC, ORC, and JSON lines."""
