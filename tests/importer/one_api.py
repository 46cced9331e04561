"""Databases as an existing One API leaves them: its seven tables, filled with rows that are easy to add up."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import bcrypt

from tests import databases
from tests.databases import Database

PASSWORD = "old-password"
HASH = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode().replace("$2b$", "$2a$")  # as Go writes it
ROOT_ACCESS_TOKEN = "a" * 32

# Column -> type; {id}, {big}, {text}, {bool}, {real} differ between the databases. After management contract 3.
TABLES: dict[str, dict[str, str]] = {
    "users": {
        "id": "{id}",
        "username": "varchar(191) UNIQUE",
        "password": "{text}",
        "display_name": "varchar(191)",
        "role": "{big} DEFAULT 1",
        "status": "{big} DEFAULT 1",
        "email": "varchar(191)",
        "github_id": "varchar(191)",
        "wechat_id": "varchar(191)",
        "lark_id": "varchar(191)",
        "oidc_id": "varchar(191)",
        "access_token": "char(32) UNIQUE",
        "quota": "{big} DEFAULT 0",
        "used_quota": "{big} DEFAULT 0",
        "request_count": "{big} DEFAULT 0",
        "group": "varchar(32) DEFAULT 'default'",
        "aff_code": "varchar(32) UNIQUE",
        "inviter_id": "{big}",
    },
    "tokens": {
        "id": "{id}",
        "user_id": "{big}",
        "key": "char(48) UNIQUE",
        "status": "{big} DEFAULT 1",
        "name": "varchar(191)",
        "created_time": "{big}",
        "accessed_time": "{big}",
        "expired_time": "{big} DEFAULT -1",
        "remain_quota": "{big} DEFAULT 0",
        "unlimited_quota": "{bool}",
        "used_quota": "{big} DEFAULT 0",
        "models": "{text}",
        "subnet": "varchar(191) DEFAULT ''",
    },
    "channels": {
        "id": "{id}",
        "type": "{big} DEFAULT 0",
        "key": "{text}",
        "status": "{big} DEFAULT 1",
        "name": "varchar(191)",
        "weight": "{big} DEFAULT 0",
        "created_time": "{big}",
        "test_time": "{big}",
        "response_time": "{big}",
        "base_url": "varchar(191) DEFAULT ''",
        "other": "{text}",
        "balance": "{real}",
        "balance_updated_time": "{big}",
        "models": "{text}",
        "group": "varchar(32) DEFAULT 'default'",
        "used_quota": "{big} DEFAULT 0",
        "model_mapping": "varchar(1024) DEFAULT ''",
        "priority": "{big} DEFAULT 0",
        "config": "{text}",
        "system_prompt": "{text}",
    },
    "abilities": {
        "group": "varchar(32)",
        "model": "varchar(191)",
        "channel_id": "{big}",
        "enabled": "{bool}",
        "priority": "{big} DEFAULT 0",
    },
    "options": {"key": "varchar(191) PRIMARY KEY", "value": "{text}"},
    "redemptions": {
        "id": "{id}",
        "user_id": "{big}",
        "key": "char(32) UNIQUE",
        "status": "{big} DEFAULT 1",
        "name": "varchar(191)",
        "quota": "{big} DEFAULT 100",
        "created_time": "{big}",
        "redeemed_time": "{big}",
    },
    "logs": {
        "id": "{id}",
        "user_id": "{big}",
        "created_at": "{big}",
        "type": "{big}",
        "content": "{text}",
        "username": "varchar(191) DEFAULT ''",
        "token_name": "varchar(191) DEFAULT ''",
        "model_name": "varchar(191) DEFAULT ''",
        "quota": "{big} DEFAULT 0",
        "prompt_tokens": "{big} DEFAULT 0",
        "completion_tokens": "{big} DEFAULT 0",
        "channel_id": "{big}",
        "request_id": "varchar(191) DEFAULT ''",
        "elapsed_time": "{big} DEFAULT 0",
        "is_stream": "{bool}",
        "system_prompt_reset": "{bool}",
    },
}
TYPES = {
    "sqlite": {"id": "integer PRIMARY KEY", "big": "integer", "text": "text", "bool": "numeric", "real": "real"},
    "postgres": {
        "id": "bigserial PRIMARY KEY",
        "big": "bigint",
        "text": "text",
        "bool": "boolean",
        "real": "double precision",
    },
    "mysql": {
        "id": "bigint AUTO_INCREMENT PRIMARY KEY",
        "big": "bigint",
        "text": "longtext",
        "bool": "tinyint(1)",
        "real": "double",
    },
}


class OldDatabase:
    """One API's own database. `without` names columns (table.column) that its version does not have yet."""

    def __init__(self, database: Database, without: Sequence[str] = ()) -> None:
        self.database = database
        self.without = frozenset(without)
        self.run(*(self._create(table, columns) for table, columns in TABLES.items()))

    @property
    def address(self) -> str:
        """As the reference is given it: a file, a postgres URL, or Go's notation."""
        if self.database.kind == "mysql":
            address = self.database.server.address(self.database.name).removeprefix("mysql://")
            credentials, _, place = address.rpartition("@")
            host, _, name = place.partition("/")
            return f"{credentials}@tcp({host})/{name}?charset=utf8mb4&parseTime=true&loc=Local"
        if self.database.kind == "postgres":
            return self.database.server.address(self.database.name)
        return self.database.name

    def add(self, table: str, *rows: Mapping[str, Any]) -> None:
        """Rows of equal columns; what is not named gets the table's defaults."""
        columns = [name for name in rows[0] if f"{table}.{name}" not in self.without]
        mark = "?" if self.database.kind == "sqlite" else "%s"
        statement = (
            f"INSERT INTO {table} ({', '.join(map(self._quote, columns))}) VALUES ({', '.join([mark] * len(columns))})"
        )
        with self._writing() as connection, closing(connection.cursor()) as cursor:
            cursor.executemany(statement, [[row[name] for name in columns] for row in rows])

    def run(self, *statements: str) -> None:
        with self._writing() as connection, closing(connection.cursor()) as cursor:
            for statement in statements:
                cursor.execute(statement)

    def value(self, query: str) -> Any:
        return self.database.value(query)

    def _create(self, table: str, columns: Mapping[str, str]) -> str:
        kinds = TYPES[self.database.kind]
        parts = [
            f"{self._quote(name)} {kind.format(**kinds)}"
            for name, kind in columns.items()
            if f"{table}.{name}" not in self.without
        ]
        return f"CREATE TABLE {table} ({', '.join(parts)})"

    def _quote(self, name: str) -> str:
        return f"`{name}`" if self.database.kind == "mysql" else f'"{name}"'

    @contextmanager
    def _writing(self) -> Iterator[Any]:
        if self.database.kind == "sqlite":
            with closing(sqlite3.connect(self.database.name)) as connection, connection:
                yield connection
            return
        with closing(self.database.connect()) as connection:
            connection.autocommit = False if self.database.kind == "postgres" else connection.autocommit(False)
            yield connection
            connection.commit()


