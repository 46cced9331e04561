"""Callers of /api by level, each with a management token, and counters that start at nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
import pytest
from django.test import Client

from accounts.models import Role, User, UserStatus
from accounts.services import access_token_digest, create_user
from api import windows


class Caller:
    """Calls /api as one user with an access token, or as nobody; answers are parsed JSON."""

    def __init__(self, user: User | None) -> None:
        self.user: Any = user
        self.client = Client()
        self.headers = {"Authorization": f"token of {user.username}"} if user else {}

    def send(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        return self.client.generic(
            method,
            f"/api/{path}",
            b"" if body is None else _dump(body),
            content_type="application/json",
            headers={**self.headers, **headers},
        )

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        return self.send(method, path, body).json()

    def get(self, path: str) -> Any:
        return self.ask("GET", path)

    def post(self, path: str, body: Any) -> Any:
        return self.ask("POST", path, body)

    def put(self, path: str, body: Any) -> Any:
        return self.ask("PUT", path, body)

    def delete(self, path: str) -> Any:
        return self.ask("DELETE", path)


def _dump(body: Any) -> bytes:
    return body if isinstance(body, bytes) else orjson.dumps(body)


@pytest.fixture(autouse=True)
def _fresh_counters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(windows, "_coarse", windows.MemoryWindows())


def caller(username: str, role: int = Role.COMMON, status: int = UserStatus.ENABLED) -> Caller:
    user = create_user(username=username, password=f"{username}'s password", role=role)
    User.objects.filter(pk=user.pk).update(
        status=status, access_token_digest=access_token_digest(f"token of {username}")
    )
    user.refresh_from_db()
    return Caller(user)


@pytest.fixture
def anonymous(db: None) -> Caller:
    return Caller(None)


@pytest.fixture
def user(db: None) -> Caller:
    return caller("carol")


@pytest.fixture
def admin(db: None) -> Caller:
    return caller("adam", Role.ADMIN)


@pytest.fixture
def root(db: None) -> Caller:
    return caller("ruth", Role.ROOT)


@pytest.fixture
def disabled(db: None) -> Caller:
    return caller("dora", Role.ROOT, UserStatus.DISABLED)


@pytest.fixture
def browser(db: None) -> Callable[..., Client]:
    """`browser(user)` signs in with the password and keeps the cookie."""

    def sign_in(user: User, password: str | None = None) -> Client:
        client = Client()
        answer = client.post(
            "/api/user/login",
            {"username": user.username, "password": password or f"{user.username}'s password"},
            content_type="application/json",
        )
        assert answer.json()["success"], answer.json()
        return client

    return sign_in
