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
from typing import Any

from config.dsn import mysql, postgres, sqlite
from config.dsn.parts import BadDsn, Pool

__all__ = ["BadDsn", "Pool", "database", "sqlite"]


def database(dsn: str, pool: Pool) -> dict[str, Any]:
    """The DATABASES entry of an address. Raises BadDsn."""
    scheme, separator, rest = dsn.partition("://")
    if not separator or not re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*", scheme):
        return mysql.of_go(dsn)
    match scheme.lower():
        case "postgres" | "postgresql":
            return postgres.of_url(rest, pool)
        case "mysql" | "mariadb":
            return mysql.of_url(rest)
        case "sqlite" | "sqlite3":
            return sqlite.of_url(rest, pool)
    raise BadDsn(f"{scheme}:// is not a database this program knows (postgres, mysql, sqlite)")