def user(number: int, **fields: Any) -> dict[str, Any]:
    return {
        "id": number,
        "username": f"user{number}",
        "password": HASH,
        "display_name": f"User {number}",
        "role": 1,
        "status": 1,
        "email": f"user{number}@example.com",
        "github_id": "",
        "wechat_id": "",
        "lark_id": "",
        "oidc_id": "",
        "access_token": f"{number:032x}",
        "quota": 1_000 * number,
        "used_quota": 0,
        "request_count": 0,
        "group": "default",
        "aff_code": f"A{number}",
        "inviter_id": 0,
        **fields,
    }


def root(**fields: Any) -> dict[str, Any]:
    given = {"username": "root", "display_name": "Root User", "role": 100, "email": "", "aff_code": ""}
    return user(1, **{**given, "quota": 500_000_000_000_000, "access_token": ROOT_ACCESS_TOKEN, **fields})


def key(number: int) -> str:
    return f"Key{number:045d}"


def token(number: int, user_id: int, **fields: Any) -> dict[str, Any]:
    return {
        "id": number,
        "user_id": user_id,
        "key": key(number),
        "status": 1,
        "name": f"token{number}",
        "created_time": 1_700_000_000,
        "accessed_time": 1_700_000_100,
        "expired_time": -1,
        "remain_quota": 500,
        "unlimited_quota": False,
        "used_quota": 20,
        "models": None,
        "subnet": None,
        **fields,
    }


