"""Windows of rows: their coefficients at all time scales, and scores of windows and points."""
