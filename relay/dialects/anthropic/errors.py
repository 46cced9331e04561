"""Errors in Anthropic's shape: {"type": "error", "error": {"type", "message"}, "request_id"}.

https://platform.claude.com/docs/en/api/errors.
"""

from __future__ import annotations

from relay.errors import RelayError
from relay.neutral.events import Json

KINDS = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}
KNOWN = frozenset({*KINDS.values(), "invalid_request_error", "api_error"})


def error_kind(error: RelayError) -> str:
    """The upstream's own type where it is one of Anthropic's and says more than the status, else by status."""
    by_status = KINDS.get(error.status, "api_error" if error.status >= 500 else "invalid_request_error")
    return error.kind if error.kind in KNOWN and by_status in ("api_error", "invalid_request_error") else by_status


def error_body(error: RelayError, request_id: str) -> Json:
    return {
        "type": "error",
        "error": {"type": error_kind(error), "message": error.message},
        "request_id": request_id,
    }
