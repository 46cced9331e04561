"""Static files, served by the application itself out of the apps' folders: nothing to collect, no web server needed."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Awaitable, Callable
from functools import cache, lru_cache
from http import HTTPStatus
from pathlib import Path

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.contrib.staticfiles import finders
from django.contrib.staticfiles.storage import StaticFilesStorage
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.cache import patch_vary_headers
from whitenoise.middleware import WhiteNoiseMiddleware
from whitenoise.responders import StaticFile

FOR_EVER = "public, max-age=31536000, immutable"
ASK_AGAIN = "public, no-cache"


class StaticFiles(WhiteNoiseMiddleware):
    """WhiteNoise over the finders, found once at start; asynchronous where the server is, so it costs no thread."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase | Awaitable[HttpResponseBase]]) -> None:
        super().__init__(get_response)
        if iscoroutinefunction(get_response):
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        if iscoroutinefunction(self):
            return self._answer(request)
        found = self.files.get(request.path_info)
        return self.serve(found, request) if found is not None else self.get_response(request)

    async def _answer(self, request: HttpRequest) -> HttpResponseBase:
        found = self.files.get(request.path_info)
        answer: HttpResponseBase = self.serve(found, request) if found is not None else await self.get_response(request)
        return answer

    @staticmethod
    def serve(static_file: StaticFile, request: HttpRequest) -> HttpResponse:
        """Whole, since the files are small and an asynchronous server cannot stream from a plain file.

        An address with a version may be kept for ever, since other content has another address; one without (what a
        script imports) is asked about each time.
        """
        found = static_file.get_response(request.method, request.META)
        body = b""
        if found.file is not None:
            with found.file as file:
                body = file.read()
        answer = HttpResponse(body, status=int(found.status))
        del answer["Content-Type"]
        for name, value in found.headers:
            answer[name] = value
        lasting = "v" in request.GET or request.path.endswith(".woff2")  # style sheets name fonts without a version
        answer["Cache-Control"] = FOR_EVER if lasting else ASK_AGAIN
        if found.status == HTTPStatus.OK and _compresses(answer.get("Content-Type", "")):
            patch_vary_headers(answer, ["Accept-Encoding"])
            if body and "gzip" in request.headers.get("Accept-Encoding", ""):
                answer.content = _compressed(body)
                answer["Content-Encoding"] = "gzip"
                answer["Content-Length"] = str(len(answer.content))
        return answer


def _compresses(content_type: str) -> bool:
    return content_type.startswith(("text/", "application/javascript", "image/svg+xml", "application/json"))


@lru_cache(maxsize=64)
def _compressed(body: bytes) -> bytes:
    """Once for each file and process: the style sheet alone takes 20 ms."""
    return gzip.compress(body, compresslevel=9, mtime=0)


class VersionedStorage(StaticFilesStorage):
    """Addresses end in a digest of the content, so that a browser fetches a changed file at once."""

    def url(self, name: str | None, force: bool = False) -> str:
        address: str = super().url(name)
        version = _version(name) if name else ""
        return f"{address}?v={version}" if version else address


@cache
def _version(name: str) -> str:
    path = finders.find(name.partition("?")[0].partition("#")[0])
    if not isinstance(path, str) or not Path(path).is_file():
        return ""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()[:10]
