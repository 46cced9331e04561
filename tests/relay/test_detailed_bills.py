"""A call is charged by what its tokens consisted of, and its log row tells it: by a real server, plain and streamed."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator

import pytest

from tests import server
from tests.databases import Database
from tests.relay.raw import ask
from tests.server import ROOT_TOKEN, Gateway

PURSE = 10**9
MESSAGES = [{"role": "user", "content": "hello"}]
USAGE = {
    "prompt_tokens": 1_000,
    "completion_tokens": 100,
    "total_tokens": 1_100,
    "prompt_tokens_details": {"cached_tokens": 800, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 60},
}
CHUNK = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4.1"}
ANSWER = {
    **CHUNK,
    "object": "chat.completion",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}],
    "usage": USAGE,
}
CHUNKS = [
    {**CHUNK, "choices": [{"index": 0, "delta": {"role": "assistant", "content": "Hello"}, "finish_reason": None}]},
    {**CHUNK, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
    {**CHUNK, "choices": [], "usage": USAGE},
]


class Upstream(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if asked.get("stream"):
            kind = "text/event-stream"
            body = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in CHUNKS) + "data: [DONE]\n\n"
        else:
            kind, body = "application/json", json.dumps(ANSWER)
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def upstream() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Upstream) as made:
        thread = threading.Thread(target=made.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{made.server_port}"
        made.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def gateway(module_database: Database, upstream: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with server.running(module_database, 1, tmp_path_factory.mktemp("gateway"), {}) as made:
        made.operator("option", key="CacheRatio", value='{"mine": 0}')
        made.operator("option", key="ReasoningRatio", value='{"mine": 10}')
        made.operator("option", key="ModelRatio", value='{"mine": 2, "plain": 2}')
        made.add_channel(upstream, "gpt-4.1,mine,plain")
        made.wait_until_routed(ROOT_TOKEN, "plain")
        yield made


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize(
    ("model", "points"),
    [
        ("gpt-4.1", 800),  # (200 + 800 x 0.25 + 100 x 4) x 1
        ("mine", 1_680),  # (200 + 800 x 0 + 40 + 60 x 10) x 2: the operator's own ratios
        ("plain", 2_200),  # (1000 + 100) x 2: no ratio is known
    ],
)
def test_the_charge_is_that_of_the_parts(gateway: Gateway, model: str, points: int, stream: bool) -> None:
    account = gateway.new_user(PURSE)
    got = ask(gateway, account, "/v1/chat/completions", {"model": model, "messages": MESSAGES, "stream": stream})
    assert got.status == 200, got.body

    books = gateway.books()
    books.wait_settled(5)
    books.check()
    assert PURSE - books.quota(account.id) == points
    ((details, prompt, completion),) = gateway.database.rows(
        f"SELECT usage_details, prompt_tokens, completion_tokens FROM logs WHERE user_id = {account.id}"
    )
    assert json.loads(details) == {"cached": 800, "reasoning": 60}
    assert (prompt, completion) == (1_000, 100)
