"""What a row is ranked by: novelty, relative error, and p-values from calibration rows."""
