"""People, entries and the books of the ledger's tests, on whatever database the tests run on."""

from __future__ import annotations

import itertools
import threading
import uuid
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from django.db import connection, connections

from accounts.models import Token, User
from accounts.tokens import create_token
from billing.batch import Hold, Progress, Settlement, endings, late, post
from billing.models import EntryKind, LedgerEntry, Log
from billing.models import Hold as HoldRow
from billing.services import credit
from channels_app.models import Channel
from tests.books import CHECKS
from tests.databases import Database, Server
from tests.settings import KIND

# Only these apps' tables are emptied after each test, and nothing is made anew in Django's own: half of the time.
APPS = ["accounts", "audit", "billing", "channels_app", "options", "redemptions", "django.contrib.contenttypes"]
TRANSACTIONS = pytest.mark.django_db(transaction=True, available_apps=APPS)
WORKER = "worker-of-the-tests"
TABLES = (
    "holds",
    "ledger_entries",
    "logs",
    "log_outbox",
    "usage_hours",
    "usage_days",
    "usage_weeks",
    "usage_catch_up",
    "tokens",
    "channels",
    "users",
    "redemptions",
    "audit_entries",
)

# Where a token has been deleted, what it used is only in the logs. The rest of the invariants holds all the same.
WITH_DELETED_TOKENS = {
    **{name: query for name, query in CHECKS.items() if name != "I4 users.used_quota is the sum over tokens"},
    "I4 users.used_quota is the sum over tokens and the logs of deleted ones": """
        SELECT u.id, u.used_quota, COALESCE(t.used, 0), COALESCE(l.used, 0) FROM users u
        LEFT JOIN (SELECT user_id, SUM(used_quota) AS used FROM tokens GROUP BY user_id) t ON t.user_id = u.id
        LEFT JOIN (SELECT user_id, SUM(quota) AS used FROM logs WHERE type = 2
                   AND token_id NOT IN (SELECT id FROM tokens) GROUP BY user_id) l ON l.user_id = u.id
        WHERE u.used_quota <> COALESCE(t.used, 0) + COALESCE(l.used, 0)""",
}

_numbers = itertools.count(1)


def new_id() -> str:
    return uuid.uuid4().hex


def person(quota: int, name: str = "") -> User:
    """A user with an opening balance. Made without a password, which would cost more than the rest."""
    name = name or f"person-{next(_numbers)}"
    user = User(username=name, aff_code=None, password="!")
    user.save()
    credit(user.pk, quota, kind=EntryKind.OPENING)
    user.refresh_from_db()
    return user


def key_of(user: User, remain: int | None = None) -> Token:
    """A token of this user; `remain` None is unlimited."""
    return create_token(
        user_id=user.pk,
        name=f"key-{next(_numbers)}",
        unlimited_quota=remain is None,
        remain_quota=-1 if remain is None else remain,
    )


def channel() -> Channel:
    return Channel.objects.create(name=f"channel-{next(_numbers)}")


def hold(token: Token, amount: int, least: int | None = None, **fields: Any) -> Hold:
    return Hold(
        request_id=fields.pop("request_id", None) or new_id(),
        user_id=token.user_id,
        token_id=token.pk,
        limited=not token.unlimited_quota,
        amount=amount,
        least=amount if least is None else least,
        worker=fields.pop("worker", WORKER),
        **fields,
    )


def progress(of: Hold, amount: int, charge: int, held: int | None = None) -> Progress:
    return Progress(
        request_id=of.request_id,
        user_id=of.user_id,
        token_id=of.token_id,
        limited=of.limited,
        held=of.amount if held is None else held,
        amount=amount,
        completion_tokens=charge,
        charge=charge,
        channel_id=of.channel_id,
        model_name="gpt",
        content="half-way",
    )


def settlement(of: Hold, charge: int | None, **fields: Any) -> Settlement:
    return Settlement(
        request_id=of.request_id,
        user_id=of.user_id,
        token_id=of.token_id,
        limited=of.limited,
        charge=charge,
        channel_id=fields.pop("channel_id", of.channel_id),
        log=fields.pop("log", {"model_name": "gpt", "username": "alice"}),
        **fields,
    )


def expired() -> list[Settlement]:
    """What would settle the holds that are over, be their processes alive or not."""
    return [entry for _, entry in endings([one.request_id for one in late() if one.over])]


def now_holds(user: User) -> int:
    return User.objects.values_list("held", flat=True).get(pk=user.pk)


def quota(user: User) -> int:
    return User.objects.values_list("quota", flat=True).get(pk=user.pk)


def remain(token: Token) -> int:
    return Token.objects.values_list("remain_quota", flat=True).get(pk=token.pk)


def charges() -> dict[str, int]:
    """Points charged, by request id."""
    return {
        str(reference): -amount
        for reference, amount in LedgerEntry.objects.filter(kind="charge").values_list("reference", "amount")
    }


def check(invariants: dict[str, str] = WITH_DELETED_TOKENS) -> None:
    """Assert that the money is in order, as of now."""
    broken: dict[str, object] = {}
    with connection.cursor() as cursor:
        for name, query in invariants.items():
            cursor.execute(query)
            if rows := cursor.fetchall():
                broken[name] = rows[:5]
    assert not broken, broken


def everything() -> dict[str, list[tuple[Any, ...]]]:
    """All that a replay must not change; times are left out."""
    return {
        "users": list(User.objects.order_by("pk").values_list("pk", "quota", "held", "used_quota", "request_count")),
        "tokens": list(Token.objects.order_by("pk").values_list("pk", "remain_quota", "held", "used_quota")),
        "channels": list(Channel.objects.order_by("pk").values_list("pk", "used_quota")),
        "holds": list(
            HoldRow.objects.order_by("pk").values_list("pk", "amount", "token_amount", "charge", "completion_tokens")
        ),
        "ledger": list(LedgerEntry.objects.order_by("pk").values_list("pk", "reference", "amount")),
        "logs": list(Log.objects.order_by("pk").values_list("pk", "request_id", "quota", "uncollected")),
    }


def empty_tables() -> None:
    with connection.cursor() as cursor:
        for table in TABLES:
            cursor.execute(f"DELETE FROM {table}")


def held_and_settled(token: Token, charge: int, amount: int | None = None) -> Hold:
    """One whole call, in the books."""
    one = hold(token, charge if amount is None else amount)
    post([one])
    post([settlement(one, charge)])
    return one


def in_threads(tasks: Sequence[Callable[[], Any]]) -> list[Any]:
    """Run all at once, each on a thread with a connection of its own; results in order, errors as results."""
    results: list[Any] = [None] * len(tasks)
    barrier = threading.Barrier(len(tasks))

    def run(i: int) -> None:
        try:
            barrier.wait(30)
            results[i] = tasks[i]()
        except BaseException as error:  # noqa: BLE001 (handed to the caller)
            results[i] = error
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=(i,)) for i in range(len(tasks))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(90)
    assert not any(thread.is_alive() for thread in threads), "a thread hangs"
    return results


def forget_connections() -> None:
    """Those of this thread and of the pool; a test may have broken them."""
    connection.close()
    if hasattr(connection, "close_pool"):
        connection.close_pool()


def this_database() -> Database:
    """The database of Django's tests, for looking at it from outside of Django."""
    return Database(KIND, str(connection.settings_dict["NAME"]), Server.of(KIND))
