"""`python -m builder.smoke BOARD[+PEER] [pytest arguments]`: accept the boxes that the last run made."""

import os
import sys

from builder.smoke import again

boards, *arguments = sys.argv[1:]
board, _, peer = boards.partition("+")
os._exit(again(board, arguments, peer))
