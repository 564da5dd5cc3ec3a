"""One function per command: parse the options, make one call, report one result."""
