"""The training loop, measurements on validation and calibration rows, and the promotion gate."""
