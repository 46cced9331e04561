"""Codes that expire, belong to a batch, and are limited within it; finding them and changing many at once."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection

from accounts.models import User
from audit.models import AuditEntry
from audit.services import Actor
from redemptions import services
from redemptions.listing import BulkAction, CodeFilter, act_on_many, batches, concerned
from redemptions.models import Redemption, RedemptionStatus
from redemptions.services import BadCode, CodeExpired, CodeUsed, EnoughOfBatch

pytestmark = pytest.mark.django_db
ADAM = Actor(1, "adam")


def make(count: int = 1, quota: int = 100, **fields: object) -> list[str]:
    return services.create_codes(ADAM, **{"name": "spring", "count": count, "quota": quota, **fields})  # type: ignore[arg-type]


def balance(user: User) -> int:
    return User.objects.get(pk=user.pk).quota


def test_an_expired_code_is_refused_and_stays_unused(alice: User) -> None:
    (good,) = make(expires_at=int(time.time()) + 60)
    (over,) = make(expires_at=int(time.time()) - 1)

    with pytest.raises(CodeExpired, match="兑换失败，该兑换码已过期"):
        services.redeem(alice.pk, over)
    assert services.redeem(alice.pk, good) == 100

    assert balance(alice) == 1_100
    assert Redemption.objects.get(key_digest=services.code_digest(over)).used_by == 0


def test_a_used_code_is_called_used_also_after_its_time(alice: User) -> None:
    (code,) = make(expires_at=int(time.time()) + 60)
    services.redeem(alice.pk, code)
    Redemption.objects.update(expires_at=1)

    with pytest.raises(CodeUsed):
        services.redeem(alice.pk, code)


def test_one_user_redeems_no_more_of_a_batch_than_it_allows(alice: User, bob: User) -> None:
    first, second, third = make(3, batch="fair", per_user=2)
    (other,) = make(batch="other", per_user=1)

    for code in (first, second, other):
        services.redeem(alice.pk, code)
    with pytest.raises(EnoughOfBatch):
        services.redeem(alice.pk, third)
    services.redeem(bob.pk, third)

    assert (balance(alice), balance(bob)) == (1_300, 1_100)


def test_a_code_that_counts_within_its_batch_cannot_leave_it_for_none(alice: User) -> None:
    (plain,), (limited,) = make(), make(batch="fair", per_user=1)
    services.redeem(alice.pk, plain)
    code = Redemption.objects.get(batch="fair")

    with pytest.raises(BadCode, match="无效的参数"):
        services.update_code(ADAM, code.pk, {"batch": " "})
    services.update_code(ADAM, code.pk, {"batch": "other", "name": "may"})

    assert services.redeem(alice.pk, limited) == 100  # the plain one, of no batch, is not counted


def test_a_code_whose_batch_is_gone_already_can_still_be_switched_off() -> None:
    make(batch="fair", per_user=1)
    Redemption.objects.update(batch="")

    services.update_code(ADAM, Redemption.objects.get().pk, {"status": RedemptionStatus.DISABLED, "batch": ""})

    assert Redemption.objects.get().status == RedemptionStatus.DISABLED


def test_an_end_before_all_time_is_refused() -> None:
    make(expires_at=5)
    number = Redemption.objects.get().pk

    with pytest.raises(BadCode, match="无效的参数"):
        services.update_code(ADAM, number, {"expires_at": -1})
    services.update_code(ADAM, number, {"expires_at": 0})

    assert Redemption.objects.get().expires_at == 0


@pytest.mark.django_db(transaction=True)
def test_codes_of_a_batch_redeemed_at_once_are_counted(alice: User) -> None:
    codes = make(6, batch="fair", per_user=2)

    def attempt(code: str) -> bool:
        try:
            services.redeem(alice.pk, code)
        except EnoughOfBatch:
            return False
        finally:
            connection.close()
        return True

    with ThreadPoolExecutor(6) as pool:
        outcomes = list(pool.map(attempt, codes))

    assert outcomes.count(True) == 2
    assert balance(alice) == 1_200


@pytest.mark.parametrize("fields", [{"per_user": 1}, {"per_user": -1, "batch": "x"}, {"expires_at": -1}])
def test_a_batch_that_makes_no_sense_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(BadCode):
        make(**fields)
    assert not Redemption.objects.exists()


def test_the_console_makes_a_thousand_at_once_and_the_api_a_hundred() -> None:
    assert len(set(make(1000, most=services.MOST_AT_ONCE))) == 1000
    with pytest.raises(BadCode, match="不能大于 100"):
        make(101)


def test_codes_are_found_by_state_batch_name_number_and_code(alice: User) -> None:
    (unused,) = make(batch="fair")
    (over,) = make(expires_at=1, batch="fair")
    (off,) = make(name="off")
    (used,) = make()
    services.redeem(alice.pk, used)
    number = Redemption.objects.get(name="off").pk
    services.update_code(ADAM, number, {"status": 2})

    def found(**wanted: str) -> set[str]:
        return {code.key for code in CodeFilter(**wanted).rows()}

    assert found(state="unused") == {unused}
    assert found(state="expired") == {over}
    assert found(state="disabled") == {off}
    assert found(state="used") == {used}
    assert found(batch="fair") == {unused, over}
    assert found(text="AIR") == {unused, over}
    assert off in found(text=str(number))
    assert found(text=over) == {over}
    assert found(text="%") == set()
    assert batches() == ["fair"]


def test_many_codes_are_switched_and_deleted_but_used_ones_stay_used(alice: User) -> None:
    first, second, third = make(3)
    services.redeem(alice.pk, first)
    ids = list(Redemption.objects.values_list("pk", flat=True))

    assert len(concerned(BulkAction.DISABLE, Redemption.objects.all())) == 2
    assert act_on_many(ADAM, BulkAction.DISABLE, ids) == 2
    with pytest.raises(CodeUsed):
        services.redeem(alice.pk, second)
    assert act_on_many(ADAM, BulkAction.ENABLE, ids) == 2
    assert services.redeem(alice.pk, third) == 100
    assert act_on_many(ADAM, BulkAction.DELETE, ids) == 3
    assert balance(alice) == 1_200
    assert AuditEntry.objects.filter(action__startswith="redemption.many.").count() == 3
