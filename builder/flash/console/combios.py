"""comBIOS, the monitor of Soekris boards."""

SENTENCE = "comBIOS: not there yet"
