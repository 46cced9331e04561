"""An operator at the keyboard of a running gateway's database: one Django process that takes orders as lines of JSON.

A process of its own, because the gateway's settings (its database, its secret) are not those of the test that asks. It
writes as another node of the deployment would: rows, ledger entry and raised versions in one transaction.
Order: {"do": name, …arguments}; answer: {"value": …} or {"error": text}.
"""

from __future__ import annotations

import json
import os
import secrets
import string
import sys
import time
from typing import Any

import django
from django.db import close_old_connections, transaction

LETTERS = string.ascii_letters + string.digits


def user(username: str, quota: int, group: str = "default", role: int = 1) -> int:
    """A new user with `quota` points, entered as the opening balance; returns the id."""
    from accounts.models import User
    from billing.models import EntryKind, LedgerEntry
    from options import versions

    made = User(username=username, display_name=username, quota=quota, group=group, role=role)
    made.set_unusable_password()
    made.save()
    LedgerEntry.objects.create(user_id=made.pk, kind=EntryKind.OPENING, amount=quota, created_at=int(time.time()))
    versions.bump(versions.IDENTITIES)
    return made.pk


def access_token(user_id: int) -> str:
    """A new access token of the management API."""
    from accounts.services import renew_access_token
    from audit.services import SYSTEM

    return renew_access_token(user_id, SYSTEM)


def session(user_id: int, confirmed: bool = False) -> str:
    """The session cookie of a browser in which the user just signed in; `confirmed`: having shown who they are."""
    from importlib import import_module

    from django.conf import settings
    from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY

    from accounts.confirming import CONFIRMED
    from accounts.http import BACKEND
    from accounts.models import User

    store = import_module(settings.SESSION_ENGINE).SessionStore()
    store[SESSION_KEY] = str(user_id)
    store[BACKEND_SESSION_KEY] = BACKEND
    store[HASH_SESSION_KEY] = User.objects.get(pk=user_id).get_session_auth_hash()
    if confirmed:
        store[CONFIRMED] = int(time.time())
    store.create()
    return str(store.session_key)


def keep_password(user_id: int) -> None:
    """The account need not change the password it was given."""
    from accounts.models import User

    User.objects.filter(pk=user_id).update(must_change_password=False)


def token(user_id: int, name: str = "default", remain_quota: int | None = None, **fields: Any) -> dict[str, Any]:
    """A new token, unlimited unless `remain_quota` is given; returns {id, key}."""
    from accounts.models import Token
    from options import versions
    from vault.keys import digest

    key = "".join(secrets.choice(LETTERS) for _ in range(48))
    made = Token.objects.create(
        user_id=user_id,
        name=name,
        key=key,
        key_digest=digest("token", key),
        unlimited_quota=remain_quota is None,
        remain_quota=remain_quota or 0,
        **fields,
    )
    versions.bump(versions.IDENTITIES)
    return {"id": made.pk, "key": key}


def token_status(token_id: int, status: int) -> None:
    from accounts.models import Token
    from options import versions

    Token.objects.filter(pk=token_id).update(status=status)
    versions.bump(versions.IDENTITIES)


def channel(**fields: Any) -> int:
    """A new channel with its abilities; returns the id."""
    from channels_app.models import Channel
    from options import versions

    made = Channel.objects.create(created_time=int(time.time()), **fields)
    _rebuild(made)
    versions.bump(versions.ROUTING)
    return made.pk


def edit_channel(channel_id: int, **fields: Any) -> None:
    from channels_app.models import Channel
    from options import versions

    edited = Channel.objects.get(pk=channel_id)
    for name, value in fields.items():
        setattr(edited, name, value)
    edited.save()
    _rebuild(edited)
    versions.bump(versions.ROUTING)


def _rebuild(channel: Any) -> None:
    from channels_app.models import Ability, ChannelStatus

    channel.abilities.all().delete()
    Ability.objects.bulk_create(
        Ability(
            group=group,
            model=model,
            channel=channel,
            enabled=channel.status == ChannelStatus.ENABLED,
            priority=channel.priority,
        )
        for group in channel.group.split(",")
        for model in channel.model_names.split(",")
    )


def option(key: str, value: str) -> None:
    from audit.services import SYSTEM
    from options.services import set_option

    set_option(SYSTEM, key, value)


def job_missed(name: str) -> None:
    """As if the job were long due and nothing had been up to run it."""
    from jobs.models import Lease

    Lease.objects.update_or_create(name=name, defaults={"first_seen": 1, "last_run_started": 0, "last_run_finished": 0})


ORDERS = {
    order.__name__: order
    for order in (
        user,
        access_token,
        session,
        keep_password,
        token,
        token_status,
        channel,
        edit_channel,
        option,
        job_missed,
    )
}


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what Django prints must not mix with the answers
    django.setup()
    for line in sys.stdin:
        order = json.loads(line)
        close_old_connections()
        with transaction.atomic():
            value = ORDERS[order.pop("do")](**order)
        print(json.dumps({"value": value}), file=answers, flush=True)


if __name__ == "__main__":
    main()
