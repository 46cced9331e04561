from __future__ import annotations

import time

import pytest
from django.db import connection

from accounts.models import Token, User
from accounts.services import create_token, token_digest
from options.versions import IDENTITIES, read
from tests.api.conftest import Caller


@pytest.fixture
def token(user: Caller) -> Token:
    return create_token(user_id=user.user.pk, name="work", remain_quota=100)


def test_a_new_token_is_answered_whole(user: Caller) -> None:
    data = user.post("token/", {"name": "work", "remain_quota": 500, "model_limits": "x"})["data"]

    stored = Token.objects.get(pk=data["id"])
    assert set(data) == {
        "id", "user_id", "key", "status", "name", "created_time", "accessed_time", "expired_time", "remain_quota",
        "unlimited_quota", "used_quota", "models", "subnet",
    }  # fmt: skip
    assert (len(data["key"]), data["key"].isalnum()) == (48, True)
    assert stored.key_digest == token_digest(data["key"])
    assert (data["expired_time"], data["models"], data["subnet"], data["status"]) == (-1, "", "", 1)


def test_the_key_is_not_readable_in_the_table(user: Caller, token: Token) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT key_encrypted FROM tokens WHERE id = %s", [token.pk])
        assert token.key not in cursor.fetchone()[0]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"name": "x" * 31}, "参数错误：令牌名称过长"),
        (
            {"subnet": "10.0.0.0/8,nonsense"},
            "参数错误：无效的网段：failed to parse subnet: invalid CIDR address: nonsense",
        ),
        ({"remain_quota": -1}, "参数错误：remain_quota"),
        ({"remain_quota": 10**15 + 1}, "参数错误：remain_quota"),
        ({"expired_time": -2}, "参数错误：expired_time"),
    ],
)
def test_what_a_token_cannot_be_is_refused(user: Caller, fields, message: str) -> None:
    assert user.post("token/", fields) == {"success": False, "message": message}


def test_thirty_chinese_characters_are_a_name(user: Caller) -> None:
    assert user.post("token/", {"name": "令" * 30})["success"]


def test_a_token_of_somebody_else_is_not_there(user: Caller, alice: User) -> None:
    theirs = create_token(user_id=alice.pk, name="theirs")

    assert user.get(f"token/{theirs.pk}")["message"] == "record not found"
    assert user.put("token/", {"id": theirs.pk, "name": "mine"})["message"] == "record not found"
    assert user.put("token/?status_only=true", {"id": theirs.pk, "status": 2})["message"] == "record not found"
    assert user.delete(f"token/{theirs.pk}")["message"] == "record not found"
    assert user.get("token/")["data"] == user.get("token/search?keyword=the")["data"] == []


def test_an_edit_changes_what_is_given_and_keeps_the_rest(user: Caller, token: Token) -> None:
    before = read()[IDENTITIES]
    body = {
        "id": token.pk,
        "name": "play",
        "models": "a, b",
        "subnet": "10.0.0.1/8,fd00::/8",
        "key": "x",
        "used_quota": 9,
    }

    data = user.put("token/", body)["data"]

    assert (data["name"], data["models"], data["subnet"]) == ("play", "a,b", "10.0.0.1/8,fd00::/8")
    assert (data["key"], data["used_quota"], data["remain_quota"], data["status"]) == (token.key, 0, 100, 1)
    assert read()[IDENTITIES] > before


def test_a_null_list_is_an_empty_one(user: Caller, token: Token) -> None:
    user.put("token/", {"id": token.pk, "models": "a"})

    assert user.put("token/", {"id": token.pk, "models": None, "subnet": None})["data"]["models"] == ""


def test_status_only_changes_the_status_and_answers_it(user: Caller, token: Token) -> None:
    data = user.put("token/?status_only=true", {"id": token.pk, "status": 2, "name": "ignored"})["data"]

    assert (data["status"], data["name"]) == (2, "work")
    assert user.put("token/?status_only=true", {"id": token.pk, "status": 7})["success"] is False


def test_a_token_is_not_enabled_while_it_is_expired_or_exhausted(user: Caller, token: Token) -> None:
    enable = {"id": token.pk, "status": 1}
    Token.objects.filter(pk=token.pk).update(status=3, expired_time=int(time.time()) - 1)
    assert user.put("token/?status_only=true", enable)["message"].startswith("令牌已过期，无法启用")
    Token.objects.filter(pk=token.pk).update(status=4, expired_time=-1, remain_quota=0)
    assert user.put("token/?status_only=true", enable)["message"].startswith("令牌可用额度已用尽，无法启用")
    Token.objects.filter(pk=token.pk).update(remain_quota=1)
    assert user.put("token/?status_only=true", enable)["data"]["status"] == 1


def test_an_unlimited_token_that_gets_a_limit_starts_from_nothing(user: Caller) -> None:
    token = create_token(user_id=user.user.pk, unlimited_quota=True, remain_quota=-1)

    assert user.put("token/", {"id": token.pk, "unlimited_quota": False})["data"]["remain_quota"] == 0


def test_tokens_are_ordered_by_what_is_asked_for(user: Caller) -> None:
    for name, remain, unlimited in (("a", 5, False), ("b", 50, False), ("c", 0, True)):
        create_token(user_id=user.user.pk, name=name, remain_quota=remain, unlimited_quota=unlimited)

    assert [row["name"] for row in user.get("token/?p=0&order=")["data"]] == ["c", "b", "a"]
    assert [row["name"] for row in user.get("token/?order=remain_quota")["data"]] == ["c", "b", "a"]
    assert [row["name"] for row in user.get("token/search?keyword=B")["data"]] == ["b"]


def test_a_deleted_token_is_gone(user: Caller, token: Token) -> None:
    assert user.delete(f"token/{token.pk}/") == {"success": True, "message": ""}
    assert user.get(f"token/{token.pk}")["message"] == "record not found"
    assert user.delete("token/abc")["message"] == "id 或 userId 为空！"
