"""Who may call what: every protected route with every kind of caller (management contract, 1.5 and 1.6)."""

from __future__ import annotations

import pytest
from django.urls import get_resolver

from api.views import ApiView
from jobs import running
from tests.api.conftest import Caller

USER, ADMIN, ROOT = 1, 10, 100

# Calls that change nothing when they are let through: an id that does not exist, a body that is not accepted.
ROUTES = [
    ("GET", "models", USER),
    ("GET", "group", ADMIN),
    ("GET", "user/self", USER),
    ("PUT", "user/self", USER),
    ("GET", "user/dashboard", USER),
    ("GET", "user/token", USER),
    ("GET", "user/aff", USER),
    ("POST", "user/topup", USER),
    ("GET", "user/available_models", USER),
    ("GET", "user", ADMIN),
    ("POST", "user", ADMIN),
    ("PUT", "user", ADMIN),
    ("GET", "user/search", ADMIN),
    ("POST", "user/manage", ADMIN),
    ("GET", "user/999", ADMIN),
    ("DELETE", "user/999", ADMIN),
    ("POST", "topup", ADMIN),
    ("GET", "option", ROOT),
    ("PUT", "option", ROOT),
    ("GET", "channel", ADMIN),
    ("POST", "channel", ADMIN),
    ("PUT", "channel", ADMIN),
    ("GET", "channel/search", ADMIN),
    ("GET", "channel/models", ADMIN),
    ("GET", "channel/999", ADMIN),
    ("DELETE", "channel/999", ADMIN),
    ("DELETE", "channel/disabled", ADMIN),
    ("GET", "channel/test", ADMIN),
    ("GET", "channel/test/progress", ADMIN),
    ("GET", "channel/test/999", ADMIN),
    ("GET", "channel/update_balance", ADMIN),
    ("GET", "channel/update_balance/999", ADMIN),
    ("GET", "channel/fetch_models/999", ADMIN),
    ("POST", "channel/fetch_models", ADMIN),
    ("GET", "token", USER),
    ("POST", "token", USER),
    ("PUT", "token", USER),
    ("GET", "token/search", USER),
    ("GET", "token/999", USER),
    ("DELETE", "token/999", USER),
    ("GET", "redemption", ADMIN),
    ("POST", "redemption", ADMIN),
    ("PUT", "redemption", ADMIN),
    ("GET", "redemption/search", ADMIN),
    ("GET", "redemption/999", ADMIN),
    ("DELETE", "redemption/999", ADMIN),
    ("GET", "log", ADMIN),
    ("GET", "log/stat", ADMIN),
    ("GET", "log/search", ADMIN),
    ("DELETE", "log", ADMIN),
    ("GET", "log/self", USER),
    ("GET", "log/self/stat", USER),
    ("GET", "log/self/search", USER),
    ("GET", "oauth/email/bind", USER),
    ("GET", "oauth/wechat/bind", USER),
    ("DELETE", "user/self", USER),
]


@pytest.fixture(autouse=True)
def runs_are_somebody_elses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether a run may be started is asked here, not what it does: a thread of its own would outlive the test."""
    monkeypatch.setattr(running, "start", lambda *args: None)


@pytest.mark.parametrize(("method", "path", "level"), ROUTES, ids=[f"{method} {path}" for method, path, _ in ROUTES])
def test_a_route_lets_in_its_level_and_nobody_below(
    method: str,
    path: str,
    level: int,
    anonymous: Caller,
    disabled: Caller,
    user: Caller,
    admin: Caller,
    root: Caller,
) -> None:
    refused = anonymous.send(method, path)
    assert refused.status_code == 401
    assert refused.json() == {"success": False, "message": "无权进行此操作，未登录且未提供 access token"}
    assert disabled.send(method, path).json() == {"success": False, "message": "用户已被封禁"}
    for caller, role in ((user, USER), (admin, ADMIN), (root, ROOT)):
        answer = caller.send(method, path)
        if role < level:
            assert (answer.status_code, answer.json()["message"]) == (200, "无权进行此操作，权限不足")
        else:
            assert b"\xe6\x97\xa0\xe6\x9d\x83\xe8\xbf\x9b\xe8\xa1\x8c" not in answer.content  # 无权进行


def test_the_table_above_names_every_protected_route() -> None:
    named = {(method, path.replace("999", "<id>")) for method, path, _level in ROUTES}
    assert set(_protected_routes()) == named


def _protected_routes():
    for prefix, pattern in _patterns(get_resolver().url_patterns, ""):
        view = getattr(pattern.callback, "view_class", None)
        if view is None or not issubclass(view, ApiView) or view.level is None or prefix.endswith("/"):
            continue
        path = prefix.removeprefix("api/")
        path = "/".join("<id>" if part.startswith("<") else part for part in path.split("/"))
        for method in ("get", "post", "put", "delete"):
            if hasattr(view, method) and method in view.http_method_names:
                yield method.upper(), path


def _patterns(patterns, prefix):
    for pattern in patterns:
        here = prefix + str(pattern.pattern)
        if hasattr(pattern, "url_patterns"):
            yield from _patterns(pattern.url_patterns, here)
        else:
            yield here, pattern


def test_a_wrong_access_token_is_told_with_status_200(user: Caller) -> None:
    user.headers = {"Authorization": "nonsense"}

    answer = user.send("GET", "user/self")

    assert (answer.status_code, answer.json()["message"]) == (200, "无权进行此操作，access token 无效")


def test_an_access_token_may_come_with_or_without_bearer(user: Caller) -> None:
    assert user.get("user/self")["data"]["username"] == "carol"
    user.headers = {"Authorization": "Bearer token of carol"}
    assert user.get("user/self")["data"]["username"] == "carol"


def test_a_deleted_account_is_refused_like_a_disabled_one(user: Caller, admin: Caller) -> None:
    admin.client.raise_request_exception = True
    assert admin.delete(f"user/{user.user.pk}") == {"success": True, "message": ""}
    assert user.get("user/self")["message"] == "无权进行此操作，access token 无效"
