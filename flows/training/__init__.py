"""train: fit, judge by the gate, promote; and the versions of a model."""
