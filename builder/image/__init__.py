"""From packages and overlay to a root file system, and from there to a disk."""
