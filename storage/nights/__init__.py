"""Scored nights on disk: scores, reports, revisions, and the changes between two revisions."""
