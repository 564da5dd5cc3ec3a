"""The Markdown artifacts of runs: what an operator reads in the Prefect UI."""
