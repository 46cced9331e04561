from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection

from accounts.models import User
from audit.services import Actor
from billing.models import LedgerEntry, Log
from redemptions import services
from redemptions.models import Redemption
from tests.api.conftest import Caller


@pytest.fixture
def code(db: None) -> Redemption:
    services.create_codes(Actor(1, "adam"), name="spring", count=1, quota=300)
    return Redemption.objects.get()


def test_making_codes_answers_their_texts(admin: Caller) -> None:
    keys = admin.post("redemption/", {"name": "spring", "count": 3, "quota": 100})["data"]

    assert [len(key) for key in keys] == [32, 32, 32]
    row = admin.get("redemption/?p=0")["data"][0]
    assert set(row) == {
        "id", "user_id", "key", "status", "name", "quota", "created_time", "redeemed_time", "count",
    }  # fmt: skip
    assert (row["key"] in keys, row["status"], row["user_id"], row["count"]) == (True, 1, admin.user.pk, 0)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"name": ""}, "兑换码名称长度必须在1-20之间"),
        ({"name": "码" * 21}, "兑换码名称长度必须在1-20之间"),
        ({"count": 0}, "兑换码个数必须大于0"),
        ({"count": 101}, "一次兑换码批量生成的个数不能大于 100"),
        ({"quota": 0}, "兑换码额度必须在1-1000000000000000之间"),
        ({"quota": -5}, "兑换码额度必须在1-1000000000000000之间"),
    ],
)
def test_what_a_code_cannot_be_is_refused(admin: Caller, fields, message: str) -> None:
    body = {"name": "spring", "count": 1, "quota": 100, **fields}
    assert admin.post("redemption/", body) == {"success": False, "message": message}


def test_redeeming_credits_once(user: Caller, code: Redemption) -> None:
    assert user.post("user/topup", {"key": code.key}) == {"success": True, "message": "", "data": 300}
    assert user.post("user/topup", {"key": code.key})["message"] == "兑换失败，该兑换码已被使用"

    code.refresh_from_db()
    log = Log.objects.get()
    assert (code.status, code.used_by, code.redeemed_time > 0) == (3, user.user.pk, True)
    assert User.objects.get(pk=user.user.pk).quota == 300 == LedgerEntry.objects.get().amount
    assert (log.type, log.quota, log.content) == (1, 0, "通过兑换码充值 ＄0.000600 额度")


@pytest.mark.django_db(transaction=True)
def test_of_ten_at_once_one_gets_the_code(code: Redemption, alice: User) -> None:
    def attempt(_number: int) -> bool:
        try:
            services.redeem(alice.pk, code.key)
        except services.CodeUsed:
            return False
        finally:
            connection.close()
        return True

    with ThreadPoolExecutor(10) as pool:
        outcomes = list(pool.map(attempt, range(10)))

    assert outcomes.count(True) == 1
    assert User.objects.get(pk=alice.pk).quota == 1_300


def test_a_code_that_is_unknown_empty_or_disabled_is_refused(user: Caller, admin: Caller, code: Redemption) -> None:
    assert user.post("user/topup", {"key": ""})["message"] == "未提供兑换码"
    assert user.post("user/topup", {"key": "f" * 32})["message"] == "兑换失败，无效的兑换码"
    admin.put("redemption/?status_only=true", {"id": code.pk, "status": 2})
    assert user.post("user/topup", {"key": code.key})["message"] == "兑换失败，该兑换码已被使用"


def test_guessing_codes_is_stopped_for_that_user_alone(user: Caller, admin: Caller, code: Redemption) -> None:
    for number in range(10):
        user.post("user/topup", {"key": f"{number:032x}"})

    assert user.send("POST", "user/topup", {"key": code.key}).status_code == 429
    assert admin.post("user/topup", {"key": code.key})["success"]


def test_a_used_code_stays_used_and_keeps_its_worth(user: Caller, admin: Caller, code: Redemption) -> None:
    user.post("user/topup", {"key": code.key})

    for query, change in (("?status_only=true", {"status": 1}), ("", {"quota": 1})):
        assert admin.put(f"redemption/{query}", {"id": code.pk, **change})["message"] == "该兑换码已被使用"
    assert admin.put("redemption/", {"id": code.pk, "name": "used", "quota": 300})["data"]["name"] == "used"


def test_an_edit_changes_what_is_given(admin: Caller, code: Redemption) -> None:
    assert admin.put("redemption/", {"id": code.pk, "quota": 50, "status": 2})["data"]["quota"] == 50
    after = admin.get(f"redemption/{code.pk}")["data"]
    assert (after["name"], after["status"]) == ("spring", 1)
    assert admin.put("redemption/", {"id": 0})["message"] == "id 为空！"
    assert admin.put("redemption/?status_only=1", {"id": code.pk, "status": 3})["success"] is False


def test_search_is_by_id_or_beginning_of_the_name(admin: Caller, code: Redemption) -> None:
    assert len(admin.get(f"redemption/search?keyword={code.pk}")["data"]) == 1
    assert len(admin.get("redemption/search?keyword=spr")["data"]) == 1
    assert admin.get("redemption/search?keyword=%25")["data"] == []


def test_a_deleted_code_is_gone(admin: Caller, code: Redemption) -> None:
    assert admin.delete(f"redemption/{code.pk}/") == {"success": True, "message": ""}
    assert admin.delete(f"redemption/{code.pk}")["message"] == "record not found"
    assert admin.get("redemption/abc")["message"].startswith("strconv.Atoi")
