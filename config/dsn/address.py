"""A server by its address, `user:password@host:port/name?parameters`: taken to pieces, and as Django wants it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote

from config.dsn.parts import BadDsn


@dataclass
class Address:
    """The parts of `user:password@host:port/name?parameters`."""

    user: str
    password: str
    host: str
    port: str
    name: str
    parameters: dict[str, str]

    @classmethod
    def of(cls, rest: str, default_port: str) -> Address:
        credentials, at, place = _split_credentials(rest)
        authority, _, tail = place.partition("/") if "/" in place else place.partition("?")
        name, _, query = tail.partition("?") if "/" in place else ("", "", tail)
        if "@" in name or "/" in name:
            raise BadDsn("write @ / ? # in the password as %40 %2F %3F %23")
        user, _, password = credentials.partition(":") if at else ("", "", "")
        host, port = _hosts(authority, default_port)
        return cls(unquote(user), unquote(password), host, port, unquote(name), parameters_of(query))

    def entry(self, engine: str, options: dict[str, Any]) -> dict[str, Any]:
        """What Django's DATABASES holds of a server. Raises BadDsn: no database is named."""
        if not self.name:
            raise BadDsn("the address names no database (…/database)")
        return {
            "ENGINE": f"django.db.backends.{engine}",
            "NAME": self.name,
            "USER": self.user,
            "PASSWORD": self.password,
            "HOST": self.host,
            "PORT": self.port,
            "OPTIONS": options,
        }


def _split_credentials(rest: str) -> tuple[str, str, str]:
    """User and password end at the last @ before the path; where there is none, a bare / ? # may have hidden it."""
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    if "@" in authority:
        end = authority.rindex("@")
        return rest[:end], "@", rest[end + 1 :]
    place, _, _query = rest.partition("?")
    if "@" in place and ":" in authority and not authority.rpartition(":")[2].isdigit():
        return rest.rpartition("@")
    return "", "", rest


def _hosts(authority: str, default_port: str) -> tuple[str, str]:
    """Host and port; several, separated by commas, stay so, as libpq wants them."""
    pairs = [host_and_port(part, default_port) for part in authority.split(",")] if authority else [("", default_port)]
    ports = [port for _, port in pairs]
    return ",".join(host for host, _ in pairs), ports[0] if len(set(ports)) == 1 else ",".join(ports)


def host_and_port(address: str, default_port: str) -> tuple[str, str]:
    address = unquote(address)
    if address.startswith("/"):  # a directory of sockets
        return address, default_port
    if address.startswith("["):
        host, bracket, rest = address[1:].partition("]")
        port = rest.removeprefix(":") if rest else default_port
        if not bracket or (rest and not rest.startswith(":")):
            raise BadDsn("an IPv6 address is written [::1]:3306")
    else:
        host, colon, port = address.partition(":")
        port = port if colon else default_port
    if not port.isdigit() or not 0 < int(port) < 65536:
        raise BadDsn("the port is not a number between 1 and 65535")
    if not host:
        raise BadDsn("the address names no host")
    if not re.fullmatch(r"[\w.:%-]+", host):
        raise BadDsn("the host has characters no host has; write @ / ? # in the password as %40 %2F %3F %23")
    return host, port


def parameters_of(query: str) -> dict[str, str]:
    try:
        return dict(parse_qsl(query, keep_blank_values=True, strict_parsing=True)) if query else {}
    except ValueError:
        raise BadDsn("the part behind ? is not of the form name=value&name=value") from None
