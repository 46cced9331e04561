"""Bodies that are large, deep, doubled or compressed: refused or served, and never at the price of the worker's memory.

What a request or an answer costs is measured: the worker's peak (VmHWM), reset before, less what it held then.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from typing import Any

import pytest

from config import weight
from tests.attacks import hostile
from tests.attacks.hostile import Hostile, Pieces, answer
from tests.attacks.wire import exchange, forget_peak, peak
from tests.fake_upstream import FakeUpstream
from tests.relay.raw import Got, ask
from tests.server import ROOT_ACCESS_TOKEN, ROOT_TOKEN, Account, Gateway

MIB = 1024 * 1024
ALLOWED = 300 * MIB  # bytes that one request or answer may cost at its peak
CHAT = "/v1/chat/completions"
OPENING = b'{"model":"gpt-3.5-turbo","messages":[{"role":"user","content":"hi"}],"max_tokens":1,"x":'
ROOT = {"Authorization": f"Bearer {ROOT_ACCESS_TOKEN}"}

PATHS: dict[str, dict[str, Any]] = {
    CHAT: {"messages": [{"role": "user", "content": "hi"}]},
    "/v1/completions": {"prompt": "hi"},
    "/v1/embeddings": {"input": "hi"},
    "/v1/moderations": {"input": "hi"},
    "/v1/edits": {"instruction": "hi"},
    "/v1/images/generations": {"prompt": "hi"},
    "/v1/audio/speech": {"input": "hi", "voice": "x"},
    "/v1/responses": {"input": "hi"},
    "/v1/messages": {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 5},
    "/v1/messages/count_tokens": {"messages": [{"role": "user", "content": "hi"}]},
    "/v1/rerank": {"query": "hi", "documents": ["a"]},
    "/v1beta/models/gpt-3.5-turbo:generateContent": {"contents": [{"parts": [{"text": "hi"}]}]},
    "/v1beta/models/gpt-3.5-turbo:countTokens": {"contents": [{"parts": [{"text": "hi"}]}]},
}
API = ["/api/channel/", "/api/token/", "/api/user/", "/api/user/login", "/api/user/register", "/api/redemption/"]


@pytest.fixture(scope="module")
def enemy(wired: Gateway, upstream_process: FakeUpstream) -> Iterator[Hostile]:
    with hostile.running() as made:
        wired.add_channel(upstream_process.url, "prompted", system_prompt="Be brief.")
        for name, pieces in BOMBS.items():
            wired.add_channel(made.url(name, pieces), name)
        wired.wait_until_routed(ROOT_TOKEN, list(BOMBS)[-1])
        yield made


def cost(gateway: Gateway, account: Account | None, path: str, body: bytes, **headers: str) -> tuple[Got, int]:
    """The answer, and by how many bytes the worker's peak rose."""
    before = forget_peak(gateway)
    got = ask(gateway, account, path, body, headers={name.replace("_", "-"): text for name, text in headers.items()})
    return got, peak(gateway) - before


