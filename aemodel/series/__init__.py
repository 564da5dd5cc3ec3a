"""Series: rows in order of time, judged in windows of several time scales at once."""
