"""What training carries from epoch to epoch, and the state from which it resumes."""
