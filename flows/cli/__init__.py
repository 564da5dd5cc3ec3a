"""The command line: the typer app, its commands, what a person at the terminal sees, and the demo."""
