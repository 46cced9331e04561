"""What two administrators do to each other at the same moment. Real threads with connections of their own."""

from __future__ import annotations

import threading
from contextlib import suppress

import pytest

from accounts import editing
from accounts.models import Role, User
from accounts.services import create_user, update_user
from audit.services import SYSTEM
from tests.config.test_locks import apart


@pytest.mark.django_db(transaction=True)
def test_of_two_roots_who_demote_each_other_one_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both have looked before either writes, where nothing keeps them apart."""
    ruth, rob = (create_user(username=name, password=None, role=Role.ROOT) for name in ("ruth", "rob"))
    together = threading.Barrier(2)
    look = editing._another_root

    def at_once(user: User) -> bool:
        found = look(user)
        with suppress(threading.BrokenBarrierError):
            together.wait(1)
        return found

    monkeypatch.setattr(editing, "_another_root", at_once)
    pairs = iter([(ruth, rob), (rob, ruth)])

    def demote() -> None:
        by, target = next(pairs)
        update_user(by, SYSTEM, target.pk, {"role": Role.ADMIN})

    refusals = [one.exception() for one in apart(demote, 2)]

    assert sorted(type(refusal).__name__ for refusal in refusals) == ["NoneType", "NotPermitted"]
    assert User.objects.filter(role=Role.ROOT).count() == 1
