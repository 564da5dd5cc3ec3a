"""Results outside the workspace: the rows of a night in a SQL database. Never part of a verdict."""
