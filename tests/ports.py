"""Ports for servers that tests start, stop and start again, and for addresses where nobody listens.

They lie below the range the system takes from when it is asked for any port: neither another listener nor the near end
of somebody's connection is ever put there. And each belongs to the process that took it until that ends, so that what
the tests beside it, or a caller left over from an earlier one, still ask for is never answered by the wrong server.
"""

from __future__ import annotations

import fcntl
import os
import socket
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

FIRST, BLOCK, BLOCKS = 10_000, 100, 200

_one_at_a_time = threading.Lock()
_locks: list[int] = []  # file descriptors; a block is ours as long as one is open


def free_port() -> int:
    """A port of 127.0.0.1 where nobody listens; never given again while this process lives."""
    with _one_at_a_time:
        return next(_ports)


def _unused_of_ours() -> Iterator[int]:
    folder = Path(tempfile.gettempdir()) / f"tests-ports-{os.getuid()}"
    folder.mkdir(exist_ok=True)
    for block in range(BLOCKS):
        if _locked(folder / str(block)):
            first = FIRST + block * BLOCK
            yield from filter(_unused, range(first, first + BLOCK))
    raise OSError(f"no port from {FIRST} to {FIRST + BLOCK * BLOCKS} is free")


def _locked(path: Path) -> bool:
    lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return False
    _locks.append(lock)
    return True


def _unused(port: int) -> bool:
    try:
        with socket.create_server(("127.0.0.1", port)):
            return True
    except OSError:
        return False


_ports = _unused_of_ours()
