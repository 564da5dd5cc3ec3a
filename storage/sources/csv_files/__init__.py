"""What a CSV file holds: its text, its cells, and a first pass over all of them."""
