"""A network of its own to watch a server in: loopback, one more interface that leads nowhere, and an ear on both.

Linux, iproute2, and the right to make network namespaces (root); where they are missing, the network is that of the
machine and nothing is heard (`hears`). The namespace belongs to one thread and to what it starts, threads and
processes; the rest of this process stays where it is.
"""

from __future__ import annotations

import ctypes
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address
from typing import Any, TypeVar

T = TypeVar("T")

CLONE_NEWNET = 0x40000000  # unshare(2)
ETH_P_ALL, ETH_P_IP, ETH_P_IPV6 = 3, 0x0800, 0x86DD  # linux/if_ether.h
OWN = ("93.184.215.20", "2606:2800:21f:cb07::20")  # public addresses that are this machine's
# What is not on loopback goes to a device whose other end hands it on to nobody; it can be heard all the same.
ORDERS = (
    "ip link set lo up",
    "ip link add nowhere type veth peer name end",
    "ip link set end up arp off",
    "ip link set nowhere up arp off",
    f"ip addr add {OWN[0]}/32 dev nowhere",
    f"ip addr add {OWN[1]}/128 dev nowhere nodad",
    "ip route add default dev nowhere",
    "ip -6 route add default dev nowhere",
)

Sent = tuple[str, str, int]  # "tcp" (the first packet of a connection) or "udp", to which address, to which port
MARK: Sent = ("udp", "127.0.0.1", 9)


class Network:
    """`do` runs a function inside; `sent` is what has left a socket in there for the first time, oldest first."""

    def __init__(self) -> None:
        self._inside = ThreadPoolExecutor(1, thread_name_prefix="network")
        self._lock = threading.Lock()
        self._heard: list[Sent] = []
        self._ear: socket.socket | None = None
        try:
            self._ear = self.do(self._made)
        except (OSError, subprocess.CalledProcessError):
            self._inside.shutdown()
            self._inside = ThreadPoolExecutor(1, thread_name_prefix="no network")  # begun out here
        else:
            threading.Thread(target=self._listen, args=[self._ear], daemon=True).start()

    @property
    def hears(self) -> bool:
        return self._ear is not None

    def do(self, work: Callable[..., T], *arguments: Any) -> T:
        return self._inside.submit(work, *arguments).result()

    def sent(self) -> list[Sent]:
        with self._lock:
            return list(self._heard)

    def settled(self) -> list[Sent]:
        """`sent`, after all that went out before now has been heard; nothing where nothing is."""
        if not self.hears:
            return []
        with self._lock:
            self._heard = [one for one in self._heard if one != MARK]  # the knock of the time before
        self.do(_knock)
        end = time.monotonic() + 10
        while MARK not in (heard := self.sent()):
            if time.monotonic() > end:
                raise TimeoutError("the ear hears nothing")
            time.sleep(0.005)
        return [one for one in heard if one != MARK]

    def forget(self) -> None:
        with self._lock:
            self._heard.clear()

    def close(self) -> None:
        self._inside.shutdown()
        if self._ear is not None:
            self._ear.close()

    def _made(self) -> socket.socket:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.unshare(CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "unshare")
        for order in ORDERS:
            subprocess.run(order.split(), check=True)
        ear = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_ALL))
        ear.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32 * 1024 * 1024)
        return ear

    def _listen(self, ear: socket.socket) -> None:
        while True:
            try:
                packet, (_device, protocol, kind, *_rest) = ear.recvfrom(128)
            except OSError:  # closed
                return
            if kind == socket.PACKET_OUTGOING and (found := _first(protocol, packet)) is not None:
                with self._lock:
                    self._heard.append(found)


def _knock() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as knocking:
        knocking.sendto(b"", MARK[1:])


def _first(protocol: int, packet: bytes) -> Sent | None:
    """What a packet begins: a connection (SYN without ACK), or any datagram."""
    if protocol == ETH_P_IP:
        inner, carried, target = packet[(packet[0] & 15) * 4 :], packet[9], packet[16:20]
    elif protocol == ETH_P_IPV6:
        inner, carried, target = packet[40:], packet[6], packet[24:40]
    else:
        return None
    if carried == socket.IPPROTO_TCP and inner[13] & 0x12 == 0x02:
        return "tcp", str(ip_address(target)), struct.unpack(">H", inner[2:4])[0]
    if carried == socket.IPPROTO_UDP:
        return "udp", str(ip_address(target)), struct.unpack(">H", inner[2:4])[0]
    return None
