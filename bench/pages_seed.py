"""Run inside a checkout, on its settings: fill the tables that the console lists, and sign root in.

`python pages_seed.py LOG_ROWS OTHER_ROWS` prints {"session": cookie} as JSON. Rows are made by the database itself,
in one statement a table: a million by the ORM would take longer than all that is measured.
"""

from __future__ import annotations

import json
import os
import sys
import time
from importlib import import_module
from typing import Any

import django

MODELS = 500  # names of models, ten to a channel
DAY = 86_400  # seconds


def main(log_rows: int, other_rows: int) -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()

    from accounts.models import Token, User
    from accounts.services import create_user
    from audit.models import AuditEntry
    from billing.models import LedgerEntry, Log, UsageDay
    from channels_app.models import Ability, Channel
    from options import versions
    from redemptions.models import Redemption
    from vault.keys import digest, encrypt

    now = int(time.time())
    root = create_user(username="bench-root", password=None, role=100)
    rows = other_rows
    fill(
        User,
        rows,
        username="'user-' || i",
        username_key="'user-' || i",
        display_name="'Person ' || i",
        password="'!'",
        quota="i * 1000",
        used_quota="i * 10",
        group="CASE WHEN i % 5 = 0 THEN 'vip' ELSE 'default' END",
        created_time=f"{now} - i * 60",
        last_active=f"{now} - i * 30",
    )
    fill(
        Token,
        rows,
        user=str(root.pk),
        key_digest="'digest-' || i",
        key=literal(encrypt("x" * 48)),
        name="'key-' || i",
        used_quota="i * 10",
        remain_quota="i * 100",
        created_time=f"{now} - i * 60",
    )
    models = " || ',' || ".join(f"'model-' || (i % {MODELS // 10} * 10 + {number})" for number in range(10))
    first = Channel.objects.count()
    fill(
        Channel,
        rows,
        name="'channel-' || i",
        key=literal(encrypt("sk-bench")),
        type="1 + i % 50",
        model_names=models,
        tags="'tag-' || (i % 20)",
        created_time=f"{now} - i * 60",
        priority="i % 10",
    )
    least = Channel.objects.order_by("pk").values_list("pk", flat=True)[first]
    fill(
        Ability,
        rows * 10,
        group="'default'",
        model=f"'model-' || ((i - 1) / 10 % {MODELS // 10} * 10 + i % 10)",
        channel=f"(i - 1) / 10 + {least}",
    )
    fill(
        Redemption,
        rows,
        key_digest="'digest-' || i",
        key=literal(encrypt("0" * 32)),
        name="'batch-' || (i % 100)",
        batch="'batch-' || (i % 100)",
        quota="500000",
        created_time=f"{now} - i * 60",
        user_id=str(root.pk),
    )
    fill(
        AuditEntry,
        rows * 10,
        created_at=f"{now} - i * 60",
        actor_id=str(root.pk),
        actor_name="'bench-root'",
        action="CASE WHEN i % 2 = 0 THEN 'channel.update' ELSE 'token.create' END",
        target="'channel:' || i",
    )
    fill(LedgerEntry, rows, user_id=str(root.pk), kind="'top_up'", amount="500000", created_at=f"{now} - i * 60")
    fill(
        UsageDay,
        rows * 3,
        user_id=f"{root.pk} + i % 100",
        token_id="i % 1000",
        channel_id="i % 1000",
        model_name=f"'model-' || (i % {MODELS})",
        group="'default'",
        requests="10",
        errors="i % 2",
        prompt_tokens="1000",
        completion_tokens="500",
        cached_tokens="100",
        quota="2500",
        elapsed="9000",
        day=f"{now // DAY * DAY} - i / 1000 * {DAY}",
    )
    fill(
        Log,
        log_rows,
        user_id=f"{root.pk} + i % 1000",
        username="'user-' || (i % 1000)",
        created_at=f"{now} - ({log_rows} - i) * 3",
        type="CASE WHEN i % 20 = 0 THEN 6 ELSE 2 END",
        content="'模型倍率 2.5，分组倍率 1'",
        token_name="'key-' || (i % 1000)",
        token_id="i % 1000",
        model_name=f"'model-' || (i % {MODELS})",
        quota="i % 5000",
        prompt_tokens="1000",
        completion_tokens="500",
        channel_id="i % 1000",
        request_id="'request-' || i",
        elapsed_time="i % 9000",
        status="CASE WHEN i % 20 = 0 THEN 502 ELSE 200 END",
    )
    for name in (versions.ROUTING, versions.IDENTITIES):
        versions.bump(name)
    analyze()
    assert digest("token", "x")  # the secret is the server's: what was encrypted can be read
    print(json.dumps({"session": session(root)}))


def fill(model: Any, rows: int, /, **expressions: str) -> None:
    """`rows` rows; an expression is SQL over `i`, 1 to `rows`. What is not named gets the field's default."""
    from django.db import connection

    quote = connection.ops.quote_name
    names, values = [], []
    for column in model._meta.concrete_fields:
        if column.primary_key and column.name == "id":
            continue
        given = expressions.pop(column.name, None)
        names.append(quote(column.column))
        values.append(given or default_of(column))
    assert not expressions, expressions
    table = quote(model._meta.db_table)
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} ({', '.join(names)}) "
            f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows}) "
            f"SELECT {', '.join(values)} FROM n"
        )


def default_of(column: Any) -> str:
    from django.db import connection

    if column.null:
        return "NULL"
    value = column.get_default()
    if isinstance(value, bool):
        return str(value).upper() if connection.vendor == "postgresql" else str(int(value))
    if isinstance(value, dict | list):
        return literal(json.dumps(value)) + ("::jsonb" if connection.vendor == "postgresql" else "")
    return literal(value) if isinstance(value, str) or value is None else str(value)


def literal(value: Any) -> str:
    return "'" + str("" if value is None else value).replace("'", "''") + "'"


def analyze() -> None:
    """As any database does by itself after a while: statistics for its planner."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


def session(user: Any) -> str:
    """The cookie of a browser in which the user has just signed in."""
    from django.conf import settings
    from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY

    from accounts import sessions
    from accounts.http import BACKEND

    store = import_module(settings.SESSION_ENGINE).SessionStore()
    store[SESSION_KEY] = str(user.pk)
    store[BACKEND_SESSION_KEY] = BACKEND
    store[HASH_SESSION_KEY] = user.get_session_auth_hash()
    store.create()
    sessions.begin(store.session_key, user.pk, address="127.0.0.1", user_agent="bench", method="password")
    return str(store.session_key)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
