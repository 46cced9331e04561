"""What nobody foresaw, in the middle of a call: its caller and its log line are told, and a good answer is not lost."""

from __future__ import annotations

import contextlib
import logging
from types import SimpleNamespace
from typing import Any, cast

import pytest
from django.db import OperationalError

from channels_app import services as channels
from relay.errors import CallerLeft, GatewayError, RelayError, UpstreamError
from relay.passages.untouched import remember_refusal
from relay.pipeline import Relay


class Breaking:
    """A stream that breaks."""

    def __init__(self, error: BaseException) -> None:
        self._error = error

    async def forward(self, answer: object) -> bytes:
        raise self._error


def relay(*, started: bool) -> Relay:
    reply = SimpleNamespace(started=started, request_id="id")
    lifeline = SimpleNamespace(interruptible=contextlib.AsyncExitStack)
    nothing = cast("Any", None)
    return Relay(nothing, nothing, nothing, nothing, nothing, nothing, cast("Any", lifeline), cast("Any", reply))


async def test_an_answer_that_has_begun_ends_with_an_error(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(GatewayError) as told:
        await relay(started=True)._forwarded(cast("Any", Breaking(ValueError("secret"))), cast("Any", None))

    assert told.value.code == "internal_error"
    assert "secret" not in str(told.value.message)
    assert "request id failed in its stream: ValueError" in caplog.text


@pytest.mark.parametrize(
    "error", [UpstreamError("x"), CallerLeft(), RelayError("x")], ids=lambda one: type(one).__name__
)
async def test_what_was_foreseen_passes_as_it_is(error: Exception) -> None:
    with pytest.raises(type(error)) as told:
        await relay(started=True)._forwarded(cast("Any", Breaking(error)), cast("Any", None))

    assert told.value is error


async def test_before_the_answer_it_is_the_front_s_to_tell() -> None:
    with pytest.raises(ValueError, match="early"):
        await relay(started=False)._forwarded(cast("Any", Breaking(ValueError("early"))), cast("Any", None))


async def test_a_note_that_cannot_be_made_costs_nobody_an_answer(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def away(channel_id: int) -> None:
        raise OperationalError("database is locked")

    monkeypatch.setattr(channels, "record_refuses_stream_options", away)
    with caplog.at_level(logging.WARNING):
        await remember_refusal(7)

    assert "channel #7 refuses stream_options, which could not be noted: database is locked" in caplog.text
