"""What the system says when there is no room left on a disk."""

from __future__ import annotations

import errno

FULL = (errno.ENOSPC, errno.EDQUOT)
