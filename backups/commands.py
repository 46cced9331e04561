"""The commands for databases that have tools of their own; the same stand in docs/operations.md."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any


def dump(entry: Mapping[str, Any], file: str) -> str:
    """How the database of this DATABASES entry is backed up. Without its password, which is asked for."""
    if entry["ENGINE"].endswith("postgresql"):
        return shlex.join(
            ["pg_dump", "--format=custom", "--no-owner", *_postgres(entry), f"--file={file}", entry["NAME"]]
        )
    options = ["--single-transaction", "--quick", "--hex-blob", "--default-character-set=utf8mb4"]
    return f"{shlex.join(['mariadb-dump', *options, *_mysql(entry), entry['NAME']])} > {shlex.quote(file)}"


def load(entry: Mapping[str, Any], file: str) -> str:
    """How what `dump` made is put back."""
    if entry["ENGINE"].endswith("postgresql"):
        options = ["--clean", "--if-exists", "--no-owner", "--single-transaction"]
        return shlex.join(["pg_restore", *options, *_postgres(entry), f"--dbname={entry['NAME']}", file])
    options = ["--default-character-set=utf8mb4", *_mysql(entry)]
    return f"{shlex.join(['mariadb', *options, entry['NAME']])} < {shlex.quote(file)}"


def _postgres(entry: Mapping[str, Any]) -> list[str]:
    return [
        f"--{name}={entry[key]}"
        for name, key in (("host", "HOST"), ("port", "PORT"), ("username", "USER"))
        if entry.get(key)
    ]


def _mysql(entry: Mapping[str, Any]) -> list[str]:
    host = str(entry.get("HOST") or "")
    if host.startswith("/"):
        return [f"--socket={host}", f"--user={entry['USER']}", "--password"]
    named = [
        f"--{name}={entry[key]}"
        for name, key in (("host", "HOST"), ("port", "PORT"), ("user", "USER"))
        if entry.get(key)
    ]
    return [*named, "--password"]
