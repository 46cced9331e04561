"""A network of its own: a bridge here, and a namespace for each node; or, where that is not permitted, plain ports."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from tests.ports import free_port

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a node listens. `inside`: the command that runs another one there."""

    host: str
    port: int
    inside: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Network:
    """`here`: the address of everything that is not a node; `places`: one a node; `told`: what this network is."""

    here: str
    places: tuple[Place, ...]
    told: str


class NotPermitted(OSError):
    """Namespaces cannot be made here (no root, or a container without the right to)."""


@contextmanager
def network(nodes: int) -> Iterator[Network]:
    with ExitStack() as stack:
        try:
            made = stack.enter_context(_namespaces(nodes))
        except NotPermitted as error:
            places = tuple(Place(LOOPBACK, free_port()) for _ in range(nodes))
            made = Network(LOOPBACK, places, f"plain ports of {LOOPBACK}, since namespaces are not permitted ({error})")
        yield made


@contextmanager
def _namespaces(nodes: int) -> Iterator[Network]:
    """Names carry the process id, so that two runs do not meet. Raises NotPermitted before anything was made."""
    mark, net = f"oa{os.getpid()}", f"10.213.{os.getpid() % 250}"
    here, places = f"{net}.1", []
    with ExitStack() as stack:
        _ip("link", "add", mark, "type", "bridge")
        stack.callback(_ip, "link", "del", mark)
        _ip("addr", "add", f"{here}/24", "dev", mark)
        _ip("link", "set", mark, "up")
        for number in range(1, nodes + 1):
            name, outer, address = f"{mark}n{number}", f"{mark}e{number}", f"{net}.{10 + number}"
            _ip("netns", "add", name)
            stack.callback(_ip, "netns", "del", name)
            _ip("link", "add", outer, "type", "veth", "peer", "name", "eth0", "netns", name)
            _ip("link", "set", outer, "master", mark, "up")
            for words in (("addr", "add", f"{address}/24", "dev", "eth0"), ("link", "set", "eth0", "up")):
                _ip("-n", name, *words)
            _ip("-n", name, "link", "set", "lo", "up")
            places.append(Place(address, 3000, ("ip", "netns", "exec", name)))
        yield Network(here, tuple(places), f"network namespaces in {net}.0/24")


def _ip(*words: str) -> None:
    try:
        done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise NotPermitted("there is no ip command") from None
    if done.returncode:
        raise NotPermitted(f"ip {' '.join(words)}: {done.stderr.strip()}")
