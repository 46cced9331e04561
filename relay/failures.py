"""Lines in the log for calls that fail. They never delay an answer, and who fails in a loop does not fill the log."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from billing.batch import Failure
from billing.books import Books
from relay import told
from relay.errors import RelayError
from relay.told import Trace

MOST = 60  # lines of one token within WINDOW, by each worker
WINDOW = 60.0  # seconds
MANY = 10_000  # tokens remembered before those whose time is over are forgotten


@dataclass(slots=True)
class _Lines:
    since: float
    written: int = 0
    left_out: int = 0  # since the last one that was written


class Failures:
    """One worker's. Belongs to its event loop."""

    def __init__(self, books: Books, logged: Callable[[], bool], clock: Callable[[], float] = time.monotonic) -> None:
        """`logged`: whether calls have log lines at all (LogConsumeEnabled)."""
        self._books = books
        self._logged = logged
        self._clock = clock
        self._lines: dict[int, _Lines] = {}

    def note(self, trace: Trace, request_id: str, error: RelayError) -> None:
        """A call has failed and is about to be answered with this error; nothing when nobody knows whose it was."""
        caller, head, call, attempt = trace.caller, trace.head, trace.call, trace.attempt
        if caller is None:
            return
        lines = self._room(caller.token_id) if self._logged() else None
        message = error.message
        if lines is not None and lines.left_out:
            message += f" (and {lines.left_out} more failed calls of this key)"
        model = attempt.model if attempt else call.model if call else ""
        noted = self._books.note(
            Failure(
                request_id=request_id,
                user_id=caller.user_id,
                token_id=caller.token_id,
                channel_id=attempt.route.channel_id if attempt else 0,
                model_name=told.clean(model, told.MAX_MODEL) if trace.routed else "",
                logged=lines is not None,
                log={
                    "content": told.clean(message, told.MAX_MESSAGE),
                    "username": caller.username,
                    "token_name": caller.token_name,
                    "model_name": told.clean(model, told.MAX_MODEL),
                    "elapsed_time": int((time.monotonic() - trace.started) * 1000),
                    "is_stream": call is not None and call.stream,
                    "group": caller.group,
                    "status": error.status,
                    "error_code": told.error_code(error),
                    "upstream_model": told.upstream_model(call, attempt) if call and attempt else "",
                    **(told.origin(head.ip, head.headers) if head else {}),
                },
            )
        )
        if noted and lines is not None:
            lines.written += 1
            lines.left_out = 0

    def _room(self, token_id: int) -> _Lines | None:
        """The lines of this token, to which one may be added; None, and the failure is counted, where not."""
        now = self._clock()
        lines = self._lines.get(token_id)
        if lines is None:
            if len(self._lines) >= MANY:
                self._lines = {one: kept for one, kept in self._lines.items() if now - kept.since < WINDOW}
            lines = self._lines[token_id] = _Lines(now)
        elif now - lines.since >= WINDOW:
            lines.since, lines.written = now, 0
        if lines.written >= MOST:
            lines.left_out += 1
            return None
        return lines
