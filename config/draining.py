"""Leaving a balancer without losing a call: what a worker does between SIGTERM and closing its door.

For DRAIN_TIMEOUT seconds it goes on serving, but says 503 at /readyz and "Connection: close" with every answer, so that
a balancer sends new calls elsewhere and gives its idle connections up. Then the kernel is told to drop new connections
unanswered (a balancer tries the next node), what it has already taken in is accepted, and only then the door closes:
a connection that waits in the queue of a socket which closes would be reset with a call in it.
"""

from __future__ import annotations

import ctypes
import logging
import socket
import struct
from collections.abc import Iterable
from contextlib import suppress

log = logging.getLogger(__name__)

ACCEPTING = 0.25  # seconds for what the kernel has taken in when new connections are shut out
LINGER = 3  # seconds an idle connection stays open at the end; a balancer must give idle ones up sooner
SO_ATTACH_FILTER, SO_DETACH_FILTER = 26, 27  # Linux, asm-generic/socket.h
# A classic BPF program over the TCP header: the byte of flags, of which SYN without ACK is a new connection.
DROP_NEW = (
    (0x30, 0, 0, 13),  # load byte 13
    (0x54, 0, 0, 0x12),  # keep SYN and ACK
    (0x15, 0, 1, 0x02),  # SYN alone?
    (0x06, 0, 0, 0),  # then drop it
    (0x06, 0, 0, 0xFFFFFFFF),  # else let all of it through
)


class State:
    """This process's: whether it is on its way out."""

    under_way = False


state = State()


def under_way() -> bool:
    """Whether this process has been asked to stop: it is not ready for new calls any more, though it serves them."""
    return state.under_way


def begin() -> None:
    state.under_way = True


def shut_out(listening: Iterable[socket.socket]) -> None:
    """From now on the kernel ignores who wants to connect. All who share the socket are meant; Linux only."""
    program = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in DROP_NEW))
    pointer = struct.pack("HL", len(DROP_NEW), ctypes.addressof(program))
    for door in listening:
        try:
            door.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, pointer)
        except OSError as error:
            log.info("new connections cannot be shut out here (%s); the door closes at once", error.strerror)


def let_in(listening: Iterable[socket.socket]) -> None:
    """Undo `shut_out` of another worker, which left alone (a reload, a SIGTERM to it): the socket is ours, too."""
    for door in listening:
        with suppress(OSError):  # nobody has shut anybody out
            door.setsockopt(socket.SOL_SOCKET, SO_DETACH_FILTER, 0)
