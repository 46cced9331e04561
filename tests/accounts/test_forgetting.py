"""Deleted people leave the log: the lines stay, what names them does not."""

from __future__ import annotations

from typing import Any
from unittest.mock import Mock, patch

import pytest

from accounts.housekeeping import forget_deleted
from accounts.models import User, UserStatus
from accounts.services import delete_self
from audit.services import SYSTEM
from billing import forgetting
from billing.models import Log, LogType

pytestmark = pytest.mark.django_db


def called(user: User, **columns: Any) -> Log:
    told = {"username": user.username, "ip": "192.0.2.1", "user_agent": "curl", "model_name": "gpt", "quota": 7}
    return Log.objects.create(user_id=user.pk, created_at=1, type=LogType.CONSUME, **told, **columns)


def test_a_deletion_takes_the_name_out_of_every_line(
    alice: User, bob: User, django_capture_on_commit_callbacks: Any
) -> None:
    lines = [called(alice) for _ in range(5)]
    others = called(bob)
    with patch.object(forgetting, "BATCH", 2), django_capture_on_commit_callbacks(execute=True):
        delete_self(alice, SYSTEM)

    name = User.objects.get(pk=alice.pk).username
    assert name.startswith("deleted_")
    for line in Log.objects.filter(pk__in=[one.pk for one in lines]):
        assert (line.username, line.ip, line.user_agent, line.model_name, line.quota) == (name, "", "", "gpt", 7)
    others.refresh_from_db()
    assert (others.username, others.ip) == ("bob", "192.0.2.1")


def test_the_daily_run_does_what_was_broken_off(alice: User, bob: User) -> None:
    called(alice)
    called(bob)
    User.objects.filter(pk=alice.pk).update(username="deleted_x", status=UserStatus.DELETED)
    context = Mock(stopping=False, pause=lambda seconds: False)

    assert forget_deleted(context) == 1
    assert forget_deleted(context) == 0
    assert set(Log.objects.values_list("username", flat=True)) == {"deleted_x", "bob"}
