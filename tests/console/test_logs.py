"""The log's pages (console reference 4.5, 10 items 10, 17, 18): who sees what, filters, sums, new lines, a file."""

from __future__ import annotations

import csv
import io
import re
import time
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from accounts.services import create_user
from audit.models import AuditEntry
from billing.models import Log, LogType
from console.logs.detail import bill_of
from tests.console.conftest import PASSWORD, signed_in

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}


def now() -> int:
    """Of each test: between the collection and the last one there may be an hour."""
    return int(time.time())


def write(person: User, **fields: Any) -> Log:
    usual = {
        "created_at": now() - 60, "type": LogType.CONSUME, "model_name": "gpt-4o", "token_name": "laptop", "quota": 70,
        "prompt_tokens": 10, "completion_tokens": 5, "channel_id": 4711, "status": 200, "ip": "10.9.8.7",
        "upstream_model": "azure-canary", "group": "group-canary", "content": "倍率：2.50 × 1.00 × 4.00",
    }  # fmt: skip
    return Log.objects.create(user_id=person.pk, username=person.username, **{**usual, **fields})


@pytest.fixture
def bob(db: None) -> User:
    return create_user(username="bob", password=PASSWORD)


@pytest.fixture
def at_alice(alice: User) -> Client:
    return signed_in(alice)


def text_of(answer: Any) -> str:
    return str(answer.content.decode())


def rows_of(answer: Any) -> list[int]:
    return [int(number) for number in re.findall(r'<tr id="line-(\d+)"', text_of(answer))]


def table_of(answer: Any) -> list[list[str]]:
    return list(csv.reader(io.StringIO(b"".join(answer).decode("utf-8-sig"))))


def sums_of(answer: Any) -> list[str]:
    return re.findall(r"<dt>[^<]*</dt><dd>(?:<data[^>]*>)?([^<]*)", text_of(answer))


@pytest.mark.parametrize("hidden", ["4711", "azure-canary", "group-canary", "bob"])
@pytest.mark.parametrize("address", ["/log", "/log/export", "/log/{}/"])
def test_users_see_their_own_lines_and_nothing_of_the_operators(
    at_alice: Client, alice: User, bob: User, address: str, hidden: str
) -> None:
    """D17."""
    mine = write(alice)
    write(bob, model_name="model-of-bob")

    answer = at_alice.get(address.format(mine.pk))
    page = b"".join(answer).decode() if "export" in address else text_of(answer)

    assert "gpt-4o" in page
    assert hidden not in page


def test_filters_of_admins_do_not_widen_what_a_user_sees(at_alice: Client, alice: User, bob: User) -> None:
    mine = write(alice)
    write(bob)

    assert rows_of(at_alice.get("/log?user=bob&channel=1&group=x&scope=all")) == [mine.pk]


def test_anothers_line_is_not_found(at_alice: Client, alice: User, bob: User) -> None:
    theirs = write(bob, request_id="shared-id")
    mine = write(alice, request_id="shared-id")

    assert at_alice.get(f"/log/{theirs.pk}/").status_code == 404
    assert f"/log/{theirs.pk}/" not in text_of(at_alice.get(f"/log/{mine.pk}/"))


