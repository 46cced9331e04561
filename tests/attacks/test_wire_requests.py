"""Requests that two servers could read in two ways: refused with the connection, and nothing after them is served."""

from __future__ import annotations

import socket
from contextlib import closing

import pytest

from tests.attacks.wire import exchange, hear
from tests.server import Account, Gateway

SMUGGLED = b"GET /api/status?smuggled HTTP/1.1\r\nHost: gateway\r\n\r\n"
HELLO = b'{"model":"gpt-3.5-turbo","messages":[{"role":"user","content":"hello"}]}'


@pytest.fixture
def gateway(wired: Gateway) -> Gateway:
    return wired


@pytest.fixture
def payer(wired_payer: Account) -> Account:
    return wired_payer


def head(payer: Account, *lines: bytes, target: bytes = b"/v1/chat/completions", version: bytes = b"1.1") -> bytes:
    """A POST's head; without a line that begins with Host, one is added."""
    named = any(line.lower().startswith(b"host") for line in lines) or version != b"1.1"
    first = [b"POST %b HTTP/%b" % (target, version), *([] if named else [b"Host: gateway"])]
    own = [b"Authorization: Bearer sk-" + payer.key.encode(), b"Content-Type: application/json"]
    return b"\r\n".join([*first, *own, *lines, b"", b""])


def chunked(body: bytes) -> bytes:
    return b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)


CHUNKED = b"Transfer-Encoding: chunked"
LENGTH = b"Content-Length: %d" % len(HELLO)

AMBIGUOUS: dict[str, tuple[list[bytes], bytes]] = {
    "length and chunks": ([LENGTH, CHUNKED], chunked(HELLO)),
    "chunks and length": ([CHUNKED, LENGTH], chunked(HELLO)),
    "two lengths": ([LENGTH, b"Content-Length: 5"], HELLO),
    "the same length twice": ([LENGTH, LENGTH], HELLO),
    "a list of lengths": ([b"Content-Length: %d, %d" % (len(HELLO), len(HELLO))], HELLO),
    "a length with a sign": ([b"Content-Length: +%d" % len(HELLO)], HELLO),
    "a negative length": ([b"Content-Length: -1"], HELLO),
    "a hexadecimal length": ([b"Content-Length: 0x%x" % len(HELLO)], HELLO),
    "a length in words": ([b"Content-Length: 7e1"], HELLO),
    "an empty length": ([b"Content-Length:"], HELLO),
    "a length without end": ([b"Content-Length: " + b"9" * 40], HELLO),
    "a blank within the length": ([b"Content-Length: 7 3"], HELLO),
    "a blank before the colon": ([b"Content-Length : %d" % len(HELLO)], HELLO),
    "a blank before chunked's colon": ([b"Transfer-Encoding : chunked"], chunked(HELLO)),
    "xchunked": ([b"Transfer-Encoding: xchunked"], chunked(HELLO)),
    "chunked, identity": ([b"Transfer-Encoding: chunked, identity"], chunked(HELLO)),
    "identity, chunked": ([b"Transfer-Encoding: identity, chunked"], chunked(HELLO)),
    "gzip, chunked": ([b"Transfer-Encoding: gzip, chunked"], chunked(HELLO)),
    "identity": ([b"Transfer-Encoding: identity"], chunked(HELLO)),
    "a comma before chunked": ([b"Transfer-Encoding: ,chunked"], chunked(HELLO)),
    "chunked in quotes": ([b'Transfer-Encoding: "chunked"'], chunked(HELLO)),
    "chunked with a parameter": ([b"Transfer-Encoding: chunked;q=1"], chunked(HELLO)),
    "chunked and a vertical tab": ([b"Transfer-Encoding: chunked\x0b"], chunked(HELLO)),
    "chunked twice": ([CHUNKED, CHUNKED], chunked(HELLO)),
    "identity, then chunked": ([b"Transfer-Encoding: identity", CHUNKED], chunked(HELLO)),
    "chunked, then identity": ([CHUNKED, b"Transfer-Encoding: identity"], chunked(HELLO)),
    "chunked on a folded line": ([b"Transfer-Encoding:\r\n chunked"], chunked(HELLO)),
    "a folded line": ([b"X-A: b\r\n c", LENGTH], HELLO),
    "a length behind a bare line feed": ([b"X-A: b\n" + LENGTH], HELLO),
    "a length behind a bare return": ([b"X-A: b\r" + LENGTH], HELLO),
    "a NUL in a header": ([b"X-A: b\0c", LENGTH], HELLO),
    "a header without a name": ([b": b", LENGTH], HELLO),
    "a name with a bracket": ([b"X(A: b", LENGTH], HELLO),
    "a chunk's size with a sign": ([CHUNKED], b"+" + chunked(HELLO)),
    "a chunk's size with 0x": ([CHUNKED], b"0x" + chunked(HELLO)),
    "a chunk's size beyond 64 bits": ([CHUNKED], b"1" + b"0" * 14 + b"%x\r\n" % len(HELLO) + HELLO + b"\r\n0\r\n\r\n"),
    "a chunk's size with a blank": ([CHUNKED], b"%x \r\n%b\r\n0\r\n\r\n" % (len(HELLO), HELLO)),
    "chunks ended by line feeds": ([CHUNKED], b"%x\n%b\n0\n\n" % (len(HELLO), HELLO)),
    "a chunk longer than its size": ([CHUNKED], b"%x\r\n%bXX\r\n0\r\n\r\n" % (len(HELLO), HELLO)),
    "an extension with a line feed": ([CHUNKED], b"%x;a\n%b\r\n0\r\n\r\n" % (len(HELLO), HELLO)),
    "a length after the chunks": ([CHUNKED], chunked(HELLO)[:-2] + b"Content-Length: 3\r\n\r\n"),
    "an upgrade with a body": ([b"Connection: upgrade", b"Upgrade: foo", LENGTH], HELLO),
    "an upgrade with chunks": ([b"Connection: upgrade", b"Upgrade: h3", CHUNKED], chunked(HELLO)),
    "a websocket with a body": ([b"Connection: upgrade", b"Upgrade: websocket", LENGTH], HELLO),
    "Host twice": ([b"Host: gateway", b"Host: other", LENGTH], HELLO),
}


