"""Results outside the workspace: nights in a SQL database or a bucket. Never part of a verdict."""
