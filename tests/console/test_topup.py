"""Topping up (console reference 4.4): redeeming, the shop's address, inviting, and the last ten top-ups."""

from __future__ import annotations

import re
import uuid
from html import unescape
from typing import Any

import pytest

from accounts.models import User
from accounts.services import create_user, register
from audit.services import SYSTEM, Actor
from billing.models import EntryKind, LedgerEntry
from billing.services import credit
from console.topup.links import shop_address
from options.services import set_option
from redemptions import services
from redemptions.models import Redemption
from tests.console.conftest import PASSWORD, signed_in

pytestmark = pytest.mark.django_db
TO_REDEEM = {"HX-Request": "true", "HX-Target": "redeem"}
UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"


def text_of(answer: Any) -> str:
    return str(answer.content.decode())


def make(**fields: Any) -> str:
    return services.create_codes(
        Actor(1, "adam"), **{"name": "internal name", "count": 1, "quota": 1_000_000, **fields}
    )[0]


@pytest.mark.parametrize(
    ("link", "before", "after"),
    [
        ("https://pay.example/", "https://pay.example/?", ""),
        ("https://pay.example/buy?site=7&x=a%20b", "https://pay.example/buy?site=7&x=a%20b&", ""),
        ("https://pay.example/#/shop", "https://pay.example/?", "#/shop"),
    ],
)
def test_the_shop_is_told_who_comes_and_keeps_its_parameters(link: str, before: str, after: str) -> None:
    address = shop_address(link, User(pk=12, username="al ice&co"))

    pattern = re.escape(before) + rf"username=al\+ice%26co&user_id=12&transaction_id={UUID}" + re.escape(after)
    assert re.fullmatch(pattern, address)


def test_each_visit_has_a_transaction_of_its_own(alice: User) -> None:
    """D13: the server makes the id."""
    set_option(SYSTEM, "TopUpLink", "https://pay.example/?a=1")
    client = signed_in(alice)

    ids = [re.findall(UUID, text_of(client.get("/topup")))[0] for _visit in range(2)]

    assert ids[0] != ids[1]
    assert uuid.UUID(ids[0]).version == 4
    assert f"https://pay.example/?a=1&username=alice&user_id={alice.pk}&" in unescape(text_of(client.get("/topup")))


@pytest.mark.parametrize("link", ["", "javascript:alert(1)"])
def test_without_a_shop_there_is_no_link(alice: User, link: str) -> None:
    set_option(SYSTEM, "TopUpLink", link)

    page = text_of(signed_in(alice).get("/topup"))

    assert "The operator has not set an address where codes can be bought." in page
    assert "javascript:" not in page


def test_a_code_is_redeemed_with_blanks_around_it(alice: User) -> None:
    client = signed_in(alice)

    answer = client.post("/topup", {"code": f"  {make()} "})

    assert (answer.status_code, answer["Location"]) == (302, "/topup")
    page = text_of(client.get("/topup"))
    assert "$2.00 was added to your balance." in page
    assert "internal name" not in page
    assert User.objects.get(pk=alice.pk).quota == 1_000_000


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        (None, "Enter the code."),
        ({"key": "f" * 32}, "There is no such code. Check whether all of its 32 signs are there."),
        ({"status": 2}, "This code was redeemed before, or is switched off."),
        ({"expires_at": 1}, "This code has expired."),
    ],
)
def test_a_code_that_is_not_taken_says_why(alice: User, fields: dict[str, Any] | None, says: str) -> None:
    code = (fields or {}).get("key", "")
    if fields and not code:
        code = make(expires_at=fields.get("expires_at", 0))
        if "status" in fields:
            services.update_code(SYSTEM, Redemption.objects.get().pk, fields)

    answer = signed_in(alice).post("/topup", {"code": code}, headers=TO_REDEEM)

    assert answer.status_code == 422
    assert says in text_of(answer)
    assert "<html" not in text_of(answer)
    assert not LedgerEntry.objects.exists()


def test_a_code_of_a_limited_batch_is_refused_the_second_time(alice: User) -> None:
    first, second = services.create_codes(SYSTEM, name="x", count=2, quota=5, batch="fair", per_user=1)
    client = signed_in(alice)
    client.post("/topup", {"code": first})

    refused = client.post("/topup", {"code": second})

    assert "You have redeemed as many codes of this kind as one account may." in text_of(refused)
    assert User.objects.get(pk=alice.pk).quota == 5


def test_guessing_is_stopped_here_as_in_the_api(alice: User) -> None:
    client = signed_in(alice)
    for number in range(10):
        client.post("/topup", {"code": f"{number:032x}"})

    assert "Too many wrong codes. Try again in 20 minutes." in text_of(client.post("/topup", {"code": make()}))
    assert User.objects.get(pk=alice.pk).quota == 0


def test_the_last_ten_top_ups_come_from_the_ledger(alice: User, django_assert_max_num_queries: Any) -> None:
    for number in range(11):
        credit(alice.pk, 500_000 * (number + 1), kind=EntryKind.TOP_UP, note=f"order {number}")
    credit(alice.pk, -1, kind=EntryKind.CHARGE)
    bob = create_user(username="bob", password=PASSWORD)
    credit(bob.pk, 1, kind=EntryKind.TOP_UP, note="bob's order")
    client = signed_in(alice)

    with django_assert_max_num_queries(9):
        page = text_of(client.get("/topup"))

    assert [f"order {number}<" in page for number in range(11)] == [False, *[True] * 10]
    assert "bob" not in page


def test_the_invitation_tells_link_rewards_count_and_earnings(alice: User) -> None:
    for key, value in (
        ("QuotaForInviter", "250000"),
        ("QuotaForInvitee", "500000"),
        ("ServerAddress", "https://llm.example/"),
    ):
        set_option(SYSTEM, key, value)
    register(username="carol", password=PASSWORD, inviter_code=alice.aff_code or "")

    page = text_of(signed_in(alice).get("/topup"))

    assert f"https://llm.example/register?aff={alice.aff_code}" in page
    assert "1 person registered by it." in page
    assert re.search(r"gets <data[^>]*>\$1\.00</data>, and you get <data[^>]*>\$0\.50</data>", page)
    assert re.search(r"Earned: <data value=\"250000\"", page)


def test_an_invitation_link_is_made_by_post_for_who_has_none(alice: User) -> None:
    User.objects.update(aff_code=None)
    client = signed_in(alice)

    assert "Make my invitation link" in text_of(client.get("/topup"))
    assert client.get("/topup/invite").status_code == 405
    client.post("/topup/invite")
    assert "/register?aff=" in text_of(client.get("/topup"))
