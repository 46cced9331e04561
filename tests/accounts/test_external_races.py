"""Two at once: one state, one identity, one account, one gift. Real threads with connections of their own."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.test import Client

from accounts.external import linking, methods
from accounts.external.identity import Identity
from accounts.models import Token, User
from accounts.refusals import IdentityTaken
from accounts.services import create_user
from audit.services import SYSTEM
from billing.models import LedgerEntry
from options.services import set_option
from tests.accounts.conftest import PEOPLE, state_of
from tests.accounts.providers import Provider
from tests.config.test_locks import apart

pytestmark = pytest.mark.django_db(transaction=True)

GITHUB = methods.METHODS["github"]
MONA = Identity(subject="583231")


def test_of_many_who_bring_one_state_one_gets_past(provider: Provider) -> None:
    client = Client()
    state = state_of(client)
    together = threading.Barrier(4)

    def come() -> int:
        browser = Client()
        browser.cookies["session"] = client.cookies["session"].value
        code = provider.code("github", PEOPLE["github"][0])
        together.wait()
        return browser.get("/api/oauth/github", {"code": code, "state": state}).status_code

    assert sorted(one.result() for one in apart(come, 4)) == [200, 403, 403, 403]
    assert provider.paths().count("/user") == 1


def test_of_many_first_sign_ins_at_once_one_makes_the_account_and_all_get_it(
    db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of them have looked and found nobody before the first writes."""
    set_option(SYSTEM, "QuotaForNewUser", "700")
    together = threading.Barrier(4)
    make = linking._new_account

    def at_once(*given: Any) -> User:
        together.wait()
        return make(*given)

    monkeypatch.setattr(linking, "_new_account", at_once)

    users = [one.result().pk for one in apart(lambda: linking.sign_in(GITHUB, MONA, SYSTEM), 4)]

    assert users == [User.objects.get().pk] * 4
    assert (User.objects.get().quota, LedgerEntry.objects.count(), Token.objects.count()) == (700, 1, 1)


def test_different_people_at_once_all_get_names_of_their_own(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of them saw the same highest id (D10)."""
    together = threading.Barrier(4)
    names = linking._names

    def at_once(*given: Any) -> Any:
        found = names(*given)
        first = next(found)
        together.wait()
        return iter([first, *found])

    monkeypatch.setattr(linking, "_names", at_once)
    numbers = iter("1234")
    lock = threading.Lock()

    def come() -> str:
        with lock:
            identity = Identity(subject=next(numbers))
        return linking.sign_in(GITHUB, identity, SYSTEM).username

    assert len({one.result() for one in apart(come, 4)}) == 4
    assert User.objects.filter(github_id__in="1234").count() == 4


def test_of_two_who_bind_one_identity_at_once_one_is_told_that_it_is_taken(
    db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = iter([create_user(username=name, password=None).pk for name in ("ann", "ben", "cat", "dan")])
    lock = threading.Lock()
    # Nobody's when each of them looked: what decides is the constraint.
    monkeypatch.setattr(linking, "owner", lambda *given: None)

    def bind() -> None:
        with lock:
            user_id = next(people)
        linking.bind(user_id, GITHUB, MONA, SYSTEM)

    refusals = [one.exception() for one in apart(bind, 4)]

    assert sum(refusal is None for refusal in refusals) == 1
    assert {str(refusal) for refusal in refusals if refusal} == {"该 GitHub 账户已被绑定"}
    assert all(refusal is None or isinstance(refusal, IdentityTaken) for refusal in refusals)
    assert User.objects.filter(github_id="583231").count() == 1
