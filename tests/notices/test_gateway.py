"""Mail from a whole gateway: several workers, one letter; and what is queued survives them all."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.conftest import MakeGateway
from tests.databases import Database
from tests.notices import mailbox


def wait_for(condition: Callable[[], Any], seconds: float) -> float:
    """How long it took."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds, f"nothing within {seconds} s"
        time.sleep(0.05)
    return time.monotonic() - began


@pytest.mark.slow
def test_a_code_asked_for_is_sent_once_though_the_workers_die_at_once(
    gateway: MakeGateway, module_database: Database
) -> None:
    with mailbox.serving() as box:
        running = gateway(module_database, workers=2)
        options = {"SMTPServer": "127.0.0.1", "SMTPPort": str(box.port), "SMTPFrom": "robot@one.example"}
        for key, value in options.items():
            running.api("PUT", "/api/option/", json={"key": key, "value": value})

        def ask(name: str) -> None:
            running.api("GET", "/api/verification", params={"email": f"{name}@example.com"})

        ask("first")
        wait_for(lambda: box.messages, 20)
        ask("second")
        running.kill9()
        running.restart()
        wait_for(lambda: len(box.messages) > 1, 60)
        time.sleep(6)  # a round more

    assert [message["To"] for message in box.messages] == ["first@example.com", "second@example.com"]
