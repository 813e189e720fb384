"""IKEv1 (RFC 2408, RFC 2409): a module for each exchange, and what they share."""
