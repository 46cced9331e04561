"""Database addresses (SQL_DSN, LOG_SQL_DSN) as entries of Django's DATABASES. Pure: nothing is opened or read.

Four forms, told apart by how they begin:

    postgres://user:pw@host:5432/db?sslmode=require      also postgresql://
    mysql://user:pw@host:3306/db?tls=skip-verify
    sqlite:///relative.db   sqlite:////absolute.db
    user:pw@tcp(host:3306)/db?tls=skip-verify            the notation of Go's MySQL driver; also @unix(/socket)

In the URL forms user, password and database are percent-decoded; in Go's notation they stand as they are.
"""

from __future__ import annotations

import re
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote

import certifi

POOL_CAP = 20  # connections a process to one PostgreSQL server; more than Django's half of a worker can use
POOL_WAIT = 10  # seconds a request waits for a pooled connection
CONNECT_TIMEOUT = 10  # seconds
# A PostgreSQL server that has gone without a word is noticed within a minute, and not within two hours.
GONE: dict[str, Any] = {
    "keepalives_idle": 30,  # seconds, as the next one
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,  # milliseconds
}

# Connection parameters of libpq that mean the same here (PostgreSQL documentation, 34.1.2).
LIBPQ = frozenset(
    [
        "sslmode",
        "sslrootcert",
        "sslcert",
        "sslkey",
        "sslpassword",
        "sslcrl",
        "sslcrldir",
        "sslsni",
        "sslnegotiation",
        "ssl_min_protocol_version",
        "ssl_max_protocol_version",
        "channel_binding",
        "connect_timeout",
        "application_name",
        "fallback_application_name",
        "options",
        "keepalives",
        "keepalives_idle",
        "keepalives_interval",
        "keepalives_count",
        "tcp_user_timeout",
        "target_session_attrs",
        "load_balance_hosts",
        "gssencmode",
        "hostaddr",
        "passfile",
        "service",
        "require_auth",
        "client_encoding",
    ]
)
# Parameters of the drivers these addresses were written for which have no meaning, or no other value, here.
IGNORED_POSTGRES = frozenset(
    [
        "TimeZone",
        "timezone",
        "default_query_exec_mode",
        "statement_cache_capacity",
        "description_cache_capacity",
        "pool_max_conns",
        "pool_min_conns",
        "pool_max_conn_lifetime",
        "pool_max_conn_idle_time",
        "pool_health_check_period",
        "prefer_simple_protocol",
    ]
)
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


class BadDsn(ValueError):
    """The address cannot be used. The message never repeats the address, which may hold a password."""


@dataclass(frozen=True)
class Pool:
    """SQL_MAX_IDLE_CONNS, SQL_MAX_OPEN_CONNS, SQL_MAX_LIFETIME (seconds) and SQLITE_BUSY_TIMEOUT (milliseconds)."""

    idle: int = 100
    open: int = 1000
    lifetime: int = 60
    busy_timeout: int = 3000


def database(dsn: str, pool: Pool) -> dict[str, Any]:
    """The DATABASES entry of an address. Raises BadDsn."""
    scheme, separator, rest = dsn.partition("://")
    if not separator or not re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*", scheme):
        return _go_mysql(dsn)
    match scheme.lower():
        case "postgres" | "postgresql":
            return _postgres(rest, pool)
        case "mysql" | "mariadb":
            return _mysql_url(rest)
        case "sqlite" | "sqlite3":
            return sqlite(_sqlite_path(rest), pool)
    raise BadDsn(f"{scheme}:// is not a database this program knows (postgres, mysql, sqlite)")


def sqlite(path: Path, pool: Pool) -> dict[str, Any]:
    """A file in WAL mode, every commit on disk before it is answered, one writer at a time."""
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": str(path),
        "OPTIONS": {
            # A transaction that begins by reading and then writes fails at once when another wrote in between;
            # taking the write lock first waits instead, up to the timeout.
            "transaction_mode": "IMMEDIATE",
            "timeout": pool.busy_timeout / 1000,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;",
        },
    }


def _sqlite_path(rest: str) -> Path:
    place, _, query = rest.partition("?")
    if query:
        raise BadDsn("an SQLite address takes no parameters; the lock wait is SQLITE_BUSY_TIMEOUT")
    if not place.startswith("/"):
        raise BadDsn("an SQLite address has three slashes before a relative path and four before an absolute one")
    path = unquote(place[1:])
    if not path or path.endswith("/"):
        raise BadDsn("the SQLite address names no file")
    if path == ":memory:":
        raise BadDsn("a database in memory is lost with its connection; name a file")
    return Path(path)


