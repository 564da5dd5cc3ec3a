"""The job file: settings, dates, inputs, workspace, and the job file that `init` proposes."""
