"""Codecs of values under an error bound, and the selection among them: bytes in, bytes out."""
