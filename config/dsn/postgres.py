"""A PostgreSQL server as the database: libpq's parameters, and a pool of connections a process."""

from __future__ import annotations

from typing import Any

from config.dsn.address import Address
from config.dsn.parts import CONNECT_TIMEOUT, BadDsn, Pool

POOL_CAP = 20  # connections a process to one PostgreSQL server; more than Django's half of a worker can use
POOL_WAIT = 10  # seconds a request waits for a pooled connection
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
# Parts of the address that libpq also takes as parameters, which then rule.
PLACES = {"host": "host", "port": "port", "user": "user", "password": "password", "dbname": "name"}


def of_url(rest: str, pool: Pool) -> dict[str, Any]:
    address = Address.of(rest, default_port="5432")
    options: dict[str, Any] = {"connect_timeout": CONNECT_TIMEOUT, **GONE}
    for key, value in address.parameters.items():
        if key in LIBPQ:
            options[key] = value
        elif key in PLACES:
            setattr(address, PLACES[key], value)
        elif key not in IGNORED_POSTGRES:
            raise BadDsn(f"unknown parameter {key!r} for PostgreSQL")
    entry = address.entry("postgresql", options)
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