def compressed(size: int, *, wbits: int = 31, unit: bytes = b" ") -> bytes:
    """`size` bytes of blanks without the work of compressing them all: one flushed block again and again."""
    packer = zlib.compressobj(9, wbits=wbits)
    first = packer.compress(unit * MIB) + packer.flush(zlib.Z_FULL_FLUSH)
    block = packer.compress(unit * MIB) + packer.flush(zlib.Z_FULL_FLUSH)
    return first + block * (size // MIB - 1)


def most(item: bytes, marks: int, width: int = 1) -> bytes:
    """As many of the items as are still not too heavy, as a list."""
    count = (weight.MOST - 1024 * 1024) // (len(item) * (weight.COPIES + width) + marks * weight.VALUE)
    return b"[" + item * count + b"1]"


HEAVIEST = {
    "lists": most(b"[],", 2),
    "members": most(b'{"a":1},', 3),
    "strings": most(b'"ab",', 1),
    "emoji": b'"' + "😀".encode() + b"a" * (38 * MIB) + b'"',
    "ASCII": b'"' + b"a" * (62 * MIB) + b'"',
}
TOO_HEAVY = {
    "lists": b"[" + b"[]," * (20 * MIB) + b"1]",
    "members": b"{" + b",".join(b'"%d":1' % number for number in range(1_500_000)) + b"}",
    "emoji": b'"' + "😀".encode() + b"a" * (62 * MIB) + b'"',
}


class TestMemory:
    @pytest.mark.parametrize("shape", HEAVIEST)
    def test_the_heaviest_that_is_served(self, wired: Gateway, wired_payer: Account, shape: str) -> None:
        got, bytes_more = cost(wired, wired_payer, CHAT, OPENING + HEAVIEST[shape] + b"}")

        assert got.status == 200, got.body[:300]
        assert bytes_more < ALLOWED

    @pytest.mark.parametrize("shape", ["emoji"])
    def test_where_its_body_is_changed(self, wired: Gateway, wired_payer: Account, enemy: Hostile, shape: str) -> None:
        got, bytes_more = cost(
            wired, wired_payer, CHAT, OPENING.replace(b"gpt-3.5-turbo", b"prompted") + HEAVIEST[shape] + b"}"
        )

        assert got.status == 200, got.body[:300]
        assert bytes_more < ALLOWED

    @pytest.mark.parametrize("shape", TOO_HEAVY)
    def test_what_is_heavier_is_refused(self, wired: Gateway, wired_payer: Account, shape: str) -> None:
        got, bytes_more = cost(wired, wired_payer, CHAT, OPENING + TOO_HEAVY[shape] + b"}")

        assert (got.status, got.error["code"]) == (413, "request_too_large")
        assert bytes_more < ALLOWED

    @pytest.mark.parametrize("shape", ["lists", "strings", "emoji"])
    def test_of_the_management_api(self, wired: Gateway, shape: str) -> None:
        body = (
            b'{"name":'
            + {
                "lists": most(b"[],", 2),
                "strings": b'["%b"]' % (b'","' * (3 * MIB)),
                "emoji": (b'"' + "😀".encode() + b"a" * (9 * MIB) + b'"'),
            }[shape]
            + b"}"
        )
        got, bytes_more = cost(wired, None, "/api/channel/", body, **ROOT)

        assert got.json()["success"] is False
        assert bytes_more < ALLOWED

    def test_of_a_form_for_the_console(self, wired: Gateway) -> None:
        form = {"Content_Type": "application/x-www-form-urlencoded"}
        got, bytes_more = cost(wired, None, "/login", b"&".join([b"a=b"] * (15 * MIB // 4)), **form)

        assert got.status in (400, 403)
        assert bytes_more < ALLOWED

    def test_of_a_gzip_bomb(self, wired: Gateway, wired_payer: Account) -> None:
        bomb = compressed(1024 * MIB)
        assert len(bomb) < 2 * MIB

        got, bytes_more = cost(wired, wired_payer, CHAT, bomb, Content_Encoding="gzip")

        assert (got.status, got.error["code"]) == (413, "request_too_large")
        assert bytes_more < ALLOWED


class TestLength:
    @pytest.mark.parametrize("path", [CHAT, "/api/user/login"])
    def test_that_is_announced_is_refused_unread(self, wired: Gateway, wired_payer: Account, path: str) -> None:
        head = f"POST {path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer sk-{wired_payer.key}\r\nContent-Length: "
        heard = exchange(wired.port, head.encode() + b"%d\r\n\r\n" % (10**15))

        assert heard.statuses == [413]

    @pytest.mark.parametrize("path", [CHAT, "/api/user/login"])
    def test_that_is_not_announced_is_refused_on_the_way(self, wired: Gateway, wired_payer: Account, path: str) -> None:
        head = f"POST {path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer sk-{wired_payer.key}\r\n"
        chunk = b"%x\r\n%b\r\n" % (MIB, b" " * MIB)
        before = forget_peak(wired)
        heard = exchange(wired.port, head.encode() + b"Transfer-Encoding: chunked\r\n\r\n", *[chunk] * 70)

        assert heard.statuses == [413]
        assert peak(wired) - before < ALLOWED


class TestDepth:
    @pytest.mark.parametrize("path", PATHS)
    @pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}")], ids=["lists", "objects"])
    def test_is_refused(self, wired: Gateway, wired_payer: Account, path: str, opening: bytes, closing: bytes) -> None:
        deep = opening * 100_000 + b"1" + closing * 100_000
        body = json.dumps({"model": "gpt-3.5-turbo", **PATHS[path], "x": "DEEP"}).encode().replace(b'"DEEP"', deep)

        assert ask(wired, wired_payer, path, body).status == 400

    @pytest.mark.parametrize("path", API)
    def test_is_refused_by_the_management_api(self, wired: Gateway, path: str) -> None:
        got = ask(wired, None, path, b'{"a":' * 100_000 + b"1" + b"}" * 100_000, headers=ROOT)

        assert got.status in (200, 400)
        assert got.json()["success"] is False


class TestTwoReadings:
    """No body says one thing to us, who check and bill it, and another to the upstream."""

    @pytest.mark.parametrize("path", [path for path in PATHS if "/models/" not in path])
    @pytest.mark.parametrize(
        "second",
        [
            b'"model":"b"',
            b'"mod\\u0065l":"b"',
            b'"Model":"b"',
            b'"MODEL":"b"',
            b'"\\u006dodel" : "b"',
            b'"model\\u0000":1,"model":"b"',
        ],
    )
    @pytest.mark.parametrize("first", [True, False], ids=["before", "after"])
    def test_of_the_model(
        self, wired: Gateway, wired_payer: Account, upstream: FakeUpstream, path: str, second: bytes, first: bool
    ) -> None:
        own = json.dumps({"model": "gpt-3.5-turbo", **PATHS[path]}).encode()
        body = b"{" + second + b"," + own[1:] if first else own[:-1] + b"," + second + b"}"

        got = ask(wired, wired_payer, path, body)

        assert got.status == 400, got.body
        assert upstream.seen() == []

    @pytest.mark.parametrize("member", [b'"stream":true', b'"max_tokens":100000', b'"n":50', b'"messages":[]'])
    def test_of_what_decides_the_price(
        self, wired: Gateway, wired_payer: Account, upstream: FakeUpstream, member: bytes
    ) -> None:
        own = {"model": "gpt-3.5-turbo", "stream": False, "max_tokens": 1, "n": 1, **PATHS[CHAT]}
        got = ask(wired, wired_payer, CHAT, json.dumps(own).encode()[:-1] + b"," + member + b"}")

        assert got.status == 400, got.body
        assert upstream.seen() == []

    @pytest.mark.parametrize("value", [b"NaN", b"Infinity", b"-Infinity", b"1e", b"01", b"+1", b".5", b"0x1", b"1_0"])
    def test_of_a_number(self, wired: Gateway, wired_payer: Account, upstream: FakeUpstream, value: bytes) -> None:
        assert ask(wired, wired_payer, CHAT, OPENING + value + b"}").status == 400
        assert upstream.seen() == []

    @pytest.mark.parametrize(
        "value", [b"1" + b"0" * 400, b"1e400", b"-1e999", b"1e-999", b"123456789012345678901234567890"]
    )
    def test_numbers_beyond_measure_pass_as_they_are_or_not_at_all(
        self, wired: Gateway, wired_payer: Account, upstream: FakeUpstream, value: bytes
    ) -> None:
        for member in (b'"x":', b'"max_tokens":', b'"n":', b'"temperature":'):
            body = OPENING.replace(b'"max_tokens":1,"x":', member) + value + b"}"
            got = ask(wired, wired_payer, CHAT, body)

            assert got.status in (200, 400, 403), got.body
            assert [seen.body for seen in upstream.seen()] == ([body] if got.status == 200 else [])
            upstream.reset()

    @pytest.mark.parametrize(
        "body",
        [
            b"\xef\xbb\xbf" + OPENING + b"1}",
            OPENING + b'"\xff"}',
            OPENING + b'"\xc0\xaf"}',
            OPENING + b'"\xed\xa0\x80"}',
            OPENING + b'"\\ud800"}',
            OPENING + b'"\\udc00\\ud800"}',
            OPENING + b'"\0"}',
            (OPENING + b"1}").decode().encode("utf-16"),
            OPENING + b"1}{}",
            OPENING + b"1} //",
            OPENING + b"1,}",
            b"/**/" + OPENING + b"1}",
            b"[" + OPENING + b"1}]",
            b"",
            b"null",
            b'"model"',
        ],
    )
    @pytest.mark.parametrize("path", [CHAT, "/v1/messages", "/v1/responses"])
    def test_of_its_letters(
        self, wired: Gateway, wired_payer: Account, upstream: FakeUpstream, path: str, body: bytes
    ) -> None:
        assert ask(wired, wired_payer, path, body).status == 400
        assert upstream.seen() == []


GOOD = {
    "id": "x",
    "object": "chat.completion",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}}],
}
GZIPPED, DEFLATED = compressed(1024 * MIB), compressed(1024 * MIB, wbits=15)
SQUEEZED_TWICE = zlib.compressobj(9, wbits=31)
TWICE = SQUEEZED_TWICE.compress(GZIPPED) + SQUEEZED_TWICE.flush()


