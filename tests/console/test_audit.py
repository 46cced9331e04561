"""The audit's pages (console reference 10.23, D47): an admin's own acts, root's all; search, detail, download."""

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
from audit.services import Actor, record
from console.audits.detail import Line, lines_of
from tests.console.conftest import signed_in

pytestmark = pytest.mark.django_db


def text_of(answer: Any) -> str:
    return str(answer.content.decode())


def actions_of(answer: Any) -> list[str]:
    return re.findall(r'<td data-label="Action"><code>([^<]*)</code>', text_of(answer))


@pytest.fixture
def entries(adam: User, root: User) -> None:
    AuditEntry.objects.all().delete()
    record(Actor(root.pk, "root", "10.0.0.1", "req-root"), "option.update", "option:Notice", old="a", new="=b")
    record(
        Actor(adam.pk, "adam", "10.0.0.2", "req-adam"), "channel.status", "channel:7", status=2, reason="<b>slow</b>"
    )


def test_an_admin_sees_own_acts_and_root_sees_all(adam: User, at_root: Client, entries: None) -> None:
    at_adam = signed_in(adam)
    foreign = AuditEntry.objects.get(actor_name="root").pk

    assert actions_of(at_adam.get("/audit")) == ["channel.status"]
    assert at_adam.get(f"/audit/{foreign}/").status_code == 404
    assert actions_of(at_root.get("/audit")) == ["channel.status", "option.update"]
    assert b"option.update" not in b"".join(at_adam.get("/audit/export"))
    assert at_root.get(f"/audit/{foreign}/").status_code == 200


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("q=STATUS", ["channel.status"]),
        ("q=req-root", ["option.update"]),
        ("q=option%3A", ["option.update"]),
        ("q=%25", []),
        ("actor=ADAM", ["channel.status"]),
        ("target=channel:7", ["channel.status"]),
        ("ip=10.0.0.1", ["option.update"]),
        ("start=2999-01-01T00:00", []),
        ("end=2999-01-01T00:00", ["channel.status", "option.update"]),
        ("start=nonsense", ["channel.status", "option.update"]),
        ("sort=action", ["channel.status", "option.update"]),
        ("sort=-action", ["option.update", "channel.status"]),
    ],
)
def test_filters_and_order(at_root: Client, entries: None, query: str, found: list[str]) -> None:
    assert actions_of(at_root.get(f"/audit?{query}")) == found


def test_an_entry_tells_before_and_after_as_text(at_root: Client, entries: None) -> None:
    option, channel = AuditEntry.objects.order_by("pk")

    drawer = at_root.get(f"/audit/{option.pk}/", headers={"HX-Request": "true", "HX-Target": "drawer-body"})
    page = text_of(at_root.get(f"/audit/{channel.pk}/"))

    assert '<td class="wrap">a</td><td class="wrap">=b</td>' in text_of(drawer)
    assert "<html" not in text_of(drawer)
    assert "&lt;b&gt;slow&lt;/b&gt;" in page
    assert "<b>slow" not in page


@pytest.mark.parametrize(
    ("detail", "lines"),
    [
        ({"old": 1, "new": 2, "reason": "x"}, [Line("value", "1", "2"), Line("reason", "", "x")]),
        ({"before": {"a": 1}, "after": {"a": 2, "b": 3}}, [Line("a", "1", "2"), Line("b", "", "3")]),
        ({"fields": {"weight": {"old": 1, "new": 5}}}, [Line("fields › weight", "1", "5")]),
        (
            {"ids": [1, 2], "on": True, "none": None},
            [Line("ids", "", "1, 2"), Line("on", "", "true"), Line("none", "", "null")],
        ),
        (
            {"fields": ["role"], "role": 10, "before": {"role": 1}},
            [Line("role", "1", "10"), Line("fields", "", "role")],
        ),
        ({}, []),
    ],
)
def test_details_are_read_whatever_their_shape(detail: dict[str, Any], lines: list[Line]) -> None:
    assert lines_of(detail) == lines


def test_the_list_costs_the_same_at_10_and_at_60_rows(at_root: Client) -> None:
    def cost(count: int) -> int:
        for number in range(count):
            record(Actor(number, f"user {number}"), "channel.update", f"channel:{number}", fields=["name"])
        with CaptureQueriesContext(connection) as queries:
            assert len(actions_of(at_root.get("/audit?size=100"))) >= count
        return len(queries)

    at_root.get("/audit")

    assert cost(10) == cost(50) <= 7


def test_the_download_is_neutralised_and_itself_recorded(at_root: Client, entries: None) -> None:
    AuditEntry.objects.filter(actor_name="adam").update(actor_name="@adam")

    table = list(csv.reader(io.StringIO(b"".join(at_root.get("/audit/export?q=channel")).decode("utf-8-sig"))))

    assert [row[3:6] for row in table] == [["actor", "action", "target"], ["'@adam", "channel.status", "channel:7"]]
    assert AuditEntry.objects.latest("pk").action == "audit.export"


def test_nothing_of_the_audit_is_changed_from_its_pages(at_root: Client, entries: None) -> None:
    number = AuditEntry.objects.latest("pk").pk

    assert [at_root.post(address).status_code for address in ("/audit", f"/audit/{number}/", "/audit/export")] == [
        405
    ] * 3
