"""The sections of a job file, as values that check themselves."""
