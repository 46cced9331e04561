from __future__ import annotations

from typing import Any

import pytest

from accounts.models import Role, User
from audit.models import AuditEntry
from billing.models import LedgerEntry, Log
from tests.api.conftest import Caller, caller

SAME_LEVEL = "无权更新同权限等级或更高权限等级的用户信息"


def test_lists_show_nobodys_access_token(root: Caller, admin: Caller) -> None:
    rows = admin.get("user/?p=0")["data"] + admin.get("user/search?keyword=ruth")["data"]

    assert {row["username"] for row in rows} == {"ruth", "adam"}
    assert {row["access_token"] for row in rows} == {""}


def test_a_page_has_ten_rows_newest_first_and_the_total_in_a_header(admin: Caller) -> None:
    for number in range(11):
        caller(f"user{number}")

    first, second = admin.send("GET", "user/?p=0&page_size=5&size=50"), admin.send("GET", "user/?p=1")

    assert [row["username"] for row in first.json()["data"]] == [f"user{number}" for number in range(10, 0, -1)]
    assert [row["username"] for row in second.json()["data"]] == ["user0", "adam"]
    assert first.headers["X-Total-Count"] == "12"
    assert len(admin.get("user/?per_page=50")["data"]) == 12
    assert admin.get("user/?p=-3")["data"] == first.json()["data"]
    assert admin.get("user/?p=99")["data"] == []


def test_users_are_ordered_by_what_is_asked_for(admin: Caller) -> None:
    for name, quota in (("poor", 1), ("rich", 9)):
        User.objects.filter(pk=caller(name).user.pk).update(quota=quota)

    assert [row["username"] for row in admin.get("user/?order=quota")["data"]] == ["rich", "poor", "adam"]
    assert [row["username"] for row in admin.get("user/?order=password")["data"]] == ["rich", "poor", "adam"]


def test_search_takes_ids_and_beginnings_and_no_wildcards(admin: Caller, user: Caller) -> None:
    def names(keyword: str) -> list[str]:
        return [row["username"] for row in admin.get(f"user/search?keyword={keyword}")["data"]]

    assert names("CAR") == ["carol"]
    assert names(str(user.user.pk)) == ["carol"]
    assert names("%25") == names("_arol") == names("%00%00zz") == []


def test_an_administrator_creates_common_users_with_the_usual_gifts(admin: Caller, root: Caller) -> None:
    root.put("option", {"key": "QuotaForNewUser", "value": "5"})
    body = {"username": "dave", "password": "a good password", "quota": 99, "group": "svip", "email": "x"}

    assert admin.post("user/", body) == {"success": True, "message": ""}

    dave = User.objects.get(username="dave")
    assert (dave.role, dave.quota, dave.group, dave.email, dave.display_name) == (1, 5, "default", "", "dave")
    assert admin.post("user/", {**body, "username": "eve", "role": 10})["message"] == "无法创建权限大于等于自己的用户"
    assert admin.post("user/", {"username": "eve"})["message"] == "invalid parameter"


def test_an_edit_applies_what_is_given_and_ignores_what_is_not_its_own(admin: Caller, user: Caller) -> None:
    record = admin.get(f"user/{user.user.pk}")["data"]
    sent = {**record, "display_name": "", "group": "vip", "used_quota": 7, "access_token": "x" * 32, "aff_code": "zzzz"}

    assert admin.put("user/", {**sent, "is_edit": True, "github_id": None}) == {"success": True, "message": ""}

    after = User.objects.get(pk=user.user.pk)
    assert (after.display_name, after.group, after.used_quota) == ("", "vip", 0)
    assert (after.aff_code, after.access_token_digest) == (user.user.aff_code, user.user.access_token_digest)
    assert after.check_password("carol's password")


def test_a_quota_can_be_set_also_to_zero_and_is_logged_and_audited(admin: Caller, alice: User) -> None:
    assert admin.put("user/", {"id": alice.pk, "quota": 0})["success"]

    assert User.objects.get(pk=alice.pk).quota == 0
    assert LedgerEntry.objects.get(user_id=alice.pk, kind="admin").amount == -1_000
    log = Log.objects.get(user_id=alice.pk)
    assert (log.type, log.content) == (3, "管理员将用户额度从 ＄0.002000 额度修改为 ＄0.000000 额度")
    audit = AuditEntry.objects.get(action="user.quota")
    assert (audit.actor_name, audit.detail) == ("adam", {"old": 1000, "new": 0})


