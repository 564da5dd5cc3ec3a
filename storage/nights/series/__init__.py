"""Scores and events of a night whose rows are series."""
