"""What every answer of the Django half carries, and how large a body may be."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import cast

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase

from accounts.http import client_address
from api import messages
from api.bodies import MAX_BODY
from api.messages_en import english, wants_english
from config.logging import request_id as logged_request_id
from relay import request_id

HEADER = "X-Oneapi-Request-Id"


class Answers:
    """Stands outermost. The request id is made here, always: one sent by a caller is not believed."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase | Awaitable[HttpResponseBase]]) -> None:
        self.get_response = get_response
        self._is_async = iscoroutinefunction(get_response)
        if self._is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        made = request_id.new()
        logged_request_id.set(made)
        request.request_id = made  # type: ignore[attr-defined]
        request.client_ip = client_address(request)  # type: ignore[attr-defined]
        if self._is_async:
            return self._answer(request)
        refused = _too_large(request)
        return _finish(request, refused or cast("HttpResponseBase", self.get_response(request)))

    async def _answer(self, request: HttpRequest) -> HttpResponseBase:
        refused = _too_large(request)
        return _finish(request, refused or await cast("Awaitable[HttpResponseBase]", self.get_response(request)))


def _is_api(request: HttpRequest) -> bool:
    return request.path_info == "/api" or request.path_info.startswith("/api/")


def _too_large(request: HttpRequest) -> HttpResponseBase | None:
    length = request.META.get("CONTENT_LENGTH") or "0"
    if not _is_api(request) or (length.isdecimal() and int(length) <= MAX_BODY):
        return None
    text = english(messages.BODY_TOO_LARGE) if wants_english(request) else messages.BODY_TOO_LARGE
    body = {"success": False, "message": text}
    return JsonResponse(body, status=413, json_dumps_params={"ensure_ascii": False})


def _finish(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    if _is_api(request):
        if response.status_code >= 500:
            # The reason is in the log, under the request id.
            response = HttpResponse(status=response.status_code, headers={"Content-Length": "0"})
        response["Cache-Control"] = "no-store"
    response[HEADER] = request.request_id  # type: ignore[attr-defined]
    if request.is_secure():
        for name in (settings.SESSION_COOKIE_NAME, settings.CSRF_COOKIE_NAME):
            if name in response.cookies:
                response.cookies[name]["secure"] = True
    return response
