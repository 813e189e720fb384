"""``python -m cygnet.cli``."""

import sys

from cygnet.cli import main

sys.exit(main())
