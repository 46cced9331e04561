"""A receiver of traces (OTLP) and of reports (Sentry) on the loopback, as a thread of the test process."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span


class Receiver:
    def __init__(self, url: str) -> None:
        self.url = url
        self.posts: list[tuple[str, bytes]] = []  # (path, body without its compression)

    def spans(self) -> list[Span]:
        return [span for resource in self._resources() for scope in resource.scope_spans for span in scope.spans]

    def services(self) -> set[str]:
        return {
            one.value.string_value
            for resource in self._resources()
            for one in resource.resource.attributes
            if one.key == "service.name"
        }

    def _resources(self) -> list[Any]:
        bodies = [body for path, body in list(self.posts) if path == "/v1/traces"]
        return [one for body in bodies for one in ExportTraceServiceRequest.FromString(body).resource_spans]

    def reports(self) -> list[dict[str, Any]]:
        """Events from Sentry's envelopes."""
        bodies = [body for path, body in list(self.posts) if path.startswith("/api/")]
        items = [line for body in bodies for line in body.splitlines()[2::2]]
        return [event for event in map(json.loads, items) if "exception" in event]


def attributes(span: Span) -> dict[str, Any]:
    return {one.key: getattr(one.value, str(one.value.WhichOneof("value"))) for one in span.attributes}


@contextmanager
def receiving() -> Iterator[Receiver]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            receiver.posts.append((self.path, body))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    receiver = Receiver(f"http://127.0.0.1:{server.server_address[1]}")
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
