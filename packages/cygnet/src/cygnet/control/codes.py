"""What a reply's number means, as ipsec_whack(8) has it, and the bounds of the protocol.

Request:  {"command": "up", "name": "west", "config": "/etc/ipsec.conf", "asynchronous": false}
Replies:  {"code": 104, "text": "..."} any number of times, then {"status": 0}; each a line of ASCII.
Nothing is imported here: the commands start on a 486.
"""

COMMENT = 0
PROBLEM = 1
LOG = 2
SERIOUS = 3
SUCCESS = 4
DUPLICATE_NAME = 20
UNKNOWN_NAME = 21
ORIENT = 22
DEAF = 24
ROUTE = 25
NO_PEER_ADDRESS = 29
BAD_REQUEST = 30
INTERNAL_ERROR = 32

LONGEST_REQUEST = 4096
LONGEST_REPLY = 65536
CONTROL_BASE = "/run/pluto/pluto"
SOCKET_SUFFIX = ".ctl"
LOCK_SUFFIX = ".pid"
