"""Each provider is asked as it wants to be asked, and what it answers is stored; a used-up account is disabled."""

from __future__ import annotations

import http.server
import json
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

import pytest

from channels_app import balances
from channels_app.balances import BadBalanceRow, BalanceUnknown, parse, update_balance
from channels_app.models import Channel, ChannelStatus
from channels_app.providers import PROVIDERS
from channels_app.services import ChannelMissing
from jobs import leases, running
from notices.models import Kind, OutboxMessage
from tests.channels_app.test_services import made

pytestmark = pytest.mark.django_db
Seen = list[tuple[str, dict[str, str]]]


@contextmanager
def answering(answers: dict[str, Any], status: int = 200) -> Iterator[tuple[str, Seen]]:
    """(base URL, requests seen) of a server that answers these paths with these documents."""
    seen: Seen = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
            document = answers.get(self.path.partition("?")[0])
            body = document if isinstance(document, bytes) else json.dumps(document).encode()
            self.send_response(404 if document is None else status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", seen
        finally:
            server.shutdown()


BILLING = "/v1/dashboard/billing"
CREDITS = "/dashboard/billing/credit_grants"
PLAIN: list[tuple[int, str, Any, float]] = [
    (4, CREDITS, {"total_available": 12.5}, 12.5),
    (10, "/api/report/getUserOverview", {"success": True, "data": {"totalPoints": 300}}, 300.0),
    (12, CREDITS, {"total_remaining": 4}, 4.0),
    (13, CREDITS, {"total_available": 7.25}, 7.25),
    (20, "/v1/credits", {"data": {"total_credits": 10, "total_usage": 2.5}}, 7.5),
    (
        36,
        "/user/balance",
        {"balance_infos": [{"currency": "USD", "total_balance": "1"}, {"currency": "CNY", "total_balance": "8.80"}]},
        8.8,
    ),
    (44, "/v1/user/info", {"code": 20000, "data": {"totalBalance": "0.5"}}, 0.5),
]


@pytest.mark.parametrize(("channel_type", "path", "document", "balance"), PLAIN)
def test_providers_with_one_question(channel_type: int, path: str, document: Any, balance: float) -> None:
    with answering({path: document}) as (base_url, seen):
        channel = made(type=channel_type, base_url=base_url, key="sk-the-key")

        assert update_balance(channel.pk) == balance

    channel.refresh_from_db()
    assert channel.balance == balance
    assert channel.balance_updated_time > 0
    ((asked, headers),) = seen
    assert asked == path
    if channel_type == 10:
        assert (headers["api-key"], headers.get("authorization")) == ("sk-the-key", None)
    else:
        assert headers["authorization"] == "Bearer sk-the-key"


@pytest.mark.parametrize("channel_type", [1, 8])
@pytest.mark.parametrize("paying", [True, False])
def test_openai_takes_two(channel_type: int, paying: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    class Fixed(datetime):
        """A clock by which midnight does not come between the question and what is expected of it."""

        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Fixed:
            return cls(2026, 5, 17, 12, tzinfo=UTC).astimezone(tz)

    monkeypatch.setattr(balances, "datetime", Fixed)
    answers = {
        f"{BILLING}/subscription": {"has_payment_method": paying, "hard_limit_usd": 120.0},
        f"{BILLING}/usage": {"total_usage": 2050},
    }
    with answering(answers) as (base_url, seen):
        assert update_balance(made(type=channel_type, base_url=base_url).pk) == 99.5

    today = Fixed.now(UTC).date()
    since = today.replace(day=1) if paying else today - timedelta(days=100)
    assert [path for path, _ in seen] == [
        f"{BILLING}/subscription",
        f"{BILLING}/usage?start_date={since}&end_date={today}",
    ]


def test_the_one_key_that_travels_in_an_address_is_never_logged_or_told(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    path = "/sb-api/user/status"
    with answering({path: {"data": {"credit": "4200"}}}) as (base_url, seen):
        assert update_balance(made(type=5, base_url=base_url, key="sk-of-sb+&").pk) == 4200
    ((asked, headers),) = seen
    assert asked == f"{path}?api_key=sk-of-sb%2B%26"
    assert "authorization" not in headers
    with answering({path: {"data": None, "msg": "no such key sk-of-sb"}}) as (base_url, _):
        channel = made(type=5, base_url=base_url, key="sk-of-sb")
        with pytest.raises(BalanceUnknown, match=r"^no such key \[key\]$"):
            update_balance(channel.pk)
    channel = made(type=5, base_url="http://127.0.0.1:1", key="sk-of-sb")
    with pytest.raises(BalanceUnknown) as refusal:
        update_balance(channel.pk)
    assert "sk-of-sb" not in f"{refusal.value} {caplog.text}"


@pytest.mark.parametrize(
    ("channel_type", "path", "document", "message"),
    [
        (10, "/api/report/getUserOverview", {"success": False, "error_code": 7, "message": "m"}, "code: 7, message: m"),
        (36, "/user/balance", {"balance_infos": []}, "currency CNY not found"),
        (44, "/v1/user/info", {"code": 50000, "message": "m"}, "code: 50000, message: m"),
        (4, CREDITS, {}, "the answer holds no balance"),
        (4, CREDITS, {"total_available": "NaN"}, "the answer holds no balance"),
        (4, CREDITS, {"total_available": True}, "the answer holds no balance"),
        (4, CREDITS, b'{"total_available": 1e400}', "the answer holds no balance"),
        (4, CREDITS, [], "the answer is not a JSON object"),
        (4, CREDITS, b"<html>", "the answer is not JSON"),
        (4, "/elsewhere", {}, "status code: 404"),
    ],
)
def test_what_is_no_balance_says_why_and_changes_nothing(
    channel_type: int, path: str, document: Any, message: str
) -> None:
    with answering({path: document}) as (base_url, _):
        channel = made(type=channel_type, base_url=base_url)
        with pytest.raises(BalanceUnknown) as refusal:
            update_balance(channel.pk)

    assert str(refusal.value) == message
    channel.refresh_from_db()
    assert (channel.balance, channel.balance_updated_time) == (0, 0)


@pytest.mark.parametrize("channel_type", sorted(set(PROVIDERS) - set(balances.SOURCES)))
def test_all_other_types_tell_none(channel_type: int) -> None:
    channel = made()
    Channel.objects.filter(pk=channel.pk).update(type=channel_type, base_url="http://127.0.0.1:1")
    with pytest.raises(BalanceUnknown, match=r"^尚未实现$"):
        update_balance(channel.pk)


def test_an_unknown_type_and_a_missing_channel_are_told_apart() -> None:
    channel = made()
    Channel.objects.filter(pk=channel.pk).update(type=9999)
    with pytest.raises(BalanceUnknown, match="type 9999 is not known"):
        update_balance(channel.pk)
    with pytest.raises(ChannelMissing):
        update_balance(404)


def test_the_table_has_a_row_for_each_type_that_supports_it() -> None:
    assert set(balances.SOURCES) == {one.id for one in PROVIDERS.values() if one.balance_supported}


@pytest.mark.parametrize(
    "row",
    [
        {"types": [4]},
        {"types": [], "path": "/x", "amount": "a"},
        {"types": [3], "path": "/x", "amount": "a"},
        {"types": [4], "path": "/x", "amount": "a", "colour": "red"},
        {"types": [4], "path": "/x", "amount": "a", "base_url": "http://x"},
        {"types": [4], "kind": "magic"},
    ],
)
def test_a_bad_row_is_refused(row: dict[str, Any]) -> None:
    with pytest.raises(BadBalanceRow):
        parse({"balance": [row]})


@pytest.mark.django_db(transaction=True)
def test_all_balances_of_enabled_channels_and_used_up_ones_are_disabled() -> None:
    with (
        answering({CREDITS: {"total_available": 5}}) as (rich, _),
        answering({CREDITS: {"total_available": 0}}) as (poor, _),
    ):
        made(type=4, name="rich", base_url=rich)
        made(type=4, name="poor", base_url=poor)
        made(type=4, name="away", base_url="http://127.0.0.1:1")
        made(type=3, name="azure", base_url=rich)
        off = made(type=4, name="off", base_url=poor)
        Channel.objects.filter(pk=off.pk).update(status=ChannelStatus.DISABLED)

        run = running.start(balances.NAME, balances.update_all, 60)
        assert run is not None
        assert run.wait(60)

    assert run.outcome == "ok"
    rows = {channel.name: channel for channel in Channel.objects.all()}
    assert {name: row.status for name, row in rows.items()} == {"rich": 1, "poor": 3, "away": 1, "azure": 1, "off": 2}
    assert (rows["rich"].balance, rows["poor"].status_reason) == (5, "余额不足")
    detail = leases.state(balances.NAME).detail
    assert detail == {"total": 3, "done": 3, "updated": 2, "failed": 1, "disabled": [rows["poor"].pk]}
    assert [message.kind for message in OutboxMessage.objects.all()] == [Kind.CHANNEL_DISABLED]


@pytest.mark.django_db(transaction=True)
def test_one_update_at_a_time() -> None:
    held = leases.acquire(balances.NAME, 30)
    assert held is not None
    with pytest.raises(balances.AlreadyRunning):
        balances.start()
