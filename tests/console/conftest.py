"""People at the console: root, adam (an admin), alice (a user). Everything goes through Django's test client."""

from __future__ import annotations

import time

import pytest
from django.test import Client

from accounts.confirming import CONFIRMED
from accounts.models import Role, User
from accounts.services import create_user
from accounts.sessions import seen
from channels_app import offers

PASSWORD = "a-password-of-the-tests"


@pytest.fixture(autouse=True)
def _nothing_remembered() -> None:
    """Each test has a database of its own, with versions that begin anew."""
    offers.forget()


@pytest.fixture
def root(db: None) -> User:
    return create_user(username="root", password=PASSWORD, role=Role.ROOT)


@pytest.fixture
def adam(db: None) -> User:
    return create_user(username="adam", password=PASSWORD, role=Role.ADMIN)


@pytest.fixture
def alice(db: None) -> User:
    return create_user(username="alice", password=PASSWORD, email="Alice@example.com")


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    session = client.session
    session[CONFIRMED] = int(time.time())  # as signing in by the page does
    session.save()
    seen(client.session.session_key or "", user.pk, address="127.0.0.1", user_agent="")  # as its first request would
    return client


@pytest.fixture
def at_root(root: User) -> Client:
    return signed_in(root)
