"""Commands for operators: status, label, prune, inspect and verify."""