def test_admins_see_everybodys_or_their_own(adam: User, alice: User) -> None:
    client = signed_in(adam)
    hers, his = write(alice), write(adam)

    assert rows_of(client.get("/log")) == [his.pk, hers.pk]
    assert rows_of(client.get("/log?scope=mine")) == [his.pk]
    page = text_of(client.get(f"/log/{hers.pk}/"))
    assert all(told in page for told in ("#4711", "azure-canary", "group-canary", f"/user/{alice.pk}/"))


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", "abcd"),
        ("type=2&type=6", "abd"),
        ("type=1", "c"),
        ("model=gpt-4o,claude", "ab"),
        ("key=ci", "b"),
        ("outcome=error", "d"),
        ("outcome=ok", "ab"),
        ("q=RATE+LIMITED", "d"),
        ("q=%25", ""),
        ("request=req-b&range=1h", "b"),
        ("request=req-e&range=24h", "e"),  # as the form sends it, where 24 hours are the usual choice
        ("ip=10.0.0.2", "b"),
        ("stream=yes", "b"),
        ("range=1h", "abd"),
        ("range=all", "abcde"),
        ("start=2001-01-01T00:00&end=2001-01-03T00:00", "e"),
        ("start=nonsense&type=9", "abcd"),
    ],
)
def test_each_filter_narrows(at_alice: Client, alice: User, query: str, found: str) -> None:
    """D14: the search searches."""
    lines = {
        "e": write(alice, created_at=978_400_000, request_id="req-e"),
        "c": write(alice, created_at=now() - 7200, type=LogType.TOP_UP, content="topped up", model_name="", status=0),
        "d": write(
            alice, type=LogType.ERROR, error_code="upstream_busy", status=429, content="Rate limited", model_name="x"
        ),
        "b": write(alice, model_name="claude", token_name="ci", request_id="req-b", ip="10.0.0.2", is_stream=True),
        "a": write(alice),
    }

    seen = rows_of(at_alice.get(f"/log?{query}"))

    assert sorted(seen) == sorted(lines[name].pk for name in found)


def test_the_list_is_newest_first_and_pages_do_not_overlap(at_alice: Client, alice: User) -> None:
    """D2, D16."""
    first_at = now() - 600
    pks = [write(alice, created_at=first_at + number).pk for number in range(25)]

    first = at_alice.get("/log?size=10")
    second = at_alice.get(re.findall(r'href="([^"]*)"[^>]*rel="next"', text_of(first))[0].replace("&amp;", "&"))
    third = at_alice.get(re.findall(r'href="([^"]*)"[^>]*rel="next"', text_of(second))[0].replace("&amp;", "&"))
    again = at_alice.get(re.findall(r'href="([^"]*)"[^>]*rel="prev"', text_of(third))[0].replace("&amp;", "&"))

    assert rows_of(first) + rows_of(second) + rows_of(third) == pks[::-1]
    assert rows_of(again) == rows_of(second)
    assert 'rel="next"' not in text_of(third)
    assert 'rel="prev"' not in text_of(first)
    assert "25 lines" in text_of(first)
    assert '<th scope="col" aria-sort="descending">' in text_of(first)


@pytest.mark.parametrize("admin", [False, True])
def test_the_list_costs_the_same_at_10_and_at_60_rows(alice: User, adam: User, admin: bool) -> None:
    client = signed_in(adam if admin else alice)

    def cost(count: int) -> int:
        for number in range(count):
            write(alice, model_name=f"model {number}", channel_id=number + 1)
        with CaptureQueriesContext(connection) as queries:
            assert len(rows_of(client.get("/log?size=100"))) == Log.objects.count()
        return len(queries)

    client.get("/log")

    assert cost(10) == cost(50) <= 13


def test_the_sums_follow_the_filters(at_alice: Client, alice: User, bob: User) -> None:
    """D15."""
    write(alice, quota=500_000, cached_tokens=4)
    write(alice, quota=1_000_000, model_name="claude")
    write(alice, type=LogType.ERROR, error_code="x", status=500, quota=0, prompt_tokens=0, completion_tokens=0)
    write(alice, type=LogType.TOP_UP, quota=99, status=0, prompt_tokens=0, completion_tokens=0)
    write(bob, quota=777)

    whole = at_alice.get("/log/summary/", headers={**HTMX, "HX-Target": "sums"})

    assert sums_of(whole) == ["3", "$3.00", "20", "10", "4", "33.3 %"]
    assert "<html" not in text_of(whole)
    assert sums_of(at_alice.get("/log/summary/?model=claude")) == ["1", "$2.00", "10", "5", "0", "0.0 %"]
    assert "/log/summary/?model=claude" in text_of(at_alice.get("/log?model=claude"))


