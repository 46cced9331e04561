"""An account that is deleted while its owner is at something: nothing of it comes back."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any

import pytest
from django.db import connections, transaction
from django.test import Client

from accounts import editing, verification
from accounts.external import methods
from accounts.models import User, UserStatus
from accounts.refusals import AccountDisabled
from accounts.services import delete_self
from audit.services import SYSTEM
from notices import codes
from tests.accounts.conftest import go
from tests.accounts.providers import Provider

EDITS: dict[str, Callable[[User], Any]] = {
    "name": lambda user: editing.update_self(user, SYSTEM, {"username": "alice", "display_name": "Alice"}),
    "address": lambda user: verification.bind_email(
        user.pk, SYSTEM, "alice@example.org", codes.issue(codes.Purpose.ADDRESS, "alice@example.org")
    ),
}


@pytest.mark.django_db
def test_an_identity_is_not_bound_to_an_account_that_was_deleted_meanwhile(
    provider: Provider, alice: User, signed_in: Callable[[User], Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would be nobody's for ever: signing in with it would find the deleted account."""
    client = signed_in(alice)
    identify = methods.identify

    def deleted_meanwhile(*given: Any) -> Any:
        identity = identify(*given)
        delete_self(alice, SYSTEM)
        return identity

    with monkeypatch.context() as patched:
        patched.setattr(methods, "identify", deleted_meanwhile)
        assert go(client, provider, "github") == {"success": False, "message": "用户已被封禁"}

    assert go(Client(), provider, "github")["success"]


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
@pytest.mark.django_db(transaction=True)
def test_an_edit_that_meets_the_deletion_writes_nothing_back(edit: Callable[[User], Any], alice: User) -> None:
    def run() -> Any:
        try:
            return edit(alice)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as threads:
        with transaction.atomic():
            delete_self(alice, SYSTEM)
            edited = threads.submit(run)
            wait([edited], timeout=1)  # by then it stands before the row

        assert isinstance(edited.exception(), AccountDisabled)
    row = User.objects.get(pk=alice.pk)
    assert (row.status, row.display_name, row.email) == (UserStatus.DELETED, "", "")
    assert row.username.startswith("deleted_")
