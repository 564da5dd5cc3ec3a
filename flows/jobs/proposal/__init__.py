"""What `init` proposes: a sample of the clean rows, what it shows, and the job file from it."""
