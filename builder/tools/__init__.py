"""Programs that the host's release lacks, unpacked from Debian packages without root."""
