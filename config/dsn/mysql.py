"""A MySQL or MariaDB server as the database, in a URL or in the notation of Go's driver."""

from __future__ import annotations

import re
import ssl
from typing import Any
from urllib.parse import unquote

import certifi

from config.dsn.address import Address, host_and_port, parameters_of
from config.dsn.parts import CONNECT_TIMEOUT, BadDsn

IGNORED_MYSQL = frozenset(
    [
        "charset",
        "collation",
        "parseTime",
        "loc",
        "multiStatements",
        "interpolateParams",
        "allowNativePasswords",
        "checkConnLiveness",
        "maxAllowedPacket",
        "rejectReadOnly",
        "clientFoundRows",
        "columnsWithAlias",
        "allowOldPasswords",
        "allowCleartextPasswords",
        "allowFallbackToPlaintext",
        "allowAllFiles",
        "autocommit",
        "serverPubKey",
        "connectionAttributes",
    ]
)
DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")
SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def of_url(rest: str) -> dict[str, Any]:
    address = Address.of(rest, default_port="3306")
    socket = address.parameters.pop("unix_socket", address.parameters.pop("socket", ""))
    if socket:
        address.host, address.port = socket, ""
    elif not address.host:
        address.host = "127.0.0.1"
    return _entry(address)


def of_go(dsn: str) -> dict[str, Any]:
    """`[user[:password]@][protocol[(address)]]/database[?parameters]`; the last `/` and the last `@` before it rule."""
    before, slash, after = dsn.rpartition("/")
    if "?" in before and "(" not in before[before.rfind("?") :]:
        # The last slash was inside the parameters (loc=Asia/Shanghai): look for it before them.
        question = before.rfind("/") if "/" in before else before.find("?")
        before, slash, after = dsn[:question], "/", dsn[question + 1 :]
    if not slash:
        raise BadDsn(
            "it is neither a URL (postgres://, mysql://, sqlite:///) nor user:password@tcp(host:3306)/database"
        )
    credentials, at, place = before.rpartition("@")
    user, _, password = credentials.partition(":")
    found = re.fullmatch(r"([a-z]*)(?:\((.*)\))?", place)
    if not at or not user or not found:
        raise BadDsn("before the / must stand user:password@tcp(host:port) or user:password@unix(/path/to/socket)")
    name, _, query = after.partition("?")
    protocol, where = found[1] or "tcp", found[2] or ""
    if protocol == "unix":
        host, port = where, ""
        if not host.startswith("/"):
            raise BadDsn("unix(…) must hold the absolute path of a socket")
    elif protocol in ("tcp", "tcp6"):
        host, port = host_and_port(where or "127.0.0.1", "3306")
    else:
        raise BadDsn(f"unknown protocol {protocol!r}; use tcp(host:port) or unix(/path)")
    return _entry(Address(user, password, host, port, unquote(name), parameters_of(query)))


def _entry(address: Address) -> dict[str, Any]:
    options: dict[str, Any] = {
        "charset": "utf8mb4",
        "isolation_level": "read committed",
        "sql_mode": "STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION,ERROR_FOR_DIVISION_BY_ZERO",
        "connect_timeout": CONNECT_TIMEOUT,
    }
    tls = "false"
    for key, value in address.parameters.items():
        match key:
            case "tls":
                tls = value.lower()
            case "ssl-mode" | "ssl_mode" | "sslmode":
                tls = _tls_of_mode(value)
            case "timeout":
                options["connect_timeout"] = _seconds(key, value)
            case "readTimeout":
                options["read_timeout"] = _seconds(key, value)
            case "writeTimeout":
                options["write_timeout"] = _seconds(key, value)
            case "connect_timeout" | "read_timeout" | "write_timeout":
                options[key] = _seconds(key, value + "s" if value.isdigit() else value)
            case "ssl-ca" | "ssl_ca":
                options["ssl_ca"] = value
            case _ if key not in IGNORED_MYSQL:
                raise BadDsn(f"unknown parameter {key!r} for MySQL")
    options |= _tls(tls, options.pop("ssl_ca", None))
    # Names are compared as they are written on the other two databases, so in tests here as well.
    return address.entry("mysql", options) | {"TEST": {"CHARSET": "utf8mb4", "COLLATION": "utf8mb4_bin"}}


def _tls(mode: str, authority: str | None) -> dict[str, Any]:
    """Options of PyMySQL for a `tls` value of Go's driver."""
    match mode:
        case "false" | "0" | "":
            return {"ssl_disabled": True}
        case "preferred":
            return {}
        case "skip-verify":
            return {"ssl": {"check_hostname": False, "verify_mode": "none"}}
        case "true" | "1":
            trusted = authority or ssl.get_default_verify_paths().cafile or certifi.where()
            return {"ssl_ca": trusted, "ssl_verify_cert": True, "ssl_verify_identity": True}
    raise BadDsn(f"tls is {mode!r}; it must be true, false, skip-verify or preferred")


def _tls_of_mode(mode: str) -> str:
    modes = {
        "disabled": "false",
        "disable": "false",
        "preferred": "preferred",
        "prefer": "preferred",
        "required": "skip-verify",
        "require": "skip-verify",
        "verify_ca": "true",
        "verify-ca": "true",
        "verify_identity": "true",
        "verify-full": "true",
    }
    if mode.lower() not in modes:
        raise BadDsn(f"the TLS mode is {mode!r}; it must be DISABLED, PREFERRED, REQUIRED or VERIFY_IDENTITY")
    return modes[mode.lower()]


def _seconds(key: str, value: str) -> int:
    """A duration of Go (500ms, 5s, 1m30s) in whole seconds, at least 1."""
    parts = DURATION.findall(value)
    if not parts or "".join(number + unit for number, unit in parts) != value:
        raise BadDsn(f"{key} must be a duration such as 10s")
    return max(1, round(sum(float(number) * SECONDS[unit] for number, unit in parts)))