def chunks(body: bytes, times: int = 1) -> Iterator[bytes]:
    """The head of a chunked answer and the same piece again and again."""
    yield answer(b"", b"Transfer-Encoding: chunked")
    for _ in range(times):
        yield b"%x\r\n%b\r\n" % (len(body), body)
    yield b"0\r\n\r\n"


BOMBS: dict[str, Pieces] = {
    "gzip": answer(GZIPPED, b"Content-Encoding: gzip"),
    "deflate": answer(DEFLATED, b"Content-Encoding: deflate"),
    "x-gzip": answer(GZIPPED, b"Content-Encoding: X-GZIP"),
    "gzip twice": answer(TWICE, b"Content-Encoding: gzip, gzip"),
    "gzip in two lines": answer(TWICE, b"Content-Encoding: gzip", b"Content-Encoding: gzip"),
    "br": answer(b"\x00" * 100, b"Content-Encoding: br"),
    "zstd": answer(b"\x28\xb5\x2f\xfd" * 100, b"Content-Encoding: zstd"),
    "endless": lambda: chunks(b" " * MIB, 100),
    "lists": lambda: chunks(b"[" + b"[]," * (20 * MIB) + b"1]"),
    "emoji": lambda: chunks(b'{"choices":[],"x":"' + "😀".encode() + b"a" * (60 * MIB) + b'"}'),
    "long": lambda: chunks(json.dumps({**GOOD, "x": "a" * (60 * MIB)}).encode()),
    "one event": lambda: chunks(b"data: " + b"[" + b"[]," * (5 * MIB) + b"1]\n\n"),
}


class TestAnswers:
    @pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
    @pytest.mark.parametrize("name", BOMBS)
    def test_cost_a_bounded_amount_of_memory(
        self, wired: Gateway, wired_payer: Account, enemy: Hostile, name: str, stream: bool
    ) -> None:
        body = {"model": name, "messages": [{"role": "user", "content": "hi"}], "stream": stream}
        got, bytes_more = cost(wired, wired_payer, CHAT, json.dumps(body).encode())

        assert got.status == (200 if name == "long" and not stream else 502), got.body[:300]
        assert bytes_more < ALLOWED
