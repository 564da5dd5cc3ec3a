"""What lets an analyst judge a night: rows near the cut, a map of rows, and checks of the data."""
