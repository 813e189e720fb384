"""What a UDP socket of IKE needs of the kernel beside being a socket (RFC 3948; udp(7))."""

from __future__ import annotations

import os
import socket

from cygnet.kernel import ours
from cygnet.kernel.encode import socket_policy
from cygnet.kernel.interface import KernelError
from cygnet.kernel.policy import Direction

# Level and option of the policies of one socket.
_POLICY_OPTIONS = {int(socket.AF_INET): (socket.IPPROTO_IP, 17), int(socket.AF_INET6): (socket.IPPROTO_IPV6, 35)}
_UDP_ENCAP, _ESP_IN_UDP = 100, 2
_SO_MARK = 36


def bypass(made: socket.socket) -> None:
    """Let a socket's packets pass the policies, both ways, and find their way outside the tunnels."""
    try:
        for direction in (Direction.IN, Direction.OUT):
            made.setsockopt(*_POLICY_OPTIONS[made.family], socket_policy(int(made.family), direction))
        made.setsockopt(socket.SOL_SOCKET, _SO_MARK, ours.UNDERLAY_MARK)
    except OSError as error:
        raise KernelError(f"cannot keep IKE out of the tunnels: {os.strerror(error.errno or 0)}") from error


def encapsulate(made: socket.socket) -> None:
    """Let the kernel take the ESP that comes in UDP to a socket."""
    try:
        made.setsockopt(socket.IPPROTO_UDP, _UDP_ENCAP, _ESP_IN_UDP)
    except OSError as error:
        raise KernelError(f"cannot receive ESP in UDP: {os.strerror(error.errno or 0)}") from error
