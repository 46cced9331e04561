"""An installation where every provider is set up, all of them at one server on loopback."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.test import Client

from accounts.external import issuer
from accounts.models import User
from api import windows
from audit.services import SYSTEM
from options.services import set_option
from tests.accounts.providers import Provider, providing

OPTIONS = {
    "ServerAddress": "https://gateway.example",
    "GitHubClientId": "the client", "GitHubClientSecret": "the secret", "GitHubOAuthEnabled": "true",
    "LarkClientId": "the client", "LarkClientSecret": "the secret",
    "OidcClientId": "the client", "OidcClientSecret": "the secret", "OidcEnabled": "true",
    "WeChatServerToken": "the wechat token",
}  # fmt: skip
PEOPLE: dict[str, tuple[dict[str, Any], str, str]] = {  # provider → a person there, the column, the subject
    "github": ({"id": 583231, "login": "octocat", "name": "Mona"}, "github_id", "583231"),
    "lark": ({"open_id": "ou_1", "name": "Mona"}, "lark_id", "ou_1"),
    "oidc": ({"sub": "s-1", "name": "Mona", "preferred_username": "mona"}, "oidc_id", "s-1"),
    "wechat": ({"id": "wx-1"}, "wechat_id", "wx-1"),
}


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(windows, "_coarse", windows.MemoryWindows())
    monkeypatch.setattr(issuer, "_documents", {})


@pytest.fixture
def provider(db: None, settings: Any) -> Iterator[Provider]:
    with providing() as serving:
        set_up(serving, settings)
        yield serving


def set_up(serving: Provider, settings: Any) -> None:
    settings.GITHUB_URL = settings.GITHUB_API_URL = settings.LARK_URL = settings.LARK_PASSPORT_URL = serving.url
    addresses = {
        "OidcTokenEndpoint": f"{serving.url}/oidc/token",
        "OidcUserinfoEndpoint": f"{serving.url}/oidc/userinfo",
        "WeChatServerAddress": f"{serving.url}/",
        "WeChatAuthEnabled": "true",
    }
    for key, value in {**OPTIONS, **addresses}.items():
        set_option(SYSTEM, key, value)


def state_of(client: Client, provider: str = "") -> str:
    answer = client.get("/api/oauth/state", {"provider": provider} if provider else {})
    return str(answer.json()["data"])


def come_back(client: Client, name: str, code: str, state: str | None = None) -> Any:
    """What the landing page asks with what the provider sent the browser back with."""
    query = {"code": code} if name == "wechat" else {"code": code, "state": state or state_of(client)}
    return client.get(f"/api/oauth/{name}", query)


def go(client: Client, provider: Provider, which: str, /, **person: Any) -> Any:
    """The whole journey of a person at a provider; parsed answer."""
    code = provider.code(which, {**PEOPLE[which][0], **person})
    return come_back(client, which, code).json()


@pytest.fixture
def signed_in() -> Callable[[User], Client]:
    def sign_in(user: User) -> Client:
        client = Client()
        body = {"username": user.username, "password": f"{user.username}'s password"}
        assert client.post("/api/user/login", body, content_type="application/json").json()["success"]
        return client

    return sign_in
