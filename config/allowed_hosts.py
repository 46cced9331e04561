"""Hosts that a rule against inner addresses lets through: names, addresses and networks. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_network

from config.client_ip import Address, Network

NAME = re.compile(r"\.?(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")


@dataclass(frozen=True, slots=True)
class AllowedHosts:
    """`names` in lower case; one that begins with a dot stands for all names below it."""

    names: frozenset[str] = frozenset()
    networks: tuple[Network, ...] = ()

    @staticmethod
    def parse(value: str) -> AllowedHosts:
        """USER_CONTENT_ALLOWED_HOSTS: separated by commas. Raises ValueError that names the bad one."""
        names: set[str] = set()
        networks: list[Network] = []
        for part in (part.strip().lower().rstrip(".") for part in value.split(",")):
            if NAME.fullmatch(part):
                names.add(part)
            elif part:
                networks.append(_network(part))
        return AllowedHosts(frozenset(names), tuple(networks))

    def named(self, host: str) -> bool:
        """`host` in lower case, without a dot at its end."""
        if host in self.names:
            return True
        labels = host.split(".")
        return any("." + ".".join(labels[start:]) in self.names for start in range(1, len(labels)))

    def holds(self, address: Address) -> bool:
        return any(address in network for network in self.networks)


def _network(part: str) -> Network:
    try:
        return ip_network(part, strict=False)
    except ValueError:
        raise ValueError(f"{part!r} is not a host name, an address or a network") from None
