from __future__ import annotations

import time

import pytest
from django.test import Client

from accounts.models import Token, User
from accounts.services import create_user
from billing.models import LedgerEntry, Log, LogType
from tests.api.conftest import Caller

DAY = 86_400


def register(**body):
    return Client().post("/api/user/register", body, content_type="application/json").json()


def test_self_withholds_credentials_and_has_no_null(user: Caller) -> None:
    data = user.get("user/self")["data"]

    assert set(data) == {
        "id", "username", "password", "display_name", "role", "status", "email", "github_id", "wechat_id", "lark_id",
        "oidc_id", "verification_code", "access_token", "quota", "used_quota", "request_count", "group", "aff_code",
        "inviter_id",
    }  # fmt: skip
    assert None not in data.values()
    assert (data["password"], data["access_token"]) == ("", "")


def test_a_registered_account_starts_with_a_token_named_default(db: None) -> None:
    assert register(username="dave", password="a good password", password2="x", aff_code=None)["success"]

    token = Token.objects.get(user__username="dave")
    assert (token.name, token.unlimited_quota, token.remain_quota, token.expired_time) == ("default", True, -1, -1)
    assert (len(token.key), token.key.isalnum(), token.model_names) == (48, True, "")


def test_gifts_are_in_the_ledger_and_in_the_log(alice: User, root: Caller) -> None:
    for key, value in (("QuotaForNewUser", "500"), ("QuotaForInvitee", "70"), ("QuotaForInviter", "30")):
        root.put("option", {"key": key, "value": value})

    register(username="dave", password="a good password", aff_code=alice.aff_code)

    dave = User.objects.get(username="dave")
    assert (dave.quota, dave.inviter_id) == (570, alice.pk)
    assert User.objects.get(pk=alice.pk).quota == 1_030
    entries = LedgerEntry.objects.filter(user_id=dave.pk).order_by("id").values_list("kind", "amount")
    assert list(entries) == [("gift", 500), ("invitation", 70)]
    assert list(Log.objects.filter(type=LogType.SYSTEM).order_by("id").values_list("user_id", "content")) == [
        (dave.pk, "新用户注册赠送 ＄0.001000 额度"),
        (dave.pk, "使用邀请码赠送 ＄0.000140 额度"),
        (alice.pk, "邀请用户赠送 ＄0.000060 额度"),
    ]


def test_a_name_is_taken_whatever_its_case_or_width(alice: User) -> None:
    for name in ("alice", "ALICE", "ａｌｉｃｅ"):
        answer = register(username=name, password="a good password")
        assert answer["success"] is False
        assert "UNIQUE" not in answer["message"]
    assert User.objects.count() == 1


def test_names_that_deceive_are_refused(db: None) -> None:
    for name in ("", " bob", "b\x07b", "b\u200bb", "\u0430dmin", "x" * 65):
        assert register(username=name, password="a good password") == {
            "success": False,
            "message": "Invalid input, please check your input",
        }
    assert User.objects.count() == 0


def test_a_password_has_at_least_eight_characters(db: None) -> None:
    assert register(username="dave", password="7 chars")["success"] is False


def test_registration_can_be_switched_off(root: Caller) -> None:
    root.put("option", {"key": "PasswordRegisterEnabled", "value": "false"})
    assert register(username="dave", password="a good password")["message"].startswith("管理员关闭了通过密码进行注册")
    root.put("option", {"key": "RegisterEnabled", "value": "false"})
    assert register(username="dave", password="a good password")["message"] == "管理员关闭了新用户注册"


def test_with_email_verification_no_code_is_right_yet(root: Caller) -> None:
    root.put("option", {"key": "EmailVerificationEnabled", "value": "true"})

    assert "邮箱验证" in register(username="dave", password="a good password")["message"]
    with_code = register(username="dave", password="a good password", email="d@example.com", verification_code="123456")
    assert with_code["message"] == "验证码错误或已过期"


