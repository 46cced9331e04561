"""Bytes to a server and whatever comes back, for tests that send what no client would."""

from __future__ import annotations

import re
import socket
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from tests.server import Gateway

STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")
QUIET = 0.15  # seconds without a byte after which nothing more is expected


@dataclass(frozen=True, slots=True)
class Heard:
    raw: bytes
    closed: bool

    @property
    def statuses(self) -> list[int]:
        return [int(found) for found in STATUS.findall(self.raw)]


def hear(connection: socket.socket, answers: int = 1, limit: float = 10) -> Heard:
    """All that comes until the other end closes, or until it has begun that many answers and is quiet.

    Who expects it to close asks for one answer more than there will be: being quiet for a while is no end then.
    """
    raw = b""
    end = time.monotonic() + limit
    while True:
        connection.settimeout(QUIET if len(STATUS.findall(raw)) >= answers else limit)
        try:
            data = connection.recv(1 << 20)
        except TimeoutError:
            return Heard(raw, closed=False)
        except ConnectionError:
            return Heard(raw, closed=True)
        if not data:
            return Heard(raw, closed=True)
        raw += data
        assert time.monotonic() < end, "it does not stop talking"


def exchange(port: int, *pieces: bytes, gap: float = 0, answers: int = 1) -> Heard:
    """Send the pieces, `gap` seconds apart, on a new connection; then `hear`."""
    with closing(socket.create_connection(("127.0.0.1", port), timeout=10)) as connection:
        for number, piece in enumerate(pieces):
            time.sleep(gap if number else 0)
            try:
                connection.sendall(piece)
            except ConnectionError:
                break  # refused already; what it said is still to be heard
        return hear(connection, answers)


def memory_of(pid: int, name: str) -> int:
    """Bytes: VmRSS (now) or VmHWM (the most since `forget_peak`)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) * 1024
    raise AssertionError(f"the kernel does not tell {name}")


def forget_peak(gateway: Gateway) -> int:
    """The worker's peak is counted from now on; returns what it holds now, in bytes."""
    (pid,) = gateway.worker_pids()
    Path(f"/proc/{pid}/clear_refs").write_text("5")
    return memory_of(pid, "VmRSS")


def peak(gateway: Gateway) -> int:
    (pid,) = gateway.worker_pids()
    return memory_of(pid, "VmHWM")
