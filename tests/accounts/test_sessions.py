"""Sessions are listed and ended one by one, or all at once without reading those of others."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.test import Client

from accounts import sessions
from accounts.housekeeping import clear_sessions
from accounts.models import User, UserSession
from accounts.services import manage, update_user
from audit.services import SYSTEM

SignIn = Callable[[User], Client]


def works(client: Client) -> bool:
    return client.get("/api/user/self").status_code == 200


def later(monkeypatch: pytest.MonkeyPatch, seconds: int) -> None:
    """Time goes on, and the worker is another one, which has seen nothing yet."""
    started = time.time()
    monkeypatch.setattr("accounts.sessions.time.time", lambda: started + seconds)
    monkeypatch.setattr(sessions, "_noted", {})


def test_a_sign_in_is_noted_with_where_it_came_from(alice: User) -> None:
    client = Client(headers={"User-Agent": "Mozilla/5.0 (X11; Linux x86_64)"}, REMOTE_ADDR="192.0.2.7")
    body = {"username": "alice", "password": "alice's password"}
    client.post("/api/user/login", body, content_type="application/json")

    (noted,) = sessions.live(alice.pk)

    assert (noted.session_key, noted.address) == (client.cookies["session"].value, "192.0.2.7")
    assert (noted.user_agent, noted.method) == ("Mozilla/5.0 (X11; Linux x86_64)", "password")
    alice.refresh_from_db()
    assert alice.last_active == noted.created_at == noted.seen_at


def test_one_session_is_ended_and_the_others_stay(alice: User, bob: User, signed_in: SignIn) -> None:
    here, elsewhere, bobs = signed_in(alice), signed_in(alice), signed_in(bob)
    other = sessions.live(alice.pk).exclude(session_key=here.cookies["session"].value).get()

    assert sessions.end_session(alice.pk, other.pk) is True

    assert (works(here), works(elsewhere), works(bobs)) == (True, False, True)
    assert sessions.end_session(alice.pk, other.pk) is False


def test_the_session_of_somebody_else_cannot_be_ended(alice: User, bob: User, signed_in: SignIn) -> None:
    bobs = signed_in(bob)

    assert sessions.end_session(alice.pk, sessions.live(bob.pk).get().pk) is False

    assert works(bobs)


def test_all_others_are_ended_by_three_queries_however_many_people_are_signed_in(
    alice: User, bob: User, signed_in: SignIn, django_assert_num_queries: Any
) -> None:
    here, elsewhere, bobs = signed_in(alice), signed_in(alice), [signed_in(bob) for _ in range(5)]

    with django_assert_num_queries(2 + 2):  # both tables, and the savepoint around them
        assert sessions.end_sessions(alice.pk, keep=here.cookies["session"].value) == 1

    assert (works(here), works(elsewhere), all(works(client) for client in bobs)) == (True, False, True)


def test_a_session_from_before_the_table_is_listed_once_seen_and_ends_with_the_role(
    alice: User, signed_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = signed_in(alice)
    UserSession.objects.all().delete()
    monkeypatch.setattr(sessions, "_noted", {})

    assert works(old)

    assert sessions.live(alice.pk).get().method == ""
    root = User.objects.create(username="ruth", role=100)
    manage(root, SYSTEM, "alice", "promote")
    assert not works(old)


def test_use_is_noted_at_most_every_five_minutes(
    alice: User, signed_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = signed_in(alice)
    first = sessions.live(alice.pk).get().seen_at

    later(monkeypatch, 299)
    client.get("/api/user/self")
    assert sessions.live(alice.pk).get().seen_at == first

    later(monkeypatch, 2)
    client.get("/api/user/self")
    assert sessions.live(alice.pk).get().seen_at >= first + 301
    alice.refresh_from_db()
    assert alice.last_active >= first + 301


def test_between_two_notes_a_request_costs_no_query_more(
    alice: User, signed_in: SignIn, django_assert_num_queries: Any
) -> None:
    client = signed_in(alice)
    works(client)

    with django_assert_num_queries(2):  # the session, the user
        works(client)


def test_a_changed_password_moves_this_session_and_ends_the_others(alice: User, signed_in: SignIn) -> None:
    here, elsewhere = signed_in(alice), signed_in(alice)

    here.put("/api/user/self", {"password": "another password"}, content_type="application/json")

    (left,) = sessions.live(alice.pk)
    assert left.session_key == here.cookies["session"].value
    assert (works(here), works(elsewhere)) == (True, False)


def test_disabling_and_enabling_leaves_no_session(alice: User, signed_in: SignIn) -> None:
    client = signed_in(alice)
    root = User.objects.create(username="ruth", role=100)

    update_user(root, SYSTEM, alice.pk, {"status": 2})
    update_user(root, SYSTEM, alice.pk, {"status": 1})

    assert not works(client)
    assert not sessions.live(alice.pk).exists()


def test_signing_out_forgets_the_session(alice: User, signed_in: SignIn) -> None:
    client = signed_in(alice)

    client.get("/api/user/logout")

    assert not UserSession.objects.exists()


def test_what_is_noted_of_expired_sessions_is_cleared_away(alice: User, signed_in: SignIn) -> None:
    signed_in(alice)
    Session.objects.update(expire_date="2020-01-01T00:00:00Z")

    assert not sessions.live(alice.pk).exists()
    clear_sessions()
    assert sessions.clear_ended() == 1
