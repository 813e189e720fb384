"""Which mirror: the one the host's apt uses, unless a setting names another.

Two repositories are known by role: ``debian`` and ``debian-security``.
"""

from __future__ import annotations

import functools
import os
import subprocess

from builder.errors import SourceError


def mirrors() -> dict[str, str]:
    """Base addresses of the repositories ``debian`` and ``debian-security``, without a final slash."""
    main = os.environ.get("CYGNET_MIRROR", "").rstrip("/")
    security = os.environ.get("CYGNET_SECURITY_MIRROR", "").rstrip("/")
    if not main:
        addresses = _of_apt()
        main = next((a for a in addresses if a.endswith("/debian")), "")
        security = security or next((a for a in addresses if a.endswith("-security")), "")
    if not main:
        raise SourceError(
            "apt on this machine names no Debian mirror: set CYGNET_MIRROR to one's address (it ends in /debian)."
        )
    return {"debian": main, "debian-security": security or f"{main}-security"}


@functools.cache
def _of_apt() -> tuple[str, ...]:
    command = ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"]
    try:
        output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise SourceError(f"cannot ask apt for its mirrors ({error}): this needs Debian 12 or 13.") from None
    return tuple(line.strip().rstrip("/") for line in output.splitlines())
