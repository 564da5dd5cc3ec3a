"""How notebooks show a detector, its causes, and its scores: as HTML, and as a plot."""
