"""The command line: the typer app, its commands, terminal output, and the demo."""