class TestAmbiguous:
    @pytest.mark.parametrize("name", AMBIGUOUS)
    def test_it_is_refused_and_nothing_after_it_is_served(self, gateway: Gateway, payer: Account, name: str) -> None:
        lines, body = AMBIGUOUS[name]
        heard = exchange(gateway.port, head(payer, *lines) + body + SMUGGLED, answers=2)

        assert heard.statuses == [400], heard.raw
        assert heard.closed

    @pytest.mark.parametrize("name", ["an upgrade with a body", "a websocket with a body", "length and chunks"])
    def test_also_when_the_rest_comes_later(self, gateway: Gateway, payer: Account, name: str) -> None:
        lines, body = AMBIGUOUS[name]
        heard = exchange(gateway.port, head(payer, *lines), body + SMUGGLED, SMUGGLED, gap=0.1, answers=2)

        assert heard.statuses == [400], heard.raw
        assert heard.closed

    @pytest.mark.parametrize(
        "first",
        [
            b"GET /api/status HTTP/1.1\r\n\r\n",
            b"GET /api/status\r\n\r\n",
            b"GET http://other/api/status HTTP/1.1\r\nHost: gateway\r\n\r\n",
            b"GET http://root@gateway/api/status HTTP/1.1\r\nHost: gateway\r\n\r\n",
            b"GET //gateway HTTP/1.2\r\nHost: gateway\r\n\r\n",
            b"GET /api/status#x HTTP/1.1\r\nHost: gateway\r\n\r\n",
            b"GET /api/status x HTTP/1.1\r\nHost: gateway\r\n\r\n",
            b"GET\t/api/status HTTP/1.1\r\nHost: gateway\r\n\r\n",
            b"GET /\xff HTTP/1.1\r\nHost: gateway\r\n\r\n",
            b"GET ?x HTTP/1.1\r\nHost: gateway\r\n\r\n",
            b"get /api/status HTTP/1.1\r\nHost: gateway\r\n\r\n",
            b"OPTIONS * HTTP/1.1\r\nHost: gateway\r\n\r\n",
            b"CONNECT gateway:80 HTTP/1.1\r\nHost: gateway:80\r\n\r\n",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            b"GET /api/status HTTP/1.1\r\n Host: gateway\r\n\r\n",
            b"POST /api/user/login HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
            b"GET /api/status HTTP/1.1\nHost: gateway\n\n",
        ],
    )
    def test_so_are_targets_and_versions(self, gateway: Gateway, first: bytes) -> None:
        heard = exchange(gateway.port, first + SMUGGLED, answers=2)

        assert heard.statuses == [400], heard.raw
        assert heard.closed


