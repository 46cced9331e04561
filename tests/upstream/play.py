"""Playing a script: one request in, the ordered behaviour out."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from tests.upstream import answers, events, forms, script
from tests.upstream.script import BadScript, Script
from tests.upstream.wire import Reply, Request, Stats

KEPT = 2_000  # requests remembered for /__seen

Json = dict[str, Any]


class Provider:
    """The handler of all connections, and what it remembers of them."""

    def __init__(self) -> None:
        self.stats = Stats()
        self._seen: deque[Json] = deque(maxlen=KEPT)

    async def __call__(self, reply: Reply, request: Request) -> None:
        if request.target.startswith("/__"):
            self._control(reply, request.target)
            return
        self._remember(request)
        try:
            path, orders = scripted(request.target)
            body = read_body(request)
            orders = script.of_body(body) if orders is None else orders
            await play(reply, request.method, path, body, orders)
        except (BadScript, json.JSONDecodeError, UnicodeDecodeError) as problem:
            reply.whole(599, "text/plain", f"bad script or body: {problem}".encode())

    def _remember(self, request: Request) -> None:
        self._seen.append(
            {
                "time": time.time(),
                "method": request.method,
                "target": request.target,
                "headers": request.headers,
                "body": request.body,
            }
        )

    def _control(self, reply: Reply, target: str) -> None:
        answer: object = {}
        match target.partition("?")[0]:
            case "/__seen":
                answer = [{**one, "body": base64.b64encode(one["body"]).decode()} for one in self._seen]
            case "/__stats":
                answer = asdict(self.stats)
            case "/__reset":
                self._seen.clear()
                open_now = self.stats.open
                for name, value in asdict(Stats(open=open_now, most_open=open_now)).items():
                    setattr(self.stats, name, value)
        reply.whole(200, "application/json", answers.dumps(answer))


def scripted(target: str) -> tuple[str, Script | None]:
    """(path without the script segment and the query, its script or None)."""
    path = target.partition("?")[0]
    if not path.startswith("/~"):
        return path, None
    segment, _, rest = path[1:].partition("/")
    return "/" + rest, script.of_path(segment)


def read_body(request: Request) -> Json:
    """The parsed JSON or form; an empty dict where there is neither."""
    content_type = request.headers.get("content-type", "")
    if content_type.startswith("multipart/"):
        return dict(forms.read(content_type, request.body))
    return json.loads(request.body) if request.body else {}


async def play(reply: Reply, method: str, path: str, body: Json, orders: Script) -> None:
    if orders.hang:
        await asyncio.get_running_loop().create_future()
    if orders.first_byte:
        await asyncio.sleep(orders.first_byte / 1000)
    if orders.redirect:
        reply.whole(302, "text/plain", b"", {"Location": orders.redirect})
    elif orders.refuses and "stream_options" in body:
        refusal = orders.with_orders(
            {"message": "Unrecognized request argument supplied: stream_options", "code": None}
        )
        reply.whole(400, *answers.error_body(refusal), orders.headers)
    elif orders.status >= 300:
        reply.whole(orders.status, *answers.error_body(orders), orders.headers)
    elif orders.error_in_200:
        reply.whole(200, *answers.error_body(orders), orders.headers)
    elif (mode := stream_mode(path, body, orders)) is not None:
        await stream(reply, mode, body, orders)
    else:
        plain(reply, method, path, body, orders)


def stream_mode(path: str, body: Mapping[str, Any], orders: Script) -> str | None:
    if not body.get("stream") or orders.plain:
        return None
    if path.endswith("chat/completions"):
        return "chat"
    return "completions" if path.endswith("/completions") else None


async def stream(reply: Reply, mode: str, body: Mapping[str, Any], orders: Script) -> None:
    model = body.get("model", "")
    asked = bool((body.get("stream_options") or {}).get("include_usage"))
    reply.head(
        200,
        {
            "Content-Type": "text/event-stream; charset=utf-8",
            "Cache-Control": "no-cache",
            "Transfer-Encoding": "chunked",
            **orders.headers,
        },
    )
    for payload in events.opening(mode, model, asked):
        reply.chunk(events.frame(payload, orders.framing))
    for payload in events.content(mode, model, orders, asked):
        if orders.error_after == reply.events:
            reply.chunk(events.frame(events.error_chunk(orders), orders.framing))
            reply.last_chunk()
            return
        if orders.drop_after == reply.events:
            reply.drop()
        if orders.gap_after == reply.events:
            await asyncio.sleep(orders.gap / 1000)
        if orders.pace:
            await asyncio.sleep(orders.pace / 1000)
        reply.chunk(events.frame(payload, orders.framing))
        reply.events += 1
    if orders.drop_after is not None and orders.drop_after >= reply.events:
        reply.drop()
    for payload in events.closing(mode, model, orders, asked):
        reply.chunk(events.frame(payload, orders.framing))
    if orders.done:
        reply.chunk(events.frame(events.DONE.encode(), "plain"))
    reply.last_chunk()


def plain(reply: Reply, method: str, path: str, body: Mapping[str, Any], orders: Script) -> None:
    status, content_type, answer = plain_answer(method, path, body, orders)
    headers = dict(orders.headers)
    if orders.gzip:
        answer = gzip.compress(answer, mtime=0)
        headers["Content-Encoding"] = "gzip"
    if orders.truncate:
        reply.head(status, {"Content-Type": content_type, "Content-Length": str(len(answer)), **headers})
        reply.write(answer[: len(answer) // 2])
        reply.drop()
    reply.whole(status, content_type, answer, headers)


def plain_answer(method: str, path: str, body: Mapping[str, Any], orders: Script) -> tuple[int, str, bytes]:
    """(status, content type, body) by the end of the path, so that every provider's prefix works."""
    model = str(body.get("model", ""))
    response_format = str(body.get("response_format", ""))
    answer: object
    if path.endswith("/chat/completions"):
        answer = answers.chat(model, orders)
    elif path.endswith("/completions"):
        answer = answers.completion(model, orders)
    elif path.endswith("/edits") and "/images/" not in path:
        answer = answers.edit(orders)
    elif path.endswith("/embeddings"):
        answer = answers.embeddings(model, body, orders)
    elif path.endswith("/moderations"):
        answer = answers.moderation(model, body)
    elif "/images/" in path:
        answer = answers.images(int(body.get("n") or 1), response_format)
    elif path.endswith("/audio/speech"):
        return 200, "audio/mpeg", answers.SPEECH
    elif path.endswith("/audio/transcriptions"):
        return 200, *answers.transcript(orders, response_format, "transcribe")
    elif path.endswith("/audio/translations"):
        return 200, *answers.transcript(orders, response_format, "translate")
    elif path.endswith("/models"):
        answer = answers.model_list()
    elif "/models/" in path:
        answer = answers.model_object(path.rpartition("/")[2])
    else:
        missing = orders.with_orders({"status": 404, "message": f"Invalid URL ({method} {path})", "code": None})
        return 404, *answers.error_body(missing)
    return 200, "application/json", answers.dumps(answer)
