"""The two ends of every test's wire. Documentation addresses (RFC 5737) on it, one private network behind each end."""

from __future__ import annotations

WEST, EAST = "192.0.2.1", "192.0.2.2"
WEST_NET, EAST_NET = "10.1.0.0/24", "10.2.0.0/24"
WEST_HOST, EAST_HOST = "10.1.0.1", "10.2.0.1"
