"""The shape of every answer under /api: `{"success", "message", "data"}` (management contract, 1.1 and 1.2)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponsePermanentRedirect
from django.http.response import HttpResponseBase
from rest_framework.renderers import JSONRenderer
from rest_framework.response import Response

from accounts.refusals import NotFound as AccountNotFound
from accounts.refusals import Refused
from api import messages
from api.messages_en import english, wants_english
from api.windows import TooMany
from billing.services import QuotaOutOfRange, UserMissing
from channels_app.services import ChannelInvalid, ChannelMissing
from config import frontend
from options.registry import BadOption
from redemptions.services import CodeRefused

ABSENT: Any = object()  # no `data` member, which is not the same as null


class Json(JSONRenderer):
    """Where the caller asks for English, the message of an envelope is put into it on its way out."""

    charset = "utf-8"

    def render(
        self, data: Any, accepted_media_type: str | None = None, renderer_context: Mapping[str, Any] | None = None
    ) -> Any:
        request = (renderer_context or {}).get("request")
        text = data.get("message") if isinstance(data, dict) else None
        if request is not None and isinstance(text, str) and wants_english(request):
            data = {**data, "message": english(text)}
        return super().render(data, accepted_media_type, renderer_context)


class Refusal(Exception):
    """A view says no. Status 200 unless the contract names another; `extra` are members beside `data`."""

    def __init__(self, message: str, *, status: int = 200, data: Any = ABSENT, **extra: Any) -> None:
        super().__init__(message)
        self.message, self.status, self.data, self.extra = message, status, data, extra


class NoRoute(Exception):
    """No such path, or not with this method: 404 with the contract's own body."""


def answer(data: Any = ABSENT, message: str = "", **extra: Any) -> Response:
    body = {"success": True, "message": message, **extra}
    return Response(body if data is ABSENT else {**body, "data": data})


def refuse(message: str, *, status: int = 200, data: Any = ABSENT, **extra: Any) -> Response:
    body = {"success": False, "message": message, **extra}
    return Response(body if data is ABSENT else {**body, "data": data}, status=status)


def no_route(request: HttpRequest) -> Response:
    error = {"message": f"Invalid URL ({request.method} {request.path})", "type": "invalid_request_error"}
    return Response({"error": {**error, "param": "", "code": ""}}, status=404)


def handle(error: Exception, context: dict[str, Any]) -> HttpResponseBase | None:
    """The answer for what a view or service raised; None lets it become a 500.

    What services refuse is told apart by class; their texts are the contract's and go out as they are.
    """
    match error:
        case Refusal():
            return refuse(error.message, status=error.status, data=error.data, **error.extra)
        case TooMany():
            return HttpResponse(status=429)
        case NoRoute():
            path, _, query = context["request"].get_full_path().partition("?")
            url = frontend.elsewhere(path, query)
            return HttpResponsePermanentRedirect(url) if url else no_route(context["request"])
        case AccountNotFound() | ChannelMissing() | UserMissing():
            return refuse(messages.NOT_FOUND)
        case QuotaOutOfRange():
            return refuse(messages.QUOTA_OUT_OF_RANGE)
        case Refused() | BadOption() | ChannelInvalid() | CodeRefused():
            return refuse(str(error))
        case _:
            return None