def test_role_quota_and_group_sent_to_self_are_ignored(user: Caller) -> None:
    record = {**user.get("user/self")["data"], "role": 100, "quota": 10**9, "group": "svip", "display_name": "Carol"}

    assert user.put("user/self", record)["success"]

    data = user.get("user/self")["data"]
    assert (data["display_name"], data["role"], data["quota"], data["group"]) == ("Carol", 1, 0, "default")


def test_the_old_password_is_checked_where_it_is_given(user: Caller) -> None:
    body = {"password": "another password", "original_password": "not this"}
    assert user.put("user/self", body)["success"] is False
    assert user.put("user/self", {**body, "original_password": "carol's password"})["success"]
    user.user.refresh_from_db()
    assert user.user.check_password("another password")


def test_a_new_access_token_replaces_the_old_and_is_shown_once(user: Caller) -> None:
    token = user.get("user/token")["data"]

    assert len(token) == 32
    assert user.get("user/self")["message"] == "无权进行此操作，access token 无效"
    user.headers = {"Authorization": token}
    assert user.get("user/self")["data"]["access_token"] == ""
    assert not User.objects.filter(access_token_digest=token).exists()


def test_roots_invitation_code_is_drawn_when_first_asked_for(root: Caller) -> None:
    assert root.user.aff_code is None

    code = root.get("user/aff")["data"]

    assert (len(code), code) == (10, root.get("user/aff")["data"])


def test_deleting_oneself_leaves_nothing_personal(user: Caller) -> None:
    User.objects.filter(pk=user.user.pk).update(email="c@example.com", email_key="c@example.com", github_id="carol")
    Token.objects.create(user=user.user, key="k", key_digest="d")

    assert user.delete("user/self") == {"success": True, "message": ""}

    buried = User.objects.get(pk=user.user.pk)
    assert buried.username.startswith("deleted_")
    assert (buried.status, buried.email, buried.email_key, buried.github_id, buried.aff_code) == (
        3,
        "",
        None,
        None,
        None,
    )
    assert not buried.tokens.exists()
    assert create_user(username="carol", password="a good password", email="c@example.com").pk


def test_root_cannot_delete_itself(root: Caller) -> None:
    assert root.delete("user/self")["message"] == "不能删除超级管理员账户"


def test_the_dashboard_adds_up_seven_utc_days_by_model(
    user: Caller, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now)  # or midnight might come in between
    today = int(now) // DAY * DAY
    rows = [
        (user.user.pk, today, "gpt", 10),
        (user.user.pk, today + DAY - 1, "gpt", 20),
        (user.user.pk, today - 1, "gpt", 5),
        (user.user.pk, today - 6 * DAY, "o1", 7),
        (user.user.pk, today - 6 * DAY - 1, "gpt", 1000),  # the seventh day before
        (user.user.pk, today + DAY, "gpt", 1000),  # a clock that is ahead
        (alice.pk, today, "gpt", 1000),
    ]
    for user_id, created_at, model, quota in rows:
        Log.objects.create(
            user_id=user_id,
            created_at=created_at,
            type=2,
            model_name=model,
            quota=quota,
            prompt_tokens=1,
            completion_tokens=2,
        )

    data = user.get("user/dashboard")["data"]

    def day(moment: int) -> str:
        return time.strftime("%Y-%m-%d", time.gmtime(moment))

    assert [(row["Day"], row["ModelName"], row["RequestCount"], row["Quota"]) for row in data] == [
        (day(today - 6 * DAY), "o1", 1, 7),
        (day(today - 1), "gpt", 1, 5),
        (day(today), "gpt", 2, 30),
    ]
    assert (data[2]["PromptTokens"], data[2]["CompletionTokens"]) == (2, 4)


def test_available_models_are_those_of_the_group(user: Caller, admin: Caller) -> None:
    admin.post("channel", {"type": 1, "key": "sk-a", "name": "a", "models": "b-model,a-model", "group": "default"})
    admin.post("channel", {"type": 1, "key": "sk-b", "name": "b", "models": "vip-model", "group": "vip"})

    assert user.get("user/available_models")["data"] == ["a-model", "b-model"]
