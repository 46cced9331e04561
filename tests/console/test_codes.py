"""The pages of redemption codes (console reference 5.3): masked, revealed by POST, made, found, changed, downloaded."""

from __future__ import annotations

import csv
import io
import re
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from audit.models import AuditEntry
from audit.services import Actor
from redemptions import services
from redemptions.models import Redemption
from tests.console.conftest import signed_in

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}


@pytest.fixture
def at_adam(adam: User) -> Client:
    return signed_in(adam)


def make(by: User, count: int = 1, **fields: Any) -> list[str]:
    return services.create_codes(
        Actor(by.pk, by.username), **{"name": "spring", "count": count, "quota": 500_000, **fields}
    )


def text_of(answer: Any) -> str:
    return str(answer.content.decode())


def rows_of(answer: Any) -> list[int]:
    return [int(number) for number in re.findall(r'<tr id="code-(\d+)"', text_of(answer))]


def table_of(answer: Any) -> list[list[str]]:
    return list(csv.reader(io.StringIO(b"".join(answer).decode("utf-8-sig"))))


def test_the_list_costs_the_same_at_10_and_at_60_rows(at_adam: Client, adam: User) -> None:
    def cost(count: int) -> int:
        make(adam, count, batch="fair")
        with CaptureQueriesContext(connection) as queries:
            assert len(rows_of(at_adam.get("/redemption?size=100"))) == Redemption.objects.count()
        return len(queries)

    at_adam.get("/redemption")

    assert cost(10) == cost(50) <= 10


def test_codes_are_masked_and_shown_by_post_alone(at_adam: Client, adam: User) -> None:
    """D50."""
    (key,) = make(adam)
    number = Redemption.objects.get().pk

    assert key not in text_of(at_adam.get("/redemption"))
    assert f"{key[:4]}…{key[-4:]}" in text_of(at_adam.get("/redemption"))
    assert at_adam.get(f"/redemption/{number}/reveal").status_code == 405
    shown = at_adam.post(f"/redemption/{number}/reveal", headers={**HTMX, "HX-Target": "dialog-body"})
    assert key in text_of(shown)
    assert "<html" not in text_of(shown)
    assert AuditEntry.objects.get(action="redemption.reveal").target == f"redemption:{number}"


def test_who_redeemed_a_code_is_shown(at_adam: Client, adam: User, alice: User) -> None:
    """D49."""
    (key,) = make(adam)
    services.redeem(alice.pk, key)

    page = text_of(at_adam.get("/redemption"))

    assert f'<a href="/user/{alice.pk}/">alice</a>' in page
    assert 'value="disable"><' not in page


def test_filters_narrow_the_list(at_adam: Client, adam: User) -> None:
    make(adam, 2, batch="fair")
    make(adam, 1, name="autumn")

    assert len(rows_of(at_adam.get("/redemption?batch=fair"))) == 2
    assert len(rows_of(at_adam.get("/redemption?q=AUT&state=unused"))) == 1
    assert "Nothing matches these filters." in text_of(at_adam.get("/redemption?state=used"))
    part = at_adam.get("/redemption?batch=fair", headers={**HTMX, "HX-Target": "list"})
    assert ("<html" in text_of(part), len(rows_of(part))) == (False, 2)


def test_new_codes_are_shown_once_and_can_be_downloaded(at_adam: Client, adam: User) -> None:
    fields = {
        "name": "spring", "quota_0": "2.5", "quota_1": "dollars", "count": "3", "batch": "fair", "per_user": "1",
        "expires": "2099-01-01T00:00",
    }  # fmt: skip

    answer = at_adam.post("/redemption/add", fields)

    codes = list(Redemption.objects.all())
    assert [(code.quota, code.batch, code.per_user, code.expires_at) for code in codes] == [
        (1_250_000, "fair", 1, 4_070_908_800)
    ] * 3
    assert all(code.key in text_of(answer) for code in codes)
    ids = ",".join(str(code.pk) for code in codes)
    lines = b"".join(at_adam.post("/redemption/export/txt", {"ids": ids})).decode().split()
    assert sorted(lines) == sorted(code.key for code in codes)


def test_a_form_that_is_sent_twice_makes_its_codes_once(at_adam: Client) -> None:
    """A page without scripts keeps nobody from a second click; another name or count is another order."""
    (once,) = re.findall(r'name="once" value="(\w{32})"', text_of(at_adam.get("/redemption/add")))
    fields = {"name": "spring", "quota_0": "100", "quota_1": "points", "count": "3", "once": once}

    first, second = (text_of(at_adam.post("/redemption/add", fields)) for _ in range(2))

    codes = [code.key for code in Redemption.objects.all()]
    assert len(codes) == 3
    assert all(code in first and code in second for code in codes)
    assert AuditEntry.objects.filter(action="redemption.create").count() == 1
    at_adam.post("/redemption/add", {**fields, "name": "may"})
    assert Redemption.objects.count() == 6
    at_adam.post("/redemption/add", {**fields, "once": ""})
    assert Redemption.objects.count() == 9


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"name": ""}, "This field is required."),
        ({"name": "x" * 21}, "Ensure this value has at most 20 characters (it has 21)."),
        ({"count": "1001"}, "Ensure this value is less than or equal to 1000."),
        ({"quota_0": "0"}, "The amount must be between 1 and 1000000000000000 points."),
        ({"per_user": "1"}, "A limit for each user needs a batch to count in."),
        ({"expires": "2001-01-01T00:00"}, "This moment is over. Choose a later one."),
    ],
)
def test_codes_that_cannot_be_say_why(at_adam: Client, change: dict[str, str], says: str) -> None:
    fields = {"name": "spring", "quota_0": "100", "quota_1": "points", "count": "1", **change}

    answer = at_adam.post("/redemption/add", fields, headers={**HTMX, "HX-Target": "drawer-body"})

    assert answer.status_code == 422
    assert says in text_of(answer)
    assert not Redemption.objects.exists()


