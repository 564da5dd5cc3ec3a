"""The columns of a table: their kinds, the choice of features, and what a row looks like."""
