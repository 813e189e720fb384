"""What an image carries beside its bytes: SBOM, licences, sizes, the build graph."""
