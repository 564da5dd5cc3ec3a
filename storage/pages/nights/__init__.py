"""The page of a night: its first screen, and the strip that compares it with earlier nights."""
