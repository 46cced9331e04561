"""A body that does not fit is refused before Django sees it, in the caller's language."""

from __future__ import annotations

import json
from typing import Any

import pytest

from config import intake
from config.asgi import Application
from relay.asgi import Message

PART = b" " * (1024 * 1024)


class Caller:
    """One request with `size` parts of a megabyte; `sent` is the answer."""

    def __init__(self, parts: int, **headers: str) -> None:
        self.left = parts
        self.sent: list[Message] = []
        self.scope: dict[str, Any] = {
            "type": "http",
            "method": "PUT",
            "path": "/api/option/",
            "raw_path": b"/api/option/",
            "query_string": b"",
            "headers": [(name.replace("_", "-").lower().encode(), value.encode()) for name, value in headers.items()],
            "client": ("192.0.2.1", 1),
        }

    async def receive(self) -> Message:
        self.left -= 1
        return {"type": "http.request", "body": PART, "more_body": self.left > 0}

    async def send(self, message: Message) -> None:
        self.sent.append(message)


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        ({}, "请求体过大"),
        ({"Accept_Language": "zh-CN,zh;q=0.9,en;q=0.8"}, "请求体过大"),
        ({"Accept_Language": "fr"}, "请求体过大"),
        ({"Accept_Language": "en-GB,en;q=0.9"}, "The request body is too large"),
    ],
    ids=["none", "Chinese", "French", "English"],
)
async def test_a_body_without_end_is_refused_in_the_callers_language(
    headers: dict[str, str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    application = Application()
    monkeypatch.setattr(application, "_started", lambda: None)  # no worker is needed to refuse
    caller = Caller(100, **headers)

    await application(caller.scope, caller.receive, caller.send)

    start, body = caller.sent
    assert start["status"] == 413
    assert json.loads(body["body"]) == {"success": False, "message": message}
    assert dict(start["headers"])[b"content-length"] == str(len(body["body"])).encode()
    assert caller.left == 100 - intake.MOST_BODY // len(PART) - 1  # the rest was not even read
