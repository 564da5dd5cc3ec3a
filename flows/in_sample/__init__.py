"""score --in-sample: rank the rows of one source against each other, without a clean set."""
