"""How a role says that it is ready: systemd's notify protocol, so that systemd understands it as well."""

import contextlib
import os
import socket
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

VARIABLE = "NOTIFY_SOCKET"
_READY = b"READY=1"


def announce_ready() -> None:
    """Tell whoever started us that we do our work from now on; nothing when nobody asked to be told."""
    address = os.environ.get(VARIABLE)
    if not address:
        return
    if address.startswith("@"):  # systemd's way to write a socket that has no file
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as speaker, contextlib.suppress(OSError):
        # Said more than once (an engine claims partitions again and again), it may find nobody listening any more.
        speaker.sendto(_READY, address)


class Ear:
    """The listening side: one per child, so that we know who spoke."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="qist-")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.bind(self.address)

    @property
    def address(self) -> str:
        """What the child finds in `NOTIFY_SOCKET`."""
        return str(Path(self._folder.name) / "ready")

    def heard(self) -> bool:
        """Whether the child has said it since we last asked."""
        try:
            return _READY in self._socket.recv(4_096).splitlines()
        except BlockingIOError:
            return False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()
        self._folder.cleanup()