@pytest.mark.parametrize("quota", [-1, 10**15 + 1, 2**63])
def test_a_quota_out_of_range_is_refused(admin: Caller, alice: User, quota: int) -> None:
    assert admin.put("user/", {"id": alice.pk, "quota": quota})["success"] is False
    assert User.objects.get(pk=alice.pk).quota == 1_000


def test_a_refused_edit_changes_nothing_of_it(admin: Caller, alice: User) -> None:
    assert admin.put("user/", {"id": alice.pk, "group": "vip", "quota": -1})["success"] is False
    assert User.objects.get(pk=alice.pk).group == "default"


@pytest.mark.parametrize("email", ["a@" + ("ß" * 60 + ".") * 4 + "de", "a@b＠example.com", "a@ex¨ample.com"])
def test_an_address_that_is_none_as_it_would_be_stored_is_refused(admin: Caller, alice: User, email: str) -> None:
    """The first is too long in its folded form, and the others are addresses only until they are normalised."""
    assert admin.put("user/", {"id": alice.pk, "email": email})["success"] is False
    assert User.objects.get(pk=alice.pk).email == ""


def test_a_taken_name_address_or_identity_is_told_in_words(admin: Caller, alice: User, bob: User) -> None:
    admin.put("user/", {"id": bob.pk, "email": "B@example.com", "github_id": "42"})

    for field, value in (("username", "BOB"), ("email", "b@EXAMPLE.com"), ("github_id", "42")):
        answer = admin.put("user/", {"id": alice.pk, field: value})
        assert answer["success"] is False
        assert "UNIQUE" not in answer["message"].upper()


def test_the_table_of_levels_holds(admin: Caller, root: Caller, user: Caller) -> None:
    other, boss = caller("amy", Role.ADMIN), caller("rose", Role.ROOT)

    assert admin.get(f"user/{other.user.pk}")["message"] == "无权获取同级或更高等级用户的信息"
    assert root.get(f"user/{boss.user.pk}")["success"]
    assert admin.put("user/", {"id": other.user.pk, "group": "vip"})["message"] == SAME_LEVEL
    raised = admin.put("user/", {"id": user.user.pk, "role": 10})
    assert raised["message"] == "无权将其他用户权限等级提升到大于等于自己的权限等级"
    for by, target in ((admin, other), (admin, root), (root, boss), (admin, admin)):
        refused = by.delete(f"user/{target.user.pk}")
        assert refused["message"] == "无权删除同权限等级或更高权限等级的用户"
    assert root.put("user/", {"id": user.user.pk, "role": 100})["success"]


def test_the_last_root_stays_root(root: Caller) -> None:
    assert root.put("user/", {"id": root.user.pk, "role": 1})["message"] == "无法降级超级管理员用户"
    assert root.put("user/", {"id": root.user.pk, "status": 2})["message"] == "无法禁用超级管理员用户"
    caller("rose", Role.ROOT)
    assert root.put("user/", {"id": root.user.pk, "role": 1})["success"]


def test_a_name_from_before_todays_rules_does_not_stop_an_edit(admin: Caller, user: Caller) -> None:
    User.objects.filter(pk=user.user.pk).update(username="c\u0430rol ", username_key="c\u0430rol")
    record = admin.get(f"user/{user.user.pk}")["data"]

    assert admin.put("user/", {**record, "group": "vip"})["success"]


MANAGE = [
    ("adam", "carol", "enable", "", (1, 1)),
    ("adam", "carol", "disable", "", (1, 2)),
    ("adam", "carol", "delete", "", (1, 3)),
    ("adam", "carol", "promote", "普通管理员用户无法提升其他用户为管理员", None),
    ("adam", "carol", "demote", "该用户已经是普通用户", None),
    ("adam", "amy", "disable", SAME_LEVEL, None),
    ("adam", "ruth", "enable", SAME_LEVEL, None),
    ("ruth", "carol", "promote", "", (10, 1)),
    ("ruth", "amy", "promote", "该用户已经是管理员", None),
    ("ruth", "amy", "demote", "", (1, 1)),
    ("ruth", "ruth", "enable", "", (100, 1)),
    ("ruth", "ruth", "disable", "无法禁用超级管理员用户", None),
    ("ruth", "ruth", "delete", "无法删除超级管理员用户", None),
    ("ruth", "ruth", "promote", "该用户已经是管理员", None),
    ("ruth", "ruth", "demote", "无法降级超级管理员用户", None),
    ("ruth", "carol", "explode", "无效的参数", None),
    ("ruth", "", "disable", "用户不存在", None),
    ("ruth", "nobody", "disable", "用户不存在", None),
]


