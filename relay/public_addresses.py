"""Which IP addresses are out on the internet, where anybody may send anybody, and which lead inwards.

Ranges: IANA's special-purpose registries (https://www.iana.org/assignments/iana-ipv4-special-registry,
https://www.iana.org/assignments/iana-ipv6-special-registry). Written out instead of asking `ipaddress.is_global`,
whose answers differ between releases of Python and which knows neither clouds nor addresses within addresses.
"""

from __future__ import annotations

import socket
from ipaddress import IPv4Address, IPv4Network, IPv6Network

from config.client_ip import Address

NOT_PUBLIC_4 = tuple(
    IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # this network; Linux takes 0.0.0.0 for itself
        "10.0.0.0/8",  # private, RFC 1918
        "100.64.0.0/10",  # carriers' NAT, RFC 6598; Alibaba's metadata service
        "127.0.0.0/8",  # loopback
        "168.63.129.16/32",  # Azure's own services, seen from within a virtual machine only
        "169.254.0.0/16",  # link-local; metadata services of AWS, Google, Azure and others
        "172.16.0.0/12",  # private, RFC 1918
        "192.0.0.0/24",  # IETF protocols, RFC 6890; Oracle's metadata service
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # 6to4 relays, given up
        "192.168.0.0/16",  # private, RFC 1918
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
    )
)
UNICAST_6 = IPv6Network("2000::/3")  # all that has been given out; loopback, mapped, local and multicast lie outside
NOT_PUBLIC_6 = tuple(
    IPv6Network(network)
    for network in (
        "2001::/23",  # IETF protocols: Teredo, ORCHID, benchmarks
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4, which holds an IPv4 address
        "3fff::/20",  # documentation
    )
)
NAT64 = IPv6Network("64:ff9b::/96")  # the last 32 bits are an IPv4 address; DNS64 makes these up (RFC 6052)


def is_public(address: Address) -> bool:
    if isinstance(address, IPv4Address):
        return all(address not in network for network in NOT_PUBLIC_4)
    if address.scope_id is not None:
        return False
    if address in NAT64:
        return is_public(IPv4Address(int(address) & 0xFFFFFFFF))
    return address in UNICAST_6 and all(address not in network for network in NOT_PUBLIC_6)


def is_ours(address: Address) -> bool:
    """Whether this machine itself has the address. Nothing is sent: a connected UDP socket only asks for the way.

    Behind a public address of our own, services may listen that a firewall keeps from everybody else.
    """
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    with socket.socket(family, socket.SOCK_DGRAM) as asking:
        try:
            asking.connect((str(address), 9))
        except OSError:  # no way there at all
            return False
        return bool(asking.getsockname()[0] == str(address))
