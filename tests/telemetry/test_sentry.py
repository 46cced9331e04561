"""Exceptions that nobody foresaw, as Sentry receives them: of calls, of pages and of jobs."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from django.test import Client
from django.urls import path

from config.urls import urlpatterns as ours
from jobs.leases import Held
from jobs.running import Context, Run
from relay.app import Relay
from telemetry import sentry
from tests.telemetry.receiver import Receiver

SECRET = "sk-abcdefgh12345678"
BODY = b'{"model": "m", "messages": [{"role": "user", "content": "a secret prompt"}]}'


def broken_page(request: Any) -> Any:
    prompt = request.body.decode()
    raise LookupError(f"key {SECRET}\n{prompt}")


urlpatterns = [path("broken", broken_page), *ours]


@pytest.fixture
def reporting(receiver: Receiver, settings: Any) -> Iterator[Receiver]:
    import sentry_sdk

    settings.SENTRY_DSN = receiver.url.replace("://", "://key@") + "/1"
    receiver.posts.clear()
    sentry.start()
    yield receiver
    sentry_sdk.get_client().close()
    sentry_sdk.get_global_scope().set_client(None)


def reported(receiver: Receiver) -> dict[str, Any]:
    """The only report; and nothing in what was sent tells a secret."""
    import sentry_sdk

    sentry_sdk.flush(10)
    (event,) = receiver.reports()
    for _, sent in receiver.posts:
        assert SECRET.encode() not in sent
        assert b"a secret prompt" not in sent
    return event


def shown(event: dict[str, Any]) -> tuple[str, str]:
    last = event["exception"]["values"][-1]
    return last["type"], last["value"]


async def test_of_a_call(reporting: Receiver) -> None:
    class Callers:
        async def authenticate(self, head: Any) -> Any:
            authorization = head.headers["authorization"]
            raise LookupError(f"Authorization: {authorization}")

    told: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": BODY, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        told.append(message)

    failures = SimpleNamespace(note=lambda *args: None)
    worker: Any = SimpleNamespace(limits=SimpleNamespace(trusted_proxies=()), callers=Callers(), failures=failures)
    headers = [(b"authorization", f"Bearer {SECRET}".encode())]
    scope = {"type": "http", "method": "POST", "path": "/v1/chat/completions", "query_string": b"", "headers": headers}
    await Relay(worker)(scope, receive, send)

    assert told[0]["status"] == 500
    event = reported(reporting)
    assert shown(event) == ("LookupError", "Authorization: Bearer ***")
    answered_with = dict(told[0]["headers"])[b"x-oneapi-request-id"].decode()
    assert event["tags"]["request_id"] == answered_with
    assert not {"request", "breadcrumbs", "extra", "user"} & set(event)
    assert all("vars" not in frame for frame in event["exception"]["values"][-1]["stacktrace"]["frames"])


@pytest.mark.urls(__name__)
def test_of_a_page(reporting: Receiver, db: None) -> None:
    client = Client(raise_request_exception=False)
    answer = client.post("/broken", BODY, content_type="application/json", headers={"Cookie": f"session={SECRET}"})

    assert answer.status_code == 500
    assert shown(reported(reporting)) == ("LookupError", "key sk-***")


def test_of_a_job(reporting: Receiver) -> None:
    def work(context: Context) -> None:
        raise LookupError(f"password={SECRET}")

    assert Run(Held("weekly", "this run"), work, 60)._done() == "failed: LookupError"
    assert shown(reported(reporting)) == ("LookupError", "password=***")


def test_lines_that_are_no_exceptions_stay_in_the_log(reporting: Receiver) -> None:
    logging.getLogger("relay").error("channel #7 failed: %s", SECRET)
    import sentry_sdk

    sentry_sdk.flush(5)
    assert not any(b"channel #7" in sent for _, sent in reporting.posts)
