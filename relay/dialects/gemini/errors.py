"""Errors in Google's shape: {"error": {"code", "message", "status", "details"}}.

https://google.aip.dev/193 and https://cloud.google.com/apis/design/errors (names by HTTP status, kinds of details).
"""

from __future__ import annotations

from relay.errors import RelayError, UpstreamError
from relay.neutral.events import Json

NAMES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ABORTED",
    410: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
# What an upstream may say instead, where one HTTP status stands for several names.
FINER = {400: ("FAILED_PRECONDITION", "OUT_OF_RANGE"), 409: ("ALREADY_EXISTS",), 500: ("UNKNOWN", "DATA_LOSS")}
TYPE = "type.googleapis.com/google.rpc."


def status_name(error: RelayError) -> str:
    if error.kind in FINER.get(error.status, ()):
        return error.kind
    return NAMES.get(error.status, "INTERNAL" if error.status >= 500 else "INVALID_ARGUMENT")


def error_body(error: RelayError, request_id: str) -> Json:
    """With the reason in one word, the request's id, and the time to wait where one is known."""
    details: list[Json] = []
    if isinstance(error.code, str) and error.code:
        details.append({"@type": TYPE + "ErrorInfo", "reason": error.code.upper(), "domain": "one-api"})
    details.append({"@type": TYPE + "RequestInfo", "requestId": request_id})
    if isinstance(error, UpstreamError) and error.retry_after is not None:
        details.append({"@type": TYPE + "RetryInfo", "retryDelay": f"{max(1, round(error.retry_after))}s"})
    body = {"code": error.status, "message": error.message, "status": status_name(error), "details": details}
    return {"error": body}
