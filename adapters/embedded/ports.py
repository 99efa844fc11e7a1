"""Ports to listen on: the usual one if it is free, another if nobody insisted."""

import contextlib
import socket

from adapters.errors import Explained

LOOPBACK = "127.0.0.1"


class PortTaken(Explained):
    """Somebody else listens on a port that was asked for by name."""


def choose_port(preferred: int, *, explicit: bool, what: str, host: str = LOOPBACK) -> int:
    """`preferred` when it is free; otherwise a free one, unless the caller insists."""
    if is_free(preferred, host):
        return preferred
    if explicit:
        raise PortTaken(f"port {preferred} for {what} is taken: stop what listens there, or choose another")
    return free_port(host)


def is_free(port: int, host: str = LOOPBACK) -> bool:
    """Whether we could listen on this port."""
    with socket.socket() as listener:
        # Without this, a port that we have just left looks taken for a minute.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with contextlib.suppress(OSError):
            listener.bind((host, port))
            return True
    return False


def free_port(host: str = LOOPBACK) -> int:
    """A port that nobody uses."""
    with socket.socket() as listener:
        listener.bind((host, 0))
        return listener.getsockname()[1]
