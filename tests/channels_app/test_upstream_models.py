"""The list of models an upstream tells, for channels stored and not stored."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from channels_app import upstream_models
from channels_app.models import Channel
from channels_app.providers import PROVIDERS
from channels_app.services import ChannelInvalid, ChannelMissing
from channels_app.upstream_models import ModelsUnknown, of_channel, of_draft
from tests.channels_app.test_balances import answering
from tests.channels_app.test_services import made

pytestmark = pytest.mark.django_db
LIST = {"object": "list", "data": [{"id": "b"}, {"id": "a"}, {"id": "b"}, {"id": 3}, {}, {"id": "x,y"}]}


@pytest.mark.parametrize(
    ("channel_type", "path", "header", "document", "names"),
    [
        (1, "/v1/models", "authorization", LIST, ["b", "a"]),
        (40, "/api/v3/models", "authorization", LIST, ["b", "a"]),
        (49, "/compatible-mode/v1/models", "authorization", LIST, ["b", "a"]),
        (14, "/v1/models?limit=1000", "x-api-key", LIST, ["b", "a"]),
        (
            24,
            "/v1beta/models?pageSize=1000",
            "x-goog-api-key",
            {"models": [{"name": "models/gemini-pro"}]},
            ["gemini-pro"],
        ),
        (
            30,
            "/api/tags",
            "authorization",
            {"models": [{"name": "qwen3:8b", "model": "qwen3:8b"}, {"name": "llama3.2:latest"}]},
            ["qwen3:8b", "llama3.2:latest"],
        ),
        (
            35,
            "/v1/models?page_size=1000",
            "authorization",
            {"models": [{"name": "command-a-03-2025", "endpoints": ["chat"]}], "next_page_token": None},
            ["command-a-03-2025"],
        ),
    ],
)
def test_of_a_stored_channel(channel_type: int, path: str, header: str, document: Any, names: list[str]) -> None:
    with answering({path.partition("?")[0]: document}) as (base_url, seen):
        assert of_channel(made(type=channel_type, base_url=base_url, key="sk-k").pk) == names

    ((asked, headers),) = seen
    assert asked == path
    assert headers[header].removeprefix("Bearer ") == "sk-k"


def test_of_a_channel_that_is_not_stored() -> None:
    with answering({"/v1/models": LIST}) as (base_url, seen):
        assert of_draft({"type": 1, "base_url": base_url + "/"}, " sk-new ") == ["b", "a"]

    assert seen[0][1]["authorization"] == "Bearer sk-new"
    assert not Channel.objects.exists()


def test_an_address_that_ends_with_v1() -> None:
    with answering({"/proxy/v1/models": [{"id": "a"}, "b"]}) as (base_url, _):
        assert of_draft({"type": 50, "base_url": base_url + "/proxy/v1"}, "k") == ["a", "b"]


@pytest.mark.parametrize(
    ("fields", "key"),
    [({"type": 1, "base_url": "file:///etc"}, "k"), ({"type": 999}, "k"), ({"type": 1}, ""), ({"type": 50}, "k")],
)
def test_a_draft_that_could_not_be_stored_is_refused_before_a_call(fields: dict[str, Any], key: str) -> None:
    with pytest.raises(ChannelInvalid):
        of_draft(fields, key)


def test_what_is_no_list_says_why() -> None:
    with answering({"/v1/models": {"error": "no"}}) as (base_url, _), pytest.raises(ModelsUnknown, match="no list"):
        of_channel(made(base_url=base_url).pk)
    with pytest.raises(ModelsUnknown, match="cannot be reached"):
        of_channel(made(base_url="http://127.0.0.1:1").pk)
    with pytest.raises(ModelsUnknown, match=upstream_models.NOT_BUILT):
        of_channel(made(type=3, base_url="http://127.0.0.1:1").pk)
    with pytest.raises(ChannelMissing):
        of_channel(404)


@contextmanager
def paged(key: str, marks: list[Any], page: Callable[[int, Any], Any]) -> Iterator[tuple[str, list[str]]]:
    """A server of pages: the first without `key` in its address, each of `marks` naming the next; the paths seen."""
    seen: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(self.path)
            asked = parse_qs(urlsplit(self.path).query).get(key, [""])[0]
            number = marks.index(asked) + 1 if asked else 0
            body = json.dumps(page(number, marks[number] if number < len(marks) else None)).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", seen
        finally:
            server.shutdown()


def of_anthropic(number: int, mark: Any) -> Any:
    last = mark or "the last id stands there on the last page too"
    return {"data": [{"id": f"m{number}"}, {"id": "everywhere"}], "has_more": mark is not None, "last_id": last}


PAGED = [
    (14, "after_id", of_anthropic),
    (24, "pageToken", lambda number, mark: {"models": [{"name": f"models/m{number}"}], "nextPageToken": mark}),
    (35, "page_token", lambda number, mark: {"models": [{"name": f"m{number}"}], "next_page_token": mark}),
]


@pytest.mark.parametrize(("channel_type", "key", "page"), PAGED)
def test_all_pages_are_read(channel_type: int, key: str, page: Callable[[int, Any], Any]) -> None:
    with paged(key, ["a&b", "c"], page) as (base_url, seen):
        names = of_channel(made(type=channel_type, base_url=base_url).pk)

    assert [name for name in names if name != "everywhere"] == ["m0", "m1", "m2"]
    assert names.count("everywhere") == (1 if channel_type == 14 else 0)
    assert len(seen) == 3
    assert f"{key}=a%26b" in seen[1]


def test_pages_without_end_are_left() -> None:
    """One server names the same next page for ever, another always a new one."""
    with paged("pageToken", ["a"], lambda number, _: {"models": ["m"], "nextPageToken": "a"}) as (base_url, seen):
        assert of_channel(made(type=24, base_url=base_url).pk) == ["m"]
        assert len(seen) == 2
    marks = [str(number) for number in range(100)]
    with paged("pageToken", marks, lambda number, mark: {"models": [f"m{number}"], "nextPageToken": mark}) as (
        url,
        seen,
    ):
        assert len(of_channel(made(type=24, base_url=url).pk)) == len(seen) == upstream_models.PAGES


def test_a_page_that_fails_leaves_no_half_list() -> None:
    with (
        paged("pageToken", ["a"], lambda number, mark: {"models": ["m"], "nextPageToken": mark} if mark else 7) as (
            url,
            _,
        ),
        pytest.raises(ModelsUnknown, match="no list"),
    ):
        of_channel(made(type=24, base_url=url).pk)


def test_a_server_without_a_key_is_sent_none() -> None:
    with answering({"/api/tags": {"models": [{"name": "m"}]}}) as (base_url, seen):
        source = upstream_models.Source(PROVIDERS[30], base_url, "")
        assert upstream_models.ask(source) == ["m"]
    assert "authorization" not in seen[0][1]
