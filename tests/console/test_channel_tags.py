"""The list of channels by tag, and what is done to the channels of a tag at once."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from accounts.models import User
from audit.models import AuditEntry
from channels_app import testing
from channels_app.models import Channel, ChannelStatus, Outcome
from channels_app.testing import Scope
from console.channels.tag_rows import shown_balances
from tests.channels_app.test_services import made
from tests.console.conftest import signed_in

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}


@pytest.fixture
def at(adam: User) -> Client:
    return signed_in(adam)


def text(answer: Any) -> str:
    return " ".join(answer.content.decode().split())


def statuses() -> dict[str, int]:
    return dict(Channel.objects.values_list("name", "status"))


def counted(answer: Any) -> list[tuple[str, int]]:
    return [(row.name, row.channels) for row in answer.context["rows"]]


class TestTheListByTag:
    def test_shows_each_tag_with_its_sums_and_what_has_none_at_the_end(self, at: Client) -> None:
        first = made(name="first", tags="eu,fast", models="a,b", type=36)
        second = made(name="second", tags="eu", models="b,c", type=36, status=2)
        made(name="bare")
        rows = Channel.objects.filter(pk__in=(first.pk, second.pk))
        rows.update(balance=2.25, balance_updated_time=9, used_quota=500_000, test_outcome=Outcome.PASSED)
        Channel.objects.filter(pk=second.pk).update(test_outcome=Outcome.FAILED)

        answer = at.get("/channel?by=tag")

        page = text(answer)
        assert counted(answer) == [("eu", 2), ("fast", 1), ("without a tag", 1)]
        for shown in ("1 enabled", "1 disabled by hand", "3 models", "1 of 2 passed", "¥4.50", "$2.00"):
            assert shown in page
        assert "A channel of several tags counts in each of them." in page
        assert f'href="{reverse("channels")}?tag=eu"' in page
        assert f'href="{reverse("channels")}?tag=%2C"' in page

    def test_keeps_the_filters_and_the_filters_keep_it(self, at: Client) -> None:
        made(name="on", tags="eu,us", group="vip")
        made(name="off", tags="eu", status=2, group="vip")
        made(name="else", tags="eu")

        answer = at.get("/channel?by=tag&group=vip&status=1")

        page = text(answer)
        assert counted(answer) == [("eu", 1), ("us", 1)]
        assert "Only channels that match the filters count" in page
        assert '<input type="hidden" name="by" value="tag">' in page
        assert [row.query for row in answer.context["rows"]] == [
            "group=vip&tag=eu&status=1",
            "group=vip&tag=us&status=1",
        ]
        assert 'href="/channel?group=vip&amp;status=1"' in page  # back to each channel

    @pytest.mark.parametrize(
        ("sort", "names"),
        [
            ("", ["a", "b", "without a tag"]),
            ("-tag", ["without a tag", "b", "a"]),
            ("-channels", ["b", "a", "without a tag"]),
            ("-used", ["without a tag", "b", "a"]),
            ("balance", ["a", "b", "without a tag"]),
        ],
    )
    def test_is_sorted_by_the_server(self, at: Client, sort: str, names: list[str]) -> None:
        for tag in ("b", "a,b", ""):
            made(tags=tag)
        Channel.objects.filter(tags="").update(used_quota=9)
        Channel.objects.filter(tags="b").update(used_quota=3)
        assert [name for name, _ in counted(at.get(f"/channel?by=tag&sort={sort}"))] == names

    def test_answers_a_script_with_the_table_alone(self, at: Client) -> None:
        made(tags="eu")
        answer = at.get("/channel?by=tag", headers={**HTMX, "HX-Target": "list"})
        assert "<html" not in text(answer)
        assert "Channels by tag" in text(answer)

    def test_takes_as_many_queries_for_many_channels_as_for_ten(self, at: Client) -> None:
        def make(first: int, last: int) -> None:
            rows = [Channel(name=str(number), tags=f"t{number % 30},all") for number in range(first, last)]
            Channel.objects.bulk_create(rows)

        make(0, 10)
        at.get("/channel?by=tag&size=100")
        with CaptureQueriesContext(connection) as few:
            at.get("/channel?by=tag&size=100")
        make(10, 1500)
        with CaptureQueriesContext(connection) as many:
            answer = at.get("/channel?by=tag&size=100")
        assert counted(answer)[0] == ("all", 1500)
        assert len(counted(answer)) == 31
        assert len(many) == len(few)

    def test_a_tag_named_like_html_is_text(self, at: Client) -> None:
        made(tags="<b>&x=1")
        page = text(at.get("/channel?by=tag"))
        assert "<b>&x" not in page
        assert "tag=%3Cb%3E%26x%3D1" in page

    def test_balances_of_one_unit_are_added_and_those_of_several_stand_side_by_side(self) -> None:
        assert shown_balances({}) == []
        assert shown_balances({1: 0.0}) == []  # OpenAI tells keys no balance any more
        assert shown_balances({1: 1.5, 8: 2.0, 36: 3.0, 5: 15_000.0, 10: 12_000.0}) == ["$3.50", "¥4.50", "12.0k"]
        assert shown_balances({14: 5.0}) == []


class TestATag:
    @pytest.fixture(autouse=True)
    def _channels(self, db: None) -> None:
        made(name="one", tags="eu")
        made(name="two", tags="x,eu", status=2)
        made(name="other", tags="EU")
        made(name="bare")

    def change(self, at: Client, **asked: str) -> Any:
        """What the row's and the dialog's forms send, and then the preview's."""
        posted = {"all": "on", "query": "tag=eu", "next": "/channel?by=tag", **asked}
        preview = at.post("/channel/bulk", posted)
        shown = preview.context
        value = shown["change"].value
        return at.post(
            "/channel/bulk",
            {
                "action": posted["action"],
                "value": value,
                "ids": shown["ids"],
                "confirmed": "yes",
                "next": shown["return_to"],
            },
        )

    def test_is_shown_before_it_is_switched(self, at: Client) -> None:
        answer = at.post("/channel/bulk", {"all": "on", "query": "tag=eu", "action": "disable"})
        assert "1 channel will be changed." in text(answer)
        assert statuses() == {"one": 1, "two": 2, "other": 1, "bare": 1}

    def test_is_disabled_and_enabled_as_a_whole_with_one_entry_each(self, at: Client) -> None:
        answer = self.change(at, action="disable")
        assert answer["Location"] == "/channel?by=tag"
        assert statuses() == {"one": 2, "two": 2, "other": 1, "bare": 1}
        self.change(at, action="enable")
        assert set(statuses().values()) == {ChannelStatus.ENABLED}

        entries = AuditEntry.objects.filter(action="channel.bulk").order_by("id")
        ids = [Channel.objects.get(name=name).pk for name in ("one", "two")]
        assert [entry.detail for entry in entries] == [
            {"change": "disable", "value": "", "ids": ids[:1]},
            {"change": "enable", "value": "", "ids": ids},
        ]

    def test_those_without_a_tag_are_switched_too(self, at: Client) -> None:
        self.change(at, action="disable", query="tag=%2C")
        assert statuses() == {"one": 1, "two": 2, "other": 1, "bare": 2}

    def test_is_renamed_by_its_new_name_alone(self, at: Client) -> None:
        self.change(at, action="rename_tag", tag="eu", value="europe")

        assert dict(Channel.objects.values_list("name", "tags")) == {
            "one": "europe",
            "two": "x,europe",
            "other": "EU",
            "bare": "",
        }
        entry = AuditEntry.objects.get(action="channel.bulk")
        assert (entry.detail["change"], entry.detail["value"]) == ("rename_tag", "eu,europe")

    @pytest.mark.parametrize("name", ["", "eu", "a,b"])
    def test_a_new_name_that_is_none_is_refused(self, at: Client, name: str) -> None:
        posted = {"all": "on", "query": "tag=eu", "action": "rename_tag", "tag": "eu", "value": name}
        page = text(at.post("/channel/bulk", posted, follow=True))
        assert "name the tag and one other name for it, with a comma between them" in page
        assert not AuditEntry.objects.filter(action="channel.bulk").exists()

    def test_is_taken_from_its_channels(self, at: Client) -> None:
        self.change(at, action="remove_tag", value="eu")
        assert dict(Channel.objects.values_list("name", "tags")) == {"one": "", "two": "x", "other": "EU", "bare": ""}

    def test_is_tested_as_a_whole(self, at: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        asked: list[tuple[Scope, list[int]]] = []

        def start(scope: Scope, _actor: Any, channel_ids: list[int]) -> int:
            asked.append((scope, sorted(channel_ids)))
            return 7

        monkeypatch.setattr(testing, "start", start)

        answer = at.post("/channel/bulk", {"all": "on", "query": "tag=eu", "action": "test"})

        assert answer["Location"] == reverse("test-run", args=[7])
        ids = sorted(Channel.objects.filter(name__in=("one", "two")).values_list("pk", flat=True))
        assert asked == [(Scope.SELECTED, ids)]

    def test_has_a_page_of_what_can_be_done_with_it(self, at: Client) -> None:
        page = text(at.get("/channel/tag?tag=eu&next=/channel%3Fby%3Dtag"))
        assert "2 channels" in page
        assert '<input type="hidden" name="query" value="tag=eu">' in page
        assert "Remove tag from all" in page
        assert "New name of the tag" in page
        assert 'value="/channel?by=tag"' in page
        dialog = text(at.get("/channel/tag?tag=eu", headers={**HTMX, "HX-Target": "dialog-body"}))
        assert "<html" not in dialog
        assert 'hx-target="#dialog-body"' in dialog

    def test_those_without_one_have_nothing_to_rename(self, at: Client) -> None:
        page = text(at.get("/channel/tag?tag=%2C"))
        assert "1 channel" in page
        assert "New name of the tag" not in page

    @pytest.mark.parametrize("query", ["", "?tag=", "?tag=nobodys", "?tag=eu&status=3"])
    def test_of_no_channel_is_not_found(self, at: Client, query: str) -> None:
        assert at.get(f"/channel/tag{query}").status_code == 404
