"""The numbers before lines of progress, as ipsec_whack(8) has them: `104 "west" #1: STATE_MAIN_I1: initiate`."""

from __future__ import annotations

COMMENT = 0
LOG = 2
SERIOUS = 3
SUCCESS = 4
RETRANSMIT = 10
NO_ANSWER = 31
STATE_MAIN_I1 = 104
STATE_MAIN_I2 = 106
STATE_MAIN_I3 = 108
STATE_QUICK_I1 = 112
