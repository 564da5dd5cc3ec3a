"""The job file, the commands, and the train, encode and score flows."""
