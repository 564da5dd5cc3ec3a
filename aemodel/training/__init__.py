"""The training loop, what it measures on validation and calibration rows, and the gate that
promotes a model.
"""