def test_new_lines_come_with_the_next_question(at_alice: Client, alice: User, bob: User) -> None:
    old = write(alice)
    tail = re.findall(r'id="tail"[^>]*hx-get="([^"]*)"', text_of(at_alice.get("/log?model=gpt-4o")))[0].replace(
        "&amp;", "&"
    )
    assert tail == f"/log?model=gpt-4o&tail={old.pk}"
    new = [write(alice).pk, write(alice).pk]
    write(alice, model_name="claude")
    write(bob)

    answer = at_alice.get(tail, headers={**HTMX, "HX-Target": "tail"})
    quiet = at_alice.get(f"/log?model=gpt-4o&tail={new[1]}", headers={**HTMX, "HX-Target": "tail"})

    assert rows_of(answer) == new[::-1]
    assert f"tail={new[1]}" in text_of(answer)
    assert 'hx-swap-oob="afterbegin:#lines"' in text_of(answer)
    assert (rows_of(quiet), "hx-swap-oob" in text_of(quiet)) == ([], False)


def test_an_older_page_has_no_live_tail(at_alice: Client, alice: User) -> None:
    pks = [write(alice).pk for _number in range(12)]

    assert 'id="tail"' not in text_of(at_alice.get(f"/log?size=10&before={pks[5]}"))


def test_a_line_tells_its_bill_and_its_cost_to_the_sixth_decimal(at_alice: Client, alice: User) -> None:
    line = write(
        alice,
        quota=7,
        usage_details='{"cached":8,"reasoning":3}',
        first_token_time=120,
        estimated=True,
    )

    drawer = text_of(at_alice.get(f"/log/{line.pk}/", headers={**HTMX, "HX-Target": "drawer-body"}))

    assert "<html" not in drawer
    assert "$0.000014" in drawer
    assert "0.12 s" in drawer
    assert "the tokens are our own count" in drawer
    assert [(str(part.name), part.value) for part in bill_of(line)] == [
        ("Prompt tokens", "10"),
        ("of these read from the cache", "8"),
        ("Completion tokens", "5"),
        ("of these thoughts", "3"),
        ("Ratio of the model", "2.50"),
        ("Ratio of the group", "1.00"),
        ("Ratio of the completion", "4.00"),
    ]


def test_what_an_upstream_says_is_text_and_nothing_else(at_alice: Client, alice: User) -> None:
    line = write(alice, type=LogType.ERROR, error_code="bad", status=502, content="<script>alert(1)</script>")

    for address in ("/log", f"/log/{line.pk}/"):
        page = text_of(at_alice.get(address))
        assert "&lt;script&gt;alert(1)" in page
        assert "<script>alert" not in page


def test_the_file_follows_the_filters_and_is_neutralised(at_alice: Client, alice: User, adam: User) -> None:
    write(alice, token_name="=cmd()", request_id="req-1")
    write(alice, model_name="claude")

    mine = table_of(at_alice.get("/log/export?model=gpt-4o"))
    everybodys = table_of(signed_in(adam).get("/log/export?model=gpt-4o"))

    assert [dict(zip(mine[0], row, strict=True))["api_key"] for row in mine[1:]] == ["'=cmd()"]
    assert "channel_id" not in mine[0]
    assert dict(zip(everybodys[0], everybodys[1], strict=True))["channel_id"] == "4711"
    assert AuditEntry.objects.get(action="log.export").detail == {"query": "model=gpt-4o"}


def test_lines_of_one_request_are_shown_together(at_alice: Client, alice: User) -> None:
    first = write(alice, request_id="session")
    second = write(alice, request_id="session-1")

    assert f'href="/log/{second.pk}/"' in text_of(at_alice.get(f"/log/{first.pk}/"))


def test_nothing_is_changed_by_the_pages_of_the_log(at_alice: Client, alice: User) -> None:
    number = write(alice).pk

    for address in ("/log", "/log/summary/", f"/log/{number}/", "/log/export"):
        assert at_alice.post(address).status_code == 405