class TestPlain:
    """What can be read in one way only is served, and what follows it is a request of its own."""

    @pytest.mark.parametrize(
        ("lines", "body"),
        [
            ([LENGTH], HELLO),
            ([b"content-LENGTH:   %d  " % len(HELLO)], HELLO),
            ([CHUNKED], chunked(HELLO)),
            ([b"Transfer-Encoding:\tChunked"], chunked(HELLO)),
            ([CHUNKED], b'%x;a=b;c="d"\r\n%b\r\n0\r\n\r\n' % (len(HELLO), HELLO)),
            ([CHUNKED], chunked(HELLO)[:-2] + b"X-Trailer: 1\r\n\r\n"),
            ([b"Connection: upgrade, http2-settings", b"Upgrade: h2c", b"HTTP2-Settings: AAA", LENGTH], HELLO),
        ],
        ids=["length", "blanks", "chunks", "tab", "extension", "trailer", "h2c"],
    )
    def test_is_two_requests(self, gateway: Gateway, payer: Account, lines: list[bytes], body: bytes) -> None:
        heard = exchange(gateway.port, head(payer, *lines) + body + SMUGGLED, answers=2)

        assert heard.statuses == [200, 200], heard.raw
        assert not heard.closed

    def test_its_own_address_may_be_whole(self, gateway: Gateway) -> None:
        heard = exchange(gateway.port, b"GET http://gateway/api/status HTTP/1.1\r\nHost: gateway\r\n\r\n")

        assert heard.statuses == [200]

    def test_a_header_after_the_body_is_none(self, gateway: Gateway, payer: Account) -> None:
        bare = head(payer, CHUNKED).replace(b"Authorization", b"X-Nothing")
        trailer = b"Authorization: Bearer sk-%b\r\n\r\n" % payer.key.encode()
        heard = exchange(gateway.port, bare + chunked(HELLO)[:-2] + trailer)

        assert heard.statuses == [401]

    def test_what_follows_a_last_request_is_dropped(self, gateway: Gateway, payer: Account) -> None:
        heard = exchange(gateway.port, head(payer, LENGTH, b"Connection: close") + HELLO + SMUGGLED, answers=2)

        assert heard.statuses == [200]
        assert heard.closed

    def test_a_refused_request_behind_one_that_is_answered_puts_nothing_into_the_answer(
        self, gateway: Gateway, payer: Account
    ) -> None:
        heard = exchange(gateway.port, head(payer, LENGTH) + HELLO + b"nonsense\r\n\r\n", answers=2)

        assert heard.statuses in ([], [200])
        assert b"Invalid" not in heard.raw
        assert heard.closed

    def test_an_early_answer_stays_the_only_one_when_the_body_turns_out_wrong(
        self, gateway: Gateway, payer: Account
    ) -> None:
        bare = head(payer, CHUNKED).replace(b"Authorization", b"X-Nothing")
        with closing(socket.create_connection(("127.0.0.1", gateway.port), timeout=10)) as connection:
            connection.sendall(bare)
            early = hear(connection)
            connection.sendall(b"not a size\r\n")
            rest = hear(connection)

        assert (early.statuses, rest.statuses) == ([401], [])
        assert rest.closed


class TestLargeHeads:
    @pytest.mark.parametrize(
        "sent",
        [
            b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\nHost: gateway\r\n\r\n",
            b"GET /api/status HTTP/1.1\r\nHost: gateway\r\nX-A: " + b"a" * 70_000 + b"\r\n\r\n",
            b"GET /api/status HTTP/1.1\r\nHost: gateway\r\n" + b"X-A: b\r\n" * 10_000 + b"\r\n",
            b"GET /api/status HTTP/1.1\r\nHost: gateway\r\n" + b"a:\r\n" * 300 + b"\r\n",
            b"GET /api/status HTTP/1.1\r\nHost: gateway\r\nX-A: " + b"a" * 5_000_000,
            b"GET /" + b"a" * 5_000_000,
            b"GET /api/status HTTP/1.1\r\nHost: gateway\r\n" + b"a" * 5_000_000,
        ],
        ids=["target", "header", "10,000 lines", "300 lines", "endless header", "endless target", "endless name"],
    )
    def test_are_refused(self, gateway: Gateway, sent: bytes) -> None:
        heard = exchange(gateway.port, sent + SMUGGLED, answers=2)

        assert heard.statuses in ([431], [])  # what is still on its way to a closed socket may take the answer along
        assert heard.closed

    def test_with_431(self, gateway: Gateway) -> None:
        heard = exchange(gateway.port, b"GET /api/status HTTP/1.1\r\nHost: gateway\r\n" + b"a:\r\n" * 300 + b"\r\n")

        assert heard.statuses == [431]

    @pytest.mark.parametrize(
        "piece",
        [b"0\r\nX-A: " + b"a" * 3_000_000, b"0\r\n" + b"X-A: b\r\n" * 100_000, b"5;" + b"a" * 3_000_000],
        ids=["trailer", "trailers", "extension"],
    )
    def test_so_is_what_follows_chunks_without_end(self, gateway: Gateway, payer: Account, piece: bytes) -> None:
        heard = exchange(gateway.port, head(payer, CHUNKED) + piece, answers=2)

        assert set(heard.statuses) <= {431}
        assert heard.closed

    def test_a_head_of_60_kilobytes_is_served(self, gateway: Gateway) -> None:
        sent = b"GET /api/status HTTP/1.1\r\nHost: gateway\r\nX-A: " + b"a" * 60_000 + b"\r\n\r\n"

        assert exchange(gateway.port, sent).statuses == [200]