def test_an_edit_keeps_what_a_used_code_was_worth(at_adam: Client, adam: User, alice: User) -> None:
    (key,) = make(adam)
    number = Redemption.objects.get().pk
    at_adam.post(f"/redemption/edit/{number}", {"name": "may", "quota_0": "7", "quota_1": "points", "batch": "b"})
    services.redeem(alice.pk, key)

    form = text_of(at_adam.get(f"/redemption/edit/{number}"))
    answer = at_adam.post(f"/redemption/edit/{number}", {"name": "june", "quota_0": "9", "batch": ""})

    code = Redemption.objects.get()
    assert "quota_0" not in form
    assert answer["Location"] == "/redemption"
    assert (code.name, code.quota, code.batch) == ("june", 7, "")
    assert User.objects.get(pk=alice.pk).quota == 7


def test_a_row_is_switched_by_itself(at_adam: Client, adam: User, alice: User) -> None:
    (key,) = make(adam)
    number = Redemption.objects.get().pk

    answer = at_adam.post(f"/redemption/{number}/status", {"action": "disable"}, headers=HTMX)
    assert rows_of(answer) == [number]
    assert Redemption.objects.get().status == 2
    at_adam.post(f"/redemption/{number}/status", {"action": "enable"})
    services.redeem(alice.pk, key)
    refused = at_adam.post(f"/redemption/{number}/status", {"action": "disable"}, follow=True)
    assert "This code was redeemed before, or is switched off." in text_of(refused)


def test_deleting_one_asks_first(at_adam: Client, adam: User) -> None:
    make(adam)
    number = Redemption.objects.get().pk

    asked = at_adam.get(f"/redemption/{number}/delete", headers={**HTMX, "HX-Target": "dialog-body"})

    assert "Delete the redemption code “spring”?" in text_of(asked)
    assert Redemption.objects.exists()
    assert (
        at_adam.post(f"/redemption/{number}/delete", {"next": "/redemption?page=2"})["Location"] == "/redemption?page=2"
    )
    assert not Redemption.objects.exists()


@pytest.mark.parametrize("action", ["disable", "delete"])
def test_all_that_a_lost_filter_found_is_none(at_adam: Client, adam: User, action: str) -> None:
    """The batch of the list has another name meanwhile: every code is not what was seen."""
    make(adam, count=2)

    answer = at_adam.post("/redemption/bulk", {"action": action, "all": "yes", "query": "batch=lost"}, follow=True)

    assert "None of the chosen codes would change." in text_of(answer)


def test_no_code_leaves_by_a_lost_filter(at_adam: Client, adam: User) -> None:
    (key,) = make(adam)

    assert key not in b"".join(at_adam.post("/redemption/export/txt", {"query": "batch=lost"})).decode()


def test_many_are_disabled_after_a_question(at_adam: Client, adam: User, alice: User) -> None:
    key, *_rest = make(adam, 4, batch="fair")
    make(adam, 1)
    services.redeem(alice.pk, key)

    asked = at_adam.post("/redemption/bulk", {"action": "disable", "all": "yes", "query": "batch=fair"})
    planned = re.search(r'name="planned" value="([\d,]+)"', text_of(asked))
    assert planned
    assert "Disable: 3 codes" in text_of(asked)
    assert Redemption.objects.filter(status=2).count() == 0
    at_adam.post("/redemption/bulk", {"action": "disable", "planned": planned[1], "confirmed": "yes"})

    assert Redemption.objects.filter(status=2).count() == 3
    assert "None of the chosen codes would change." in text_of(
        at_adam.post("/redemption/bulk", {"action": "enable", "ids": ["999"]}, follow=True)
    )


@pytest.mark.parametrize(("state", "left"), [("used", {"unused", "expired"}), ("expired", {"unused", "used"})])
def test_used_or_expired_codes_are_cleared_up(
    at_adam: Client, adam: User, alice: User, state: str, left: set[str]
) -> None:
    make(adam, name="unused")
    make(adam, name="expired", expires_at=1)
    (key,) = make(adam, name="used")
    services.redeem(alice.pk, key)

    assert f"Delete 1 code that is {state}?" in text_of(at_adam.get(f"/redemption/clear/{state}"))
    at_adam.post(f"/redemption/clear/{state}")

    assert set(Redemption.objects.values_list("name", flat=True)) == left
    assert User.objects.get(pk=alice.pk).quota == 500_000
    assert at_adam.get("/redemption/clear/unused").status_code == 404


def test_the_download_follows_the_filters_is_safe_and_audited(at_adam: Client, adam: User) -> None:
    (key,) = make(adam, name="@spring", batch="fair")
    make(adam)

    table = table_of(at_adam.post("/redemption/export/csv", {"query": "batch=fair"}))

    assert [(row[1], row[2], row[3], row[10]) for row in table[1:]] == [("'@spring", key, "unused", "adam")]
    assert at_adam.get("/redemption/export/csv").status_code == 405
    assert AuditEntry.objects.get(action="redemption.export").detail == {"kind": "csv", "query": "batch=fair"}
