"""What a report shows of a night beside its decision: why rows stand out, the cut, the data."""
