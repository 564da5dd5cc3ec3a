"""The page of a night of a series job: events on a timeline, each with its plot."""
