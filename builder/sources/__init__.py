"""Where every byte comes from: Debian's signed index, the lock file, downloads."""
