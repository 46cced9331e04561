"""What several callers do to one channel at the same moment."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from django.db import connection

from audit.models import AuditEntry
from audit.services import SYSTEM
from channels_app import services
from channels_app.models import Ability, Channel
from tests.channels_app.test_services import made

pytestmark = pytest.mark.django_db(transaction=True)


def at_once(*calls: Callable[[], Any]) -> list[Any]:
    barrier = Barrier(len(calls))

    def run(call: Callable[[], Any]) -> Any:
        barrier.wait(10)
        try:
            return call()
        finally:
            connection.close()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


def test_of_many_failures_at_once_one_disables_the_channel() -> None:
    channel = made()

    outcomes = at_once(*[lambda: services.disable_automatically(channel.pk, "status 401")] * 6)

    assert sorted(outcomes) == [False] * 5 + [True]
    assert AuditEntry.objects.filter(action="channel.disable").count() == 1


def test_edits_at_once_leave_the_abilities_of_the_row() -> None:
    channel = made(models="a")

    at_once(*[lambda n=n: services.update_channel(SYSTEM, channel.pk, {"models": f"a,m{n}"}) for n in range(4)])

    channel.refresh_from_db()
    assert set(Ability.objects.filter(channel=channel).values_list("model", flat=True)) == set(
        channel.model_names.split(",")
    )


def test_an_edit_leaves_what_calls_count_meanwhile() -> None:
    channel = made()
    Channel.objects.filter(pk=channel.pk).update(used_quota=700, balance=3.5)

    services.update_channel(SYSTEM, channel.pk, {"name": "renamed", "used_quota": 0, "balance": 0})

    assert Channel.objects.values_list("used_quota", "balance").get(pk=channel.pk) == (700, 3.5)
