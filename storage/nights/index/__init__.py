"""The list of all nights of a job, kept by year, and the pages that show it."""
