"""Files that are never half written: atomic replacement, locks, manifests with checksums."""
