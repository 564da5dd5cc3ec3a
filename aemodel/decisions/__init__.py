"""What a night comes to: rules, ranking, drift, contamination, verdict. NumPy arrays of scores in,
plain values out.
"""
