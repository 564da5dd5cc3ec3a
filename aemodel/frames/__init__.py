"""Tables in memory: DataFrames of pandas and polars, and pyarrow tables.

Their columns become the same rows as those that the commands read from files. None of the three
libraries is imported: what they have in common is enough.
"""
