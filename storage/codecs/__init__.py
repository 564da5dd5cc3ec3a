"""Codecs for values under an error bound, and the contest that selects one."""
