"""The DNS as opportunistic encryption needs it (RFC 4322): whose key is it, who is the gateway of an address.

A stub resolver of our own, since dnspython takes 12 MB of a box's 48: names, message (RFC 1035), records (KEY, TXT,
IPSECKEY), cache, resolver. It takes packets and a clock; daemon/lookups.py has the sockets.
"""
