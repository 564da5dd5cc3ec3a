"""Object storage: S3, Google Cloud Storage, and Azure, whose objects are read as paths."""