def channel(number: int, **fields: Any) -> dict[str, Any]:
    return {
        "id": number,
        "type": 1,
        "key": f"sk-upstream-{number}",
        "status": 1,
        "name": f"channel{number}",
        "weight": 0,
        "created_time": 1_600_000_000 + number,
        "test_time": 0,
        "response_time": 0,
        "base_url": "",
        "other": None,
        "balance": 1.5,
        "balance_updated_time": 0,
        "models": "gpt-3.5-turbo,gpt-4o-mini",
        "group": "default,vip",
        "used_quota": 10 * number,
        "model_mapping": "",
        "priority": 0,
        "config": "",
        "system_prompt": None,
        **fields,
    }


def abilities(of: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {"group": group, "model": model, "channel_id": of["id"], "enabled": of["status"] == 1, "priority": 0}
        for group in of["group"].split(",")
        for model in of["models"].split(",")
    ]


def redemption(number: int, **fields: Any) -> dict[str, Any]:
    return {
        "id": number,
        "user_id": 1,
        "key": f"{number:032x}",
        "status": 1,
        "name": "gift",
        "quota": 100,
        "created_time": 1_700_000_000,
        "redeemed_time": None,
        **fields,
    }


def log(number: int, user_id: int, **fields: Any) -> dict[str, Any]:
    return {
        "id": number,
        "user_id": user_id,
        "created_at": 1_700_000_000 + number,
        "type": 2,
        "content": "倍率：1.00 × 1.00 × 1.00",
        "username": f"user{user_id}",
        "token_name": "token",
        "model_name": "gpt-4o-mini",
        "quota": 7,
        "prompt_tokens": 5,
        "completion_tokens": 2,
        "channel_id": 1,
        "request_id": f"20240101000000{number:08d}",
        "elapsed_time": 900,
        "is_stream": True,
        "system_prompt_reset": False,
        **fields,
    }


def fill(old: OldDatabase, *, users: int, tokens: int, channels: int, logs: int) -> None:
    """root (user 1) and `users` - 1 others; tokens, and logs of 7 points each, dealt out in turn."""
    counts = {number: len(range(number - 1, logs, users)) for number in range(1, users + 1)}
    counters = {number: {"used_quota": 7 * count, "request_count": count} for number, count in counts.items()}
    old.add("users", root(**counters[1]), *(user(number, **counters[number]) for number in range(2, users + 1)))
    old.add("tokens", *(token(number, (number - 1) % users + 1) for number in range(1, tokens + 1)))
    made = [channel(number) for number in range(1, channels + 1)]
    old.add("channels", *made)
    old.add("abilities", *(one for each in made for one in abilities(each)))
    old.add("options", *({"key": name, "value": value} for name, value in OPTIONS.items()))
    old.add("redemptions", *(redemption(number) for number in range(1, 4)))
    old.add("logs", *(log(number, (number - 1) % users + 1) for number in range(1, logs + 1)))


OPTIONS = {
    "GitHubOAuthEnabled": "true",
    "GitHubClientId": "client",
    "GitHubClientSecret": "a secret of GitHub's",
    "ModelRatio": '{"gpt-4o-mini": 0.075}',
    "SystemName": "The old house",
    "RetryTimes": "3",
}


@contextmanager
def made(folder: Path, kind: str = "sqlite", without: Sequence[str] = ()) -> Iterator[OldDatabase]:
    """An empty database of the reference; on SQLite a file in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    with databases.fresh(kind, folder) as database:
        yield OldDatabase(database, without)
