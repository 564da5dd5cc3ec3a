"""File primitives: atomic writes, locks, and manifests with checksums."""
