"""What operators ask: status, labels, prune, inspect and verify."""
