"""Jobs with [series]: the section of the job file, and rows in series order."""
