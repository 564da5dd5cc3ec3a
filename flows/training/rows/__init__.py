"""The clean rows of a training: passes over them, their blocks, and their series."""
