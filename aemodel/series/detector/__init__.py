"""The scikit-learn estimator of series, and how it arranges rows."""