def _postgres(rest: str, pool: Pool) -> dict[str, Any]:
    address = _Address.of(rest, default_port="5432")
    options: dict[str, Any] = {"connect_timeout": CONNECT_TIMEOUT, **GONE}
    user, password, host, port, name = address.user, address.password, address.host, address.port, address.name
    for key, value in address.parameters.items():
        if key in LIBPQ:
            options[key] = value
        elif key == "host":
            host = value
        elif key == "port":
            port = value
        elif key == "user":
            user = value
        elif key == "password":
            password = value
        elif key == "dbname":
            name = value
        elif key not in IGNORED_POSTGRES:
            raise BadDsn(f"unknown parameter {key!r} for PostgreSQL")
    if not name:
        raise BadDsn("the address names no database (…@host:5432/database)")
    entry: dict[str, Any] = {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": name,
        "USER": user,
        "PASSWORD": password,
        "HOST": host,
        "PORT": port,
        "OPTIONS": options,
    }
    if pool.idle == 0:  # a connection a request, for use behind a pooler of transactions
        entry["DISABLE_SERVER_SIDE_CURSORS"] = True
    else:
        most = max(1, min(pool.open, POOL_CAP) if pool.open else POOL_CAP)
        options["pool"] = {
            "min_size": 0,
            "max_size": most,
            "timeout": POOL_WAIT,
            **({"max_lifetime": pool.lifetime} if pool.lifetime else {}),
        }
    return entry


def _mysql_url(rest: str) -> dict[str, Any]:
    address = _Address.of(rest, default_port="3306")
    socket = address.parameters.pop("unix_socket", address.parameters.pop("socket", ""))
    return _mysql(
        user=address.user,
        password=address.password,
        host=socket or address.host or "127.0.0.1",
        port="" if socket else address.port,
        name=address.name,
        parameters=address.parameters,
    )


def _go_mysql(dsn: str) -> dict[str, Any]:
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
    protocol, address = found[1] or "tcp", found[2] or ""
    if protocol == "unix":
        host, port = address, ""
        if not host.startswith("/"):
            raise BadDsn("unix(…) must hold the absolute path of a socket")
    elif protocol in ("tcp", "tcp6"):
        host, port = _host_and_port(address or "127.0.0.1", "3306")
    else:
        raise BadDsn(f"unknown protocol {protocol!r}; use tcp(host:port) or unix(/path)")
    return _mysql(user=user, password=password, host=host, port=port, name=unquote(name), parameters=_parameters(query))


def _mysql(*, user: str, password: str, host: str, port: str, name: str, parameters: dict[str, str]) -> dict[str, Any]:
    if not name:
        raise BadDsn("the address names no database (…/database)")
    options: dict[str, Any] = {
        "charset": "utf8mb4",
        "isolation_level": "read committed",
        "sql_mode": "STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION,ERROR_FOR_DIVISION_BY_ZERO",
        "connect_timeout": CONNECT_TIMEOUT,
    }
    tls = "false"
    for key, value in parameters.items():
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
    return {
        "ENGINE": "django.db.backends.mysql",
        "NAME": name,
        "USER": user,
        "PASSWORD": password,
        "HOST": host,
        "PORT": port,
        "OPTIONS": options,
        # Names are compared as they are written on the other two databases, so in tests here as well.
        "TEST": {"CHARSET": "utf8mb4", "COLLATION": "utf8mb4_bin"},
    }


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


@dataclass
class _Address:
    """The parts of `user:password@host:port/name?parameters`."""

    user: str
    password: str
    host: str
    port: str
    name: str
    parameters: dict[str, str]

    @classmethod
    def of(cls, rest: str, default_port: str) -> _Address:
        credentials, at, place = _split_credentials(rest)
        authority, _, tail = place.partition("/") if "/" in place else place.partition("?")
        name, _, query = tail.partition("?") if "/" in place else ("", "", tail)
        if "@" in name or "/" in name:
            raise BadDsn("write @ / ? # in the password as %40 %2F %3F %23")
        user, _, password = credentials.partition(":") if at else ("", "", "")
        host, port = _hosts(authority, default_port)
        return cls(unquote(user), unquote(password), host, port, unquote(name), _parameters(query))


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
    pairs = [_host_and_port(part, default_port) for part in authority.split(",")] if authority else [("", default_port)]
    ports = [port for _, port in pairs]
    return ",".join(host for host, _ in pairs), ports[0] if len(set(ports)) == 1 else ",".join(ports)


def _host_and_port(address: str, default_port: str) -> tuple[str, str]:
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


def _parameters(query: str) -> dict[str, str]:
    try:
        return dict(parse_qsl(query, keep_blank_values=True, strict_parsing=True)) if query else {}
    except ValueError:
        raise BadDsn("the part behind ? is not of the form name=value&name=value") from None
