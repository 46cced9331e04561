"""The list of channels and what can be done from it: rights, filters, inline numbers, bulk changes, single tests."""

from __future__ import annotations

import csv
import io
import time
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from audit.models import AuditEntry
from channels_app import balances, runs, services
from channels_app.models import Channel, ChannelHealth, ChannelStatus, Outcome, TestRunResult
from channels_app.probe import Probe
from channels_app.validation import MAX_WEIGHT
from console.channels import rows
from tests.channels_app.test_services import lose_secrets, made
from tests.console.conftest import signed_in

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}


@pytest.fixture
def at(adam: User) -> Client:
    return signed_in(adam)


def text(answer: Any) -> str:
    return " ".join(answer.content.decode().split())


class TestTheList:
    def test_shows_each_channel_with_its_facts(self, at: Client) -> None:
        channel = made(name="Main", type=36, tags="eu", group="vip,default", priority=3)
        Channel.objects.filter(pk=channel.pk).update(
            balance=12.5, balance_updated_time=time.time() - 7200, used_quota=1_000_000
        )
        services.disable_automatically(channel.pk, "http status code: 401")

        page = text(at.get("/channel"))

        for shown in ("Main", "DeepSeek", "eu", "vip", "2 models", "disabled automatically", "¥12.50", "$2.00"):
            assert shown in page
        assert 'title="http status code: 401"' in page
        assert "not tested" in page

    def test_holds_no_secret(self, at: Client) -> None:
        made(type=33, key="", config={"region": "us-west-2", "ak": "AK-canary", "sk": "SK-canary"})
        made(key="sk-canary-0123456789", config={"proxy": "http://u:canary@proxy.example"})

        for address in ("/channel", *(f"/channel/{kind}{pk}" for pk in _ids() for kind in ("", "edit/"))):
            assert b"canary" not in at.get(address).content, address
        assert b"canary" not in b"".join(at.get("/channel/export.csv"))

    def test_takes_as_many_queries_for_sixty_channels_as_for_ten(self, at: Client) -> None:
        def make(count: int) -> None:
            for number in range(count):
                channel = made(name=str(number), tags="a,b")
                ChannelHealth.objects.create(pk=channel.pk, outcomes="1101")
                runs.add_result(channel.pk, "x", "m", Outcome.PASSED, 1.0, "")

        make(10)
        at.get("/channel?size=100")
        with CaptureQueriesContext(connection) as few:
            at.get("/channel?size=100")
        make(50)
        with CaptureQueriesContext(connection) as many:
            page = at.get("/channel?size=100")
        assert len(page.context["rows"]) == 60
        assert len(many) == len(few)

    @pytest.mark.parametrize(
        ("query", "names"),
        [
            ("text=lph", ["alpha"]),
            ("text=sk-find", []),
            ("status=2", ["beta"]),
            ("type=14", ["beta"]),
            ("tag=eu", ["alpha"]),
            ("model=claude-3", ["beta"]),
            ("tested=failed", ["beta"]),
            ("balance_below=5", ["alpha"]),
            ("sort=name", ["alpha", "beta"]),
            ("sort=-priority", ["beta", "alpha"]),
            ("sort=models", ["beta", "alpha"]),
            ("sort=key&status=nonsense&balance_below=x", ["beta", "alpha"]),
        ],
    )
    def test_is_filtered_and_sorted_by_the_server(self, at: Client, query: str, names: list[str]) -> None:
        """D3, D20."""
        alpha = made(name="alpha", tags="eu", key="sk-find")
        beta = made(name="beta", type=14, models="claude-3", status=2, priority=5)
        Channel.objects.filter(pk=alpha.pk).update(balance=1, balance_updated_time=5)
        Channel.objects.filter(pk=beta.pk).update(test_time=5, test_outcome=Outcome.FAILED)

        answer = at.get(f"/channel?{query}")

        assert [row.channel.name for row in answer.context["rows"]] == names

    def test_answers_a_script_with_the_table_alone(self, at: Client) -> None:
        made(name="one")
        answer = at.get("/channel", headers={**HTMX, "HX-Target": "list"})
        assert "<html" not in answer.content.decode()
        assert "one" in answer.content.decode()
        assert "HX-Request" in answer["Vary"]

    def test_every_row_is_drawn_again_after_a_deletion(self, at: Client) -> None:
        """D29: deleted rows left holes."""
        channels = [made(name=f"n{number}") for number in range(12)]
        at.post(f"/channel/{channels[-1].pk}/delete")
        assert len(at.get("/channel?size=10").context["rows"]) == 10

    def test_an_unreadable_secret_takes_no_page_away(self, at: Client) -> None:
        channel = made(name="lost")
        lose_secrets(channel)
        for address in ("/channel", f"/channel/{channel.pk}", f"/channel/edit/{channel.pk}"):
            assert at.get(address).status_code == 200, address


