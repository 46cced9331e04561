"""Accounts in PostgreSQL and the log in a file of SQLite: each is spoken to in its own dialect."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import databases, server
from tests.fake_upstream import FakeUpstream
from tests.relay.raw import ask, chat, until
from tests.server import ROOT_TOKEN


@pytest.mark.parametrize("kind", ["postgres", "mysql"])
def test_a_log_of_another_engine_is_written_and_read(kind: str, upstream: FakeUpstream, tmp_path: Path) -> None:
    if databases.version(kind) is None:
        databases.missing(f"{kind} does not answer")
    settings = {"LOG_SQL_DSN": f"sqlite:///{tmp_path}/logs.db"}
    with (
        databases.fresh(kind, tmp_path) as database,
        server.running(database, 1, tmp_path, settings) as gateway,
    ):
        gateway.add_channel(upstream.url, "gpt-3.5-turbo")
        gateway.wait_until_routed(ROOT_TOKEN, "gpt-3.5-turbo")
        account = gateway.new_user(1_000_000)

        assert ask(gateway, account, "/v1/chat/completions", chat("gpt-3.5-turbo")).status == 200

        until(lambda: gateway.api("GET", "/api/log/stat?type=2")["quota"] > 0, 10)
        (row,) = gateway.api("GET", f"/api/log/?type=2&username={account.username}")
        assert row["quota"] == 1_000_000 - gateway.books().quota(account.id)
        assert gateway.api("GET", "/api/log/search?keyword=2")[0]["id"] == row["id"]
        assert [one["username"] for one in gateway.api("GET", f"/api/user/search?keyword={account.id}")] == ["user1"]
        (channel,) = gateway.api("GET", "/api/channel/search?keyword=GPT")
        assert channel["used_quota"] == row["quota"]
        root = gateway.api("GET", "/api/user/dashboard")
        assert root == []  # the call was not root's
        assert gateway.api("DELETE", f"/api/log/?target_timestamp={row['created_at'] + 1}") == 1
    assert (tmp_path / "logs.db").exists()
