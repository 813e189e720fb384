"""``python -m cygnet.daemon``, and what a service's script imports: it runs as soon as it is imported."""

import sys

from cygnet.daemon.main import main

sys.exit(main(sys.argv[1:]))