class TestATest:
    def test_of_a_failed_one_says_failed_and_how_long_it_took(self) -> None:
        """D21: 0 ms read as "not tested"."""

        def shown(**columns: int) -> str:
            return rows.Row(Channel(**columns), "OpenAI").test_text

        assert shown() == "not tested"
        assert shown(test_time=5, test_outcome=Outcome.FAILED, test_milliseconds=310) == "failed after 0.31 s"
        assert shown(test_time=5, test_outcome=Outcome.FAILED) == "failed"
        assert shown(test_time=5, test_outcome=Outcome.PASSED, test_milliseconds=1234) == "1.23 s"
        assert shown(test_time=5, response_time=900) == "0.90 s"  # tested before outcomes were kept

    def test_by_hand_names_model_time_and_answer(self, at: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        """D21: the model read "undefined"."""
        channel = made(name="one", test_model="gpt-4")
        asked = []

        def fake(channel_id: int, model: str | None) -> Probe:
            asked.append((channel_id, model))
            return Probe(False, "http status code: 401, <no key>", 0.0, "gpt-4", elapsed=0.31)

        monkeypatch.setattr("channels_app.testing.test_one", fake)
        form = text(at.get(f"/channel/{channel.pk}/test"))
        answer = at.post(f"/channel/{channel.pk}/test", {"model": ""}, headers={**HTMX, "HX-Target": "dialog-body"})

        assert "own (gpt-4)" in form
        assert asked == [(channel.pk, None)]
        page = text(answer)
        assert "The test failed." in page
        assert "http status code: 401, &lt;no key&gt;" in page
        assert "<code>gpt-4</code>" in page
        assert "0.31 s" in page
        assert answer["HX-Trigger"] == f"channel-{channel.pk}"

    def test_is_no_get(self, at: Client) -> None:
        """D42."""
        channel = made()
        at.get(f"/channel/{channel.pk}/test")
        for address in ("status", "field", "balance"):
            assert at.get(f"/channel/{channel.pk}/{address}").status_code == 405
        assert not TestRunResult.objects.exists()


@pytest.mark.parametrize(
    ("kind", "amount", "shown"),
    [
        (1, 0, "–"),
        (1, 4.567, "$4.57"),
        (8, 0, "$0.00"),
        (20, 3, "$3.00"),
        (4, 3, "¥3.00"),
        (12, 3, "¥3.00"),
        (36, 3, "¥3.00"),
        (44, 3, "¥3.00"),
        (5, 25_000, "¥2.50"),
        (10, 12_345, "12.3k"),
        (13, 2_300_000, "2.3M"),
        (14, 5, "–"),
    ],
)
def test_a_balance_is_shown_in_the_unit_of_its_provider(kind: int, amount: float, shown: str) -> None:
    assert rows.shown_balance(Channel(type=kind, balance=amount, balance_updated_time=9)) == shown
    assert rows.shown_balance(Channel(type=kind, balance=amount)) == "–"


class TestARow:
    def test_is_switched_off_and_on(self, at: Client) -> None:
        channel = made(name="one")
        off = at.post(f"/channel/{channel.pk}/status", {"status": "2"}, headers=HTMX)
        assert Channel.objects.get(pk=channel.pk).status == ChannelStatus.DISABLED
        assert f'<tr id="channel-{channel.pk}" class="off"' in text(off)
        on = at.post(f"/channel/{channel.pk}/status", {"status": "1", "next": "/channel?p=2"})
        assert Channel.objects.get(pk=channel.pk).status == ChannelStatus.ENABLED
        assert on["Location"] == "/channel?p=2"
        assert AuditEntry.objects.filter(action="channel.status", actor_name="adam").count() == 2

    def test_keeps_a_number_typed_into_it(self, at: Client) -> None:
        channel = made()
        for field, value in (("priority", "-7"), ("weight", "5"), ("priority", "0")):
            assert (
                at.post(f"/channel/{channel.pk}/field", {"field": field, "value": value}, headers=HTMX).status_code
                == 200
            )
        channel.refresh_from_db()
        assert (channel.priority, channel.weight) == (0, 5)  # D24: zero is a value

    def test_tells_in_the_cell_what_cannot_be_kept(self, at: Client) -> None:
        channel = made(weight=2)
        answer = at.post(f"/channel/{channel.pk}/field", {"field": "weight", "value": "-1"}, headers=HTMX)
        assert answer.status_code == 422
        assert f"weight must be a whole number between 0 and {MAX_WEIGHT}" in text(answer)
        assert Channel.objects.get(pk=channel.pk).weight == 2
        plain = at.post(f"/channel/{channel.pk}/field", {"field": "weight", "value": ""}, follow=True)
        assert "weight must be a whole number" in text(plain)

    @pytest.mark.parametrize("field", ["name", "used_quota", "status", "key", ""])
    def test_changes_no_other_field(self, at: Client, field: str) -> None:
        channel = made()
        assert at.post(f"/channel/{channel.pk}/field", {"field": field, "value": "1"}).status_code == 404

    def test_asks_before_it_deletes(self, at: Client) -> None:
        channel = made(name="one")
        assert "Delete the channel “one”?" in text(at.get(f"/channel/{channel.pk}/delete"))
        assert Channel.objects.exists()
        at.post(f"/channel/{channel.pk}/delete")
        assert not Channel.objects.exists()

    def test_is_disabled_for_a_time(self, at: Client) -> None:
        channel = made()
        at.post(f"/channel/{channel.pk}/pause", {"length": "3600", "reason": "moving"})
        channel.refresh_from_db()
        assert 3500 < channel.disabled_until - time.time() <= 3600
        assert (channel.status, channel.status_reason) == (ChannelStatus.DISABLED, "moving")

    @pytest.mark.parametrize(
        ("posted", "error"),
        [
            ({"length": "at"}, "Enter the moment at which the channel is to be enabled again."),
            ({"length": "at", "until": "2020-01-01T00:00"}, "the time must lie ahead, within a year"),
            ({"length": "5"}, "Select a valid choice"),
        ],
    )
    def test_is_not_disabled_until_nonsense(self, at: Client, posted: dict[str, str], error: str) -> None:
        channel = made()
        answer = at.post(f"/channel/{channel.pk}/pause", posted)
        assert answer.status_code == 422
        assert error in text(answer)
        assert Channel.objects.get(pk=channel.pk).status == ChannelStatus.ENABLED

    def test_is_copied_with_or_without_its_key(self, at: Client) -> None:
        channel = made(name="one", key="sk-1")
        answer = at.post(f"/channel/{channel.pk}/copy", {"with_key": "on"})
        copy = Channel.objects.latest("id")
        assert answer["Location"] == f"/channel/edit/{copy.pk}"
        assert (copy.key, copy.status) == ("sk-1", ChannelStatus.ENABLED)
        at.post(f"/channel/{channel.pk}/copy", {})
        assert Channel.objects.latest("id").key == ""

    def test_says_why_a_balance_is_not_known(self, at: Client) -> None:
        channel = made(type=14)
        answer = at.post(f"/channel/{channel.pk}/balance", headers=HTMX)
        assert f"The balance of channel #{channel.pk} is not known: its type tells none" in text(answer)


class TestMany:
    def ids(self, *names: str) -> list[str]:
        return [str(pk) for pk in Channel.objects.filter(name__in=names).order_by("id").values_list("pk", flat=True)]

    def test_are_changed_only_after_a_look_at_before_and_after(self, at: Client) -> None:
        for name in "abc":
            made(name=name, priority=1)
        posted = {"action": "set_priority", "value": "9", "id": self.ids("a", "b")}

        preview = at.post("/channel/bulk", posted, headers={**HTMX, "HX-Target": "dialog-body"})
        assert "2 channels will be changed." in text(preview)
        assert set(Channel.objects.values_list("priority", flat=True)) == {1}
        at.post("/channel/bulk", {**posted, "ids": preview.context["ids"], "confirmed": "yes"})

        assert dict(Channel.objects.values_list("name", "priority")) == {"a": 9, "b": 9, "c": 1}
        assert AuditEntry.objects.filter(action="channel.bulk").count() == 1

    def test_are_all_that_match_the_filters(self, at: Client) -> None:
        for name in ("eu 1", "eu 2", "us"):
            made(name=name)
        posted = {"action": "disable", "all": "on", "query": "text=eu"}
        preview = at.post("/channel/bulk", posted)
        assert preview.context["ids"] == ",".join(self.ids("eu 1", "eu 2"))

    def test_a_channel_made_since_the_look_is_left_alone(self, at: Client) -> None:
        made(name="eu 1")
        ids = at.post("/channel/bulk", {"action": "disable", "all": "on", "query": ""}).context["ids"]
        made(name="eu 2")
        at.post("/channel/bulk", {"action": "disable", "all": "on", "ids": ids, "confirmed": "yes"})
        assert dict(Channel.objects.values_list("name", "status")) == {"eu 1": 2, "eu 2": 1}

    def test_what_would_lose_its_models_is_named_and_left_as_it_is(self, at: Client) -> None:
        made(name="bare", models="m1")
        made(name="rich", models="m1,m2")
        posted = {"action": "remove_model", "value": "m1", "id": self.ids("bare", "rich")}

        preview = at.post("/channel/bulk", posted)
        page = text(preview)
        assert "it would be left without a model" in page
        assert "1 channel cannot be changed so" in page
        at.post("/channel/bulk", {**posted, "ids": preview.context["ids"], "confirmed": "yes"})

        assert dict(Channel.objects.values_list("name", "model_names")) == {"bare": "m1", "rich": "m2"}

    def test_a_forged_confirmation_changes_nothing(self, at: Client) -> None:
        made(name="bare", models="m1")
        made(name="rich", models="m1,m2")
        posted = {
            "action": "remove_model",
            "value": "m1",
            "confirmed": "yes",
            "ids": ",".join(self.ids("bare", "rich")),
        }
        answer = at.post("/channel/bulk", posted, follow=True)
        assert "Nothing was changed: " in text(answer)
        assert "it would be left without a model" in text(answer)
        assert dict(Channel.objects.values_list("name", "model_names")) == {"bare": "m1", "rich": "m1,m2"}

    @pytest.mark.parametrize(
        ("posted", "says"),
        [
            ({"action": "set_priority", "value": "high", "id": "1"}, "priority must be a whole number"),
            ({"action": "add_tag", "value": "", "id": "1"}, "say what to add or to remove"),
            ({"action": "explode", "id": "1"}, "Choose what to do with the channels."),
            ({"action": "enable"}, "No channel is chosen. Tick the rows first."),
            ({"action": "enable", "ids": "x,9999999999999999999999"}, "No channel is chosen."),
        ],
    )
    def test_what_cannot_be_done_is_said(self, at: Client, posted: dict[str, str], says: str) -> None:
        assert says in text(at.post("/channel/bulk", posted, follow=True))

    def test_balances_are_refreshed_in_the_background(self, at: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        """D23: it did nothing and said it had."""
        asked: list[Any] = []
        monkeypatch.setattr(balances, "start", asked.append)
        channel = made()
        at.post("/channel/bulk", {"action": "balance", "id": str(channel.pk)})
        assert asked == [{channel.pk}]

    def test_a_download_has_what_the_filters_find(self, at: Client) -> None:
        made(name="=1+1", tags="eu")
        made(name="other")
        content = b"".join(at.get("/channel/export.csv?tag=eu"))
        header, *lines = csv.reader(io.StringIO(content.decode("utf-8-sig")))
        assert "key" not in header
        assert [line[1] for line in lines] == ["'=1+1"]


class TestDeletingTheDisabledOnes:
    def test_needs_their_number_typed(self, at: Client) -> None:
        made(name="on")
        made(name="off", status=2)
        made(name="auto", status=3)

        assert "2 channels are disabled" in text(at.get("/channel/delete-disabled"))
        answer = at.post("/channel/delete-disabled", {"typed": "3"}, follow=True)
        assert "Nothing was deleted" in text(answer)
        assert Channel.objects.count() == 3
        at.post("/channel/delete-disabled", {"typed": "2"})
        assert list(Channel.objects.values_list("name", flat=True)) == ["on"]


def test_a_key_is_found_whole_and_told_nowhere(at: Client) -> None:
    """D20: the search promised it."""
    channel = made(name="holder", key="sk-whole-canary")
    made(name="other", key="sk-other")
    found = at.post("/channel/find-key", {"key": "sk-whole-canary"})
    assert f"#{channel.pk} holder" in text(found)
    assert "canary" not in text(found)
    assert "No channel holds this key." in text(at.post("/channel/find-key", {"key": "sk-whole"}))


def test_the_page_of_a_channel_tells_tests_reason_and_what_happened(at: Client) -> None:
    channel = made(name="one", notes="ask Bob\nfirst")
    runs.add_result(channel.pk, "one", "gpt-4o", Outcome.FAILED, 0.5, "<b>no</b>")
    services.disable_automatically(channel.pk, "http status code: 401")

    page = text(at.get(f"/channel/{channel.pk}"))

    for shown in ("one (#", "Why it is disabled: http status code: 401", "&lt;b&gt;no&lt;/b&gt;", "ask Bob"):
        assert shown in page
    assert "disabled automatically" in page
    assert at.get("/channel/999").status_code == 404


def test_guests_sign_in_first_and_users_are_refused(alice: User) -> None:
    """D45."""
    channel = made()
    for address in ("/channel", f"/channel/{channel.pk}", "/channel/add", f"/channel/edit/{channel.pk}", "/test-runs"):
        assert Client().get(address)["Location"] == f"/login?next={address}"
        assert signed_in(alice).get(address).status_code == 403


def _ids() -> list[int]:
    return list(Channel.objects.values_list("pk", flat=True))
