"""One function for each command: options in, one call, one result."""
