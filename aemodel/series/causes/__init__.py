"""Why an event of a series is anomalous: its sensors, what was expected of them, and in words."""
