"""Exceptions that nobody foresaw, reported to Sentry (SENTRY_DSN): those the log has with their traceback, masked.

Everything else that Sentry's client would gather by itself is left off: requests with their headers and bodies, local
variables, the lines of the log before it. The package is imported only where a DSN is set.
"""

from __future__ import annotations

import logging
import socket
from typing import Any

from django.conf import settings

from config.logging import request_id
from config.redaction import mask, one_line

MESSAGE = 300  # characters of an exception's message; a longer one may hold what a caller sent
LEFT_OUT = ("request", "user", "breadcrumbs", "extra", "modules")


def start() -> None:
    import sentry_sdk
    from sentry_sdk.integrations.logging import LoggingIntegration

    sentry_sdk.init(
        dsn=settings.SENTRY_DSN,
        environment=settings.SENTRY_ENVIRONMENT,
        release=f"one-api@{settings.VERSION}",
        server_name=socket.gethostname(),
        default_integrations=False,
        auto_enabling_integrations=False,
        integrations=[LoggingIntegration(level=None, event_level=logging.ERROR)],
        send_default_pii=False,
        include_local_variables=False,
        include_source_context=False,
        max_request_body_size="never",
        max_breadcrumbs=0,
        before_send=scrub,
    )


def scrub(event: Any, hint: Any) -> Any:
    """Sentry's event with secrets masked and all that could hold a body left out; None, and it is not sent."""
    if not hint.get("exc_info"):
        return None  # a line of the log that is no exception: the log has it
    for name in LEFT_OUT:
        event.pop(name, None)
    for exception in (event.get("exception") or {}).get("values", ()):
        exception["value"] = _short(exception.get("value"))
        for frame in (exception.get("stacktrace") or {}).get("frames", ()):
            frame.pop("vars", None)
    told = event.pop("logentry", None)
    if told:
        event["logentry"] = {"message": _short(told.get("message"))}
    record = hint.get("log_record")
    if found := getattr(record, "request_id", "") or request_id.get():
        event.setdefault("tags", {})["request_id"] = mask(found)
    return event


def _short(text: Any) -> str:
    return one_line(mask(str(text or "").partition("\n")[0]))[:MESSAGE]
