"""Reading an address that a caller names: strictly, for what two readers take differently gets round a rule. Pure.

Refused are notations that only resolvers and browsers understand (WHATWG URL, "IPv4 parser": decimal, octal,
hexadecimal and short forms), users and passwords, zone ids, backslashes and invisible characters.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from urllib.parse import urljoin

from config.client_ip import Address

LONGEST = 8192  # characters of an address
LONGEST_NAME = 253  # characters (RFC 1035, 2.3.4)
SHAPE = re.compile(r"(https?)://([^/?#]*)([^#]*)(?:#.*)?", re.IGNORECASE)
AUTHORITY = re.compile(r"(\[[0-9a-f:.]+\]|[^:\[\]@%]+)(?::([0-9]{1,5}))?", re.IGNORECASE)
NAME = re.compile(r"(?:[a-z0-9_-]{1,63}\.)*[a-z0-9_-]{1,63}")
NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")  # a last label like these makes the whole an IPv4 address to some
PORTS = {"http": 80, "https": 443}
# Names that lead to the machine or the network one is in: RFC 6761, RFC 6762 (and its appendix G), RFC 8375, ICANN's
# .internal and what it will never delegate; Kubernetes' services by their shorter names, Consul's.
INNER_NAMES = (
    *(".localhost", ".localdomain", ".local", ".home.arpa", ".internal"),
    *(".corp", ".home", ".intranet", ".lan", ".mail", ".private"),
    *(".svc", ".default", ".kube-system", ".consul"),
)


@dataclass(frozen=True, slots=True)
class ContentAddress:
    """`host` is a name in ASCII and lower case, without a dot at its end, or a canonical IP address: then `literal`."""

    scheme: str
    host: str
    port: int
    literal: Address | None
    target: str  # path and query

    @property
    def url(self) -> str:
        shown = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == PORTS[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{shown}{port}{self.target}"

    @property
    def inner_name(self) -> bool:
        """The name alone says that it is not one of the internet's."""
        return self.literal is None and ("." not in self.host or ("." + self.host).endswith(INNER_NAMES))

    @property
    def usual_port(self) -> bool:
        """Web servers use 80, 443 and high ports; mail, shells and other old services the low ones between."""
        return self.port in (80, 443) or self.port >= 1024


def read(url: str) -> ContentAddress:
    """Raises ValueError; its text says nothing of the address."""
    if len(url) > LONGEST or not url.isprintable() or "\\" in url:
        raise ValueError("too long, or holds characters that no address has")
    found = SHAPE.fullmatch(url)
    authority = AUTHORITY.fullmatch(found[2]) if found else None
    if found is None or authority is None:
        raise ValueError("not http:// or https:// with a plain host")
    scheme = found[1].lower()
    port = int(authority[2]) if authority[2] else PORTS[scheme]
    if not 0 < port < 65536:
        raise ValueError("no such port")
    host, literal = _host(authority[1])
    target = found[3]
    return ContentAddress(scheme, host, port, literal, target if target.startswith("/") else "/" + target)


def follow(address: ContentAddress, location: str) -> ContentAddress:
    """Where a redirect leads. Raises ValueError, also where it gives up TLS."""
    if not location or len(location) > LONGEST or not location.isprintable() or "\\" in location:
        raise ValueError("the redirect leads nowhere")
    next_one = read(urljoin(address.url, location))
    if address.scheme == "https" and next_one.scheme != "https":
        raise ValueError("the redirect gives up TLS")
    return next_one


def _host(text: str) -> tuple[str, Address | None]:
    if text.startswith("["):
        six = IPv6Address(text[1:-1])
        return str(six), six
    if len(text) > LONGEST_NAME + 1:
        raise ValueError("the name is too long")
    # IDNA's preparation turns full-width digits and dots into plain ones; only what comes out is judged.
    name = (text if text.isascii() else text.encode("idna").decode()).lower().removesuffix(".")
    if not NAME.fullmatch(name) or len(name) > LONGEST_NAME:
        raise ValueError("not a host name")
    if NUMBER.fullmatch(name.rpartition(".")[2]):
        four = IPv4Address(name)
        return str(four), four
    return name, None
