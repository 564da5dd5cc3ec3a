"""Scored nights on disk: revisions, scores, reports, and what changed between two revisions."""
