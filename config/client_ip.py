"""Whose address a request comes from, and whether over TLS, when proxies stand between. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address


def client_ip(peer: str, forwarded_for: str | None, real_ip: str | None, trusted: tuple[Network, ...]) -> str:
    """The address nearest to us that is not one of our own proxies, in its shortest notation.

    Headers count only where the peer itself is trusted. Each proxy appends to X-Forwarded-For the address it was
    called from, so the list is read from the right, and reading ends at the first hop that is not trusted: what
    stands left of it is whatever that stranger wrote. An entry that is no address ends it too; then the last hop
    that could be read counts. X-Real-IP counts only where there is no X-Forwarded-For. A peer that is no address
    (a Unix socket has none) is trusted only if a header can tell more, that is when `trusted` is not empty.
    """
    if not is_trusted(peer, trusted):
        return _shortest(peer)
    here = _address(peer)
    if forwarded_for and forwarded_for.strip():
        for entry in reversed(forwarded_for.split(",")):
            hop = _address(entry)
            if hop is None:
                break
            here = hop
            if not _among(hop, trusted):
                break
    elif real_ip:
        here = _address(real_ip) or here
    return str(here) if here is not None else peer


def is_trusted(peer: str, trusted: tuple[Network, ...]) -> bool:
    """Whether `peer` is a proxy of ours, whose headers count."""
    if not trusted:
        return False
    here = _address(peer)
    return here is None or _among(here, trusted)


def came_over_tls(peer: str, forwarded_proto: str, trusted: tuple[Network, ...]) -> bool:
    """Whether a trusted proxy says (X-Forwarded-Proto) that the caller spoke TLS with it, or with one before it."""
    said = forwarded_proto.partition(",")[0].strip().lower()
    return said in ("https", "wss") and is_trusted(peer, trusted)


def networks(value: str) -> tuple[Network, ...]:
    """TRUSTED_PROXIES: networks and addresses, separated by commas. Raises ValueError that names the bad one."""
    found: list[Network] = []
    for part in (part.strip() for part in value.split(",")):
        if not part:
            continue
        try:
            found.append(ip_network(part, strict=False))
        except ValueError:
            raise ValueError(f"{part!r} is not a network or an address") from None
    return tuple(found)


@lru_cache(maxsize=4096)
def _address(text: str) -> Address | None:
    """An address as it may stand in a header: with a port, in brackets, quoted, or IPv4 in IPv6 clothes."""
    text = text.strip().strip('"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        found = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(found, IPv6Address) and found.ipv4_mapped is not None:
        return found.ipv4_mapped
    return found


@lru_cache(maxsize=4096)
def _shortest(peer: str) -> str:
    """Its shortest notation: writing one costs more than all else here, and peers come back."""
    here = _address(peer)
    return str(here) if here is not None else peer


def _among(address: Address, trusted: Iterable[Network]) -> bool:
    return any(address in network for network in trusted)