@pytest.mark.parametrize(("by", "target", "action", "message", "role_and_status"), MANAGE)
def test_managing(by, target, action, message, role_and_status, user: Caller, admin: Caller, root: Caller) -> None:
    caller("amy", Role.ADMIN)

    answer = {"adam": admin, "ruth": root}[by].post("user/manage", {"username": target, "action": action})

    assert (answer["success"], answer["message"]) == (not message, message)
    if role_and_status:
        assert (answer["data"]["role"], answer["data"]["status"]) == role_and_status
        assert (answer["data"]["id"], answer["data"]["username"]) == (0, "")


def test_deleting_a_user_answers_like_everything_else(admin: Caller, user: Caller) -> None:
    assert admin.delete(f"user/{user.user.pk}/") == {"success": True, "message": ""}
    assert admin.delete(f"user/{user.user.pk}") == {"success": False, "message": "record not found"}
    assert AuditEntry.objects.filter(action="user.delete", actor_id=admin.user.pk).count() == 1


def test_odd_ids_are_told_as_the_reference_tells_them(admin: Caller) -> None:
    assert admin.get("user/abc")["message"] == 'strconv.Atoi: parsing "abc": invalid syntax'
    assert admin.get("user/0")["message"] == "id 为空！"
    assert admin.get("user/999")["message"] == "record not found"
    assert admin.get(f"user/{2**70}")["success"] is False


def test_a_top_up_adds_and_logs(admin: Caller, alice: User) -> None:
    body = {"user_id": alice.pk, "quota": 500, "remark": "order 17"}
    answer = admin.send("POST", "topup", body)
    assert answer.json() == {"success": True, "message": ""}
    assert Log.objects.get().request_id == answer.headers["X-Oneapi-Request-Id"]
    assert admin.post("topup", {**body, "remark": ""}) == {"success": True, "message": ""}

    assert User.objects.get(pk=alice.pk).quota == 2_000
    logs = Log.objects.filter(user_id=alice.pk).order_by("id").values_list("type", "quota", "content")
    assert list(logs) == [(1, 500, "order 17"), (1, 500, "通过 API 充值 ＄0.001000 额度")]


def test_a_top_up_is_refused_where_it_cannot_be(admin: Caller, alice: User) -> None:
    assert admin.post("topup", {"user_id": alice.pk, "quota": -1})["message"] == "quota 不能为负数！"
    assert admin.post("topup", {"user_id": 999, "quota": 1})["message"] == "用户不存在"
    assert admin.post("topup", {"user_id": alice.pk, "quota": 10**16})["success"] is False
    assert Log.objects.count() == 0


def test_a_repeated_top_up_with_the_same_key_credits_once(admin: Caller, alice: User) -> None:
    for _ in range(2):
        answer = admin.send("POST", "topup", {"user_id": alice.pk, "quota": 500}, **{"Idempotency-Key": "order 17"})
        assert answer.json()["success"]

    assert User.objects.get(pk=alice.pk).quota == 1_500


@pytest.mark.parametrize(
    ("language", "message"),
    [
        ("zh-CN", "Idempotency-Key 已用于另一次充值"),
        ("en", "This Idempotency-Key was used for another top-up"),
    ],
)
def test_a_key_of_one_top_up_is_no_key_of_another(
    admin: Caller, alice: User, bob: User, language: str, message: str
) -> None:
    def ask(user: User, quota: int) -> Any:
        headers = {"Idempotency-Key": "order 17", "Accept-Language": language}
        return admin.send("POST", "topup", {"user_id": user.pk, "quota": quota}, **headers).json()

    assert ask(alice, 500)["success"]
    for user, quota in ((bob, 500), (alice, 900)):
        assert ask(user, quota) == {"success": False, "message": message}
    assert ask(alice, 500) == {"success": True, "message": ""}

    assert dict(User.objects.filter(pk__in=(alice.pk, bob.pk)).values_list("username", "quota")) == {
        "alice": 1_500,
        "bob": 1_000,
    }
