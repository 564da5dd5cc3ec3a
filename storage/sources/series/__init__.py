"""Rows of tables and arrays in series order: by entity, then by time.

Rows that lie in this order already are read where they are. All others are sorted once into a
snapshot, in bounded memory.
"""
