"""Devices other than the host: where tensors lie, batches on the way there, scaling there."""
