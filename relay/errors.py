"""What can go wrong with a call, told apart by class.

    RelayError                    has a status and a body in the shape of OpenAI's errors
    ├── ClientError               the caller's fault: never retried, never counted against a channel
    │   ├── NotAuthenticated      401
    │   ├── Forbidden             403
    │   ├── InsufficientQuota     403
    │   └── KeyConflict           409
    ├── GatewayError              our own fault (database away, a bug): 5xx, not retried, not the channel's fault
    └── UpstreamError             the provider failed before the first byte reached the caller: another may answer

Contract: relay reference, section 10.
"""

from __future__ import annotations

from typing import Any

import orjson

KIND = "one_api_error"


class RelayError(Exception):
    """`short` errors carry only message and type, as authentication and routing errors do in the contract."""

    status = 500
    code: Any = ""
    kind = KIND
    param: Any = ""
    short = False

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        code: Any = None,
        kind: str | None = None,
        param: Any = None,
        headers: tuple[tuple[bytes, bytes], ...] = (),
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status if status is not None else self.status
        self.code = code if code is not None else self.code
        self.kind = kind if kind is not None else self.kind
        self.param = param if param is not None else self.param
        self.headers = headers

    def body(self, request_id: str) -> dict[str, Any]:
        message = f"{self.message} (request id: {request_id})"
        if self.short:
            return {"error": {"message": message, "type": self.kind}}
        return {"error": {"message": message, "type": self.kind, "param": self.param, "code": self.code}}

    def encode(self, request_id: str) -> bytes:
        return orjson.dumps(self.body(request_id))


class ClientError(RelayError):
    status = 400


class BadRequest(ClientError):
    """The body or a parameter cannot be used; `code` says which stage refused it."""

    status, code = 400, "invalid_request"


class TooLarge(ClientError):
    status, code = 413, "request_too_large"


class NotAuthenticated(ClientError):
    status, short = 401, True


class Forbidden(ClientError):
    status, short = 403, True


class InsufficientQuota(ClientError):
    status, code = 403, "insufficient_user_quota"


class ModelNotFound(ClientError):
    """No channel of the caller's group carries the model: a retry cannot help, so 404 and not 503."""

    status, code, kind, param = 404, "model_not_found", "invalid_request_error", "model"


class NotFound(ClientError):
    """An address we do not have. No request id in the message (contract, 1.4)."""

    status, kind = 404, "invalid_request_error"

    def body(self, request_id: str) -> dict[str, Any]:
        return {"error": {"message": self.message, "type": self.kind, "param": "", "code": ""}}


class ResponseNotFound(NotFound):
    """A stored response that does not exist, or not for this caller; in OpenAI's words."""

    def __init__(self, response_id: str) -> None:
        super().__init__(f"Response with id '{response_id}' not found.")

    def body(self, request_id: str) -> dict[str, Any]:
        return {"error": {"message": self.message, "type": self.kind, "param": None, "code": None}}


class PreviousResponseNotFound(ClientError):
    """The response to go on from does not exist, or not for this caller; OpenAI's words and code, clients know them."""

    status, code, kind, param = 400, "previous_response_not_found", "invalid_request_error", "previous_response_id"

    def __init__(self, response_id: str) -> None:
        super().__init__(f"Previous response with id '{response_id}' not found.")

    def body(self, request_id: str) -> dict[str, Any]:
        return {"error": {"message": self.message, "type": self.kind, "param": self.param, "code": self.code}}


class NotImplementedYet(ClientError):
    """A route that OpenAI has and this gateway answers with 501 (contract, 1.3). No request id in the message."""

    status, code = 501, "api_not_implemented"

    def body(self, request_id: str) -> dict[str, Any]:
        return {"error": {"message": self.message, "type": self.kind, "param": "", "code": self.code}}


class NoChannel(RelayError):
    """Channels carry the model, but all are disabled, out of service or tried."""

    status, short = 503, True


class KeyConflict(ClientError):
    """An Idempotency-Key that cannot be used for this request, at least not now; `code` says why."""

    status, code, kind, param = 409, "idempotency_key_in_use", "idempotency_error", "Idempotency-Key"


class GatewayError(RelayError):
    status, code = 500, "gateway_error"


class BooksAway(GatewayError):
    """Nothing may be answered that cannot be written down."""

    status, code = 503, "billing_unavailable"


class UpstreamError(RelayError):
    """`retry`: another channel may do better. `retry_after`: seconds the provider asked for, None if it did not.

    `answered` is the status the provider itself answered with, 0 where it did not answer with an error; `structured`
    whether it explained itself in JSON. What both say about the channel: `channels_app.faults`.
    """

    status, code, kind = 502, "bad_response", "upstream_error"
    answered = 0
    structured = False

    def __init__(self, message: str, *, retry: bool = True, retry_after: float | None = None, **rest: Any) -> None:
        super().__init__(message, **rest)
        self.retry = retry
        self.retry_after = retry_after


class UpstreamUnreachable(UpstreamError):
    """No connection, or it broke before an answer. The message never holds the address: it may hold secrets."""

    status, code = 502, "do_request_failed"


class UpstreamTimeout(UpstreamError):
    status, code = 504, "upstream_timeout"


class CallerLeft(Exception):
    """The caller closed the connection; there is nobody to answer."""
