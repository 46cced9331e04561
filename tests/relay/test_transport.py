"""The upstream connection on real sockets: a peer that writes whatever bytes a test wants, and proxies on the way."""

from __future__ import annotations

import asyncio
import gzip
import socket
import ssl
import time
import zlib
from asyncio import StreamReader as Reader
from asyncio import StreamWriter as Writer
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from relay import transport
from relay.dialing import ProxyRules
from relay.errors import RelayError, UpstreamError, UpstreamTimeout, UpstreamUnreachable
from relay.upstream import Answer, Clients

pytestmark = pytest.mark.filterwarnings("ignore:Overriding the .event_loop_policy")

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.fixture(scope="module", params=["uvloop", "asyncio"])
def event_loop_policy(request: pytest.FixtureRequest) -> asyncio.AbstractEventLoopPolicy:
    """What production runs on, and what `runserver` in development does."""
    return uvloop.EventLoopPolicy() if request.param == "uvloop" else asyncio.DefaultEventLoopPolicy()


@dataclass
class Peer:
    """A server on the loopback. Its answers come from a script: one callable a request, the last one for all others."""

    port: int = 0
    connections: int = 0
    requests: list[bytes] = field(default_factory=list)
    closed: asyncio.Event = field(default_factory=asyncio.Event)  # a caller has left
    sockets: list[Writer] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1/x"


Answering = bytes | Callable[[Reader, Writer], Awaitable[None]]


@asynccontextmanager
async def peer(*script: Answering, tls: ssl.SSLContext | None = None) -> AsyncIterator[Peer]:
    made = Peer()
    steps = list(script)

    async def serve(reader: Reader, writer: Writer) -> None:
        made.connections += 1
        made.sockets.append(writer)
        try:
            while True:
                made.requests.append(await read_request(reader))
                step = steps.pop(0) if len(steps) > 1 else steps[0]
                if isinstance(step, bytes):
                    writer.write(step)
                else:
                    await step(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            made.closed.set()
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()


async def read_request(reader: Reader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    length = 0
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    return head + await reader.readexactly(length)


async def leave(reader: Reader, writer: Writer) -> None:
    raise ConnectionError


async def silence(reader: Reader, writer: Writer) -> None:
    await reader.read()  # until the caller has left
    raise ConnectionError


def then_close(*pieces: bytes, gap: float = 0) -> Callable[[Reader, Writer], Awaitable[None]]:
    async def answer(reader: Reader, writer: Writer) -> None:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(gap)
        raise ConnectionError

    return answer


def then_wait(*pieces: bytes, gap: float = 0) -> Callable[[Reader, Writer], Awaitable[None]]:
    async def answer(reader: Reader, writer: Writer) -> None:
        for piece in pieces:
            writer.write(piece)
            await asyncio.sleep(gap)
        await silence(reader, writer)

    return answer


@asynccontextmanager
async def clients(**limits: Any) -> AsyncIterator[Clients]:
    settings = {"connect": 2.0, "first_byte": 2.0, "idle": 2.0, "total": 0.0, "proxy": "", **limits}
    made = Clients(environment=ProxyRules("", "", ""), **settings)
    try:
        yield made
    finally:
        made.close()


async def fetch(made: Clients, url: str, *, method: str = "POST", body: bytes = b"{}", proxy: str = "") -> Any:
    """(status, headers, body)"""
    answer = made.send(method, url, [("X-One", "1")], body, proxy=proxy)
    try:
        await answer.open()
        return answer.status, dict(answer.headers), await answer.read(10_000_000)
    finally:
        answer.close()


class TestKeepAlive:
    async def test_a_connection_serves_again(self) -> None:
        async with peer(OK) as server, clients() as made:
            for _ in range(3):
                assert (await fetch(made, server.url))[2] == b"ok"

        assert (server.connections, len(server.requests)) == (1, 3)

    async def test_exchanges_at_once_have_connections_of_their_own(self) -> None:
        async def slowly(reader: Reader, writer: Writer) -> None:
            await asyncio.sleep(0.05)
            writer.write(OK)

        async with peer(slowly) as server, clients() as made:
            await asyncio.gather(*[fetch(made, server.url) for _ in range(5)])

        assert server.connections == 5

    @pytest.mark.parametrize(
        "answer",
        [
            b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
            b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
            OK + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
            OK + b"rubbish",
        ],
        ids=["close", "http/1.0", "an-answer-too-many", "rubbish"],
    )
    async def test_a_connection_that_cannot_be_trusted_is_not_kept(self, answer: bytes) -> None:
        async with peer(answer) as server, clients() as made:
            for _ in range(2):
                assert (await fetch(made, server.url))[2] == b"ok"
                await asyncio.sleep(0.02)

        assert server.connections == 2

    async def test_what_is_sent_unasked_between_two_exchanges_spoils_the_connection(self) -> None:
        async with peer(OK) as server, clients() as made:
            await fetch(made, server.url)
            server.sockets[0].write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
            await asyncio.sleep(0.05)

            assert (await fetch(made, server.url))[2] == b"ok"
        assert server.connections == 2

    async def test_one_that_is_closed_as_we_write_is_replaced_once(self) -> None:
        async with peer(OK, leave, OK) as server, clients() as made:
            await fetch(made, server.url)

            assert (await fetch(made, server.url))[2] == b"ok"
        assert (server.connections, len(server.requests)) == (2, 3)

    async def test_a_new_one_that_is_closed_without_a_word_is_not_tried_again(self) -> None:
        async with peer(leave) as server, clients() as made:
            with pytest.raises(UpstreamUnreachable):
                await fetch(made, server.url)

        assert len(server.requests) == 1

    async def test_a_request_whose_answer_had_begun_is_not_sent_again(self) -> None:
        async with peer(OK, then_close(b"HTTP/1.1 20")) as server, clients() as made:
            await fetch(made, server.url)
            with pytest.raises(UpstreamUnreachable):
                await fetch(made, server.url)

        assert len(server.requests) == 2

    async def test_an_idle_connection_grows_too_old(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(transport, "IDLE", 0.05)
        async with peer(OK) as server, clients() as made:
            await fetch(made, server.url)
            await asyncio.sleep(0.1)
            await fetch(made, server.url)

        assert server.connections == 2


class TestAnswers:
    @pytest.mark.parametrize(
        ("raw", "status", "body"),
        [
            (b"HTTP/1.1 100 Continue\r\n\r\n" + OK, 200, b"ok"),
            (b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + OK, 200, b"ok"),
            (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b""),
            (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", 304, b""),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200, b""),
            (b"HTTP/1.1 599\r\nContent-Length: 2\r\n\r\nno", 599, b"no"),
            (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nok\r\n0\r\n\r\n", 200, b"ok"),
            (
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\nX-T: 1\r\n\r\n",
                200,
                b"ok",
            ),
        ],
        ids=["100", "103", "204", "304", "empty", "no-phrase", "extension", "trailers"],
    )
    async def test_forms_of_an_answer(self, raw: bytes, status: int, body: bytes) -> None:
        async with peer(raw) as server, clients() as made:
            got = await fetch(made, server.url)

        assert (got[0], got[2]) == (status, body)
        assert b"link" not in got[1]

    async def test_every_answer_can_arrive_byte_by_byte(self) -> None:
        raw = b"HTTP/1.1 103 Early\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
        async with peer(then_wait(*[raw[i : i + 1] for i in range(len(raw))])) as server, clients() as made:
            assert (await fetch(made, server.url))[2] == b"ok"

    async def test_a_head_request_has_no_body_whatever_its_head_says(self) -> None:
        async with peer(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n") as server, clients() as made:
            status, headers, body = await fetch(made, server.url, method="HEAD", body=b"")

        assert (status, headers[b"content-length"], body) == (200, b"1000", b"")
        assert b"Content-Length" not in server.requests[0]

    async def test_without_a_length_the_end_of_the_connection_is_the_end(self) -> None:
        async with peer(then_close(b"HTTP/1.1 200 OK\r\n\r\nfirst,", b"second", gap=0.01)) as server, clients() as made:
            assert (await fetch(made, server.url))[2] == b"first,second"
            assert (await fetch(made, server.url))[2] == b"first,second"

        assert server.connections == 2

    @pytest.mark.parametrize(
        "raw",
        [
            b"HTTP/1.1 200 OK\r\nContent-Le",
            b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n0\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + gzip.compress(b"half" * 99)[:-9],
        ],
        ids=["head", "length", "chunks", "last-chunk", "gzip"],
    )
    async def test_half_an_answer_is_none(self, raw: bytes) -> None:
        async with peer(then_close(raw)) as server, clients() as made:
            with pytest.raises(UpstreamUnreachable):
                await fetch(made, server.url)

    @pytest.mark.parametrize(
        "raw",
        [
            b"SSH-2.0-OpenSSH_9.2\r\n",
            b"HTTP/1.1 abc\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc",
            b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\nbytes",
        ],
        ids=["ssh", "status", "chunk", "two-lengths", "negative", "upgrade"],
    )
    async def test_what_is_no_http_answer_ends_the_exchange(self, raw: bytes) -> None:
        async with peer(then_wait(raw)) as server, clients() as made:
            with pytest.raises(UpstreamUnreachable):
                await fetch(made, server.url)
            await asyncio.wait_for(server.closed.wait(), 10)

    async def test_a_head_without_end_is_cut(self) -> None:
        async def endless(reader: Reader, writer: Writer) -> None:
            writer.write(b"HTTP/1.1 200 OK\r\n")
            while True:
                writer.write(b"X-More: " + b"x" * 8000 + b"\r\n")
                await writer.drain()

        async with peer(endless) as server, clients() as made:
            with pytest.raises(UpstreamUnreachable):
                await fetch(made, server.url)
            await asyncio.wait_for(server.closed.wait(), 10)


class TestCompression:
    PLAIN = b"some text, said again and again. " * 5000

    @pytest.mark.parametrize(
        ("encoding", "body"),
        [
            ("gzip", gzip.compress(PLAIN)),
            ("x-gzip", gzip.compress(PLAIN)),
            ("deflate", zlib.compress(PLAIN)),
            ("GZIP", gzip.compress(PLAIN)),
            ("gzip", gzip.compress(PLAIN[:70_000]) + gzip.compress(PLAIN[70_000:])),  # members, RFC 1952, 2.2
            ("identity", PLAIN),
        ],
        ids=["gzip", "x-gzip", "deflate", "upper", "two-members", "identity"],
    )
    async def test_is_undone(self, encoding: str, body: bytes) -> None:
        head = f"HTTP/1.1 200 OK\r\nContent-Encoding: {encoding}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        async with peer(head + body) as server, clients() as made:
            assert (await fetch(made, server.url))[2] == self.PLAIN

    async def test_of_nothing_is_nothing(self) -> None:
        async with (
            peer(b"HTTP/1.1 500 No\r\nContent-Encoding: gzip\r\nContent-Length: 0\r\n\r\n") as server,
            clients() as made,
        ):
            assert (await fetch(made, server.url))[2] == b""

    async def test_one_nobody_asked_for_is_an_error(self) -> None:
        async with (
            peer(b"HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nContent-Length: 2\r\n\r\nok") as server,
            clients() as made,
        ):
            with pytest.raises(UpstreamError):
                await fetch(made, server.url)

    async def test_a_damaged_one_is_an_error(self) -> None:
        async with (
            peer(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 8\r\n\r\nno-gzip!") as server,
            clients() as made,
        ):
            with pytest.raises(UpstreamError):
                await fetch(made, server.url)

    async def test_a_bomb_is_given_up_at_the_limit(self) -> None:
        bomb = gzip.compress(bytes(300_000_000), 9)
        head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(bomb)
        async with peer(head + bomb) as server, clients() as made:
            began = time.monotonic()
            with pytest.raises(UpstreamError) as refused:
                await fetch(made, server.url)

        assert refused.value.code == "answer_too_large"
        assert time.monotonic() - began < 5


class TestLimits:
    async def test_an_answer_longer_than_allowed_is_given_up(self) -> None:
        async with peer(then_wait(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 2000)) as server, clients() as made:
            answer = made.send("POST", server.url, [], b"")
            await answer.open()
            with pytest.raises(UpstreamError) as refused:
                await answer.read(1000)
            answer.close()
            await asyncio.wait_for(server.closed.wait(), 10)

        assert refused.value.code == "answer_too_large"

    async def test_a_slow_reader_makes_the_upstream_wait(self) -> None:
        written = 0

        async def pour(reader: Reader, writer: Writer) -> None:
            nonlocal written
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            while written < 200_000_000:
                writer.write(bytes(65_536))
                await writer.drain()
                written += 65_536
            raise ConnectionError

        async with peer(pour) as server, clients() as made:
            answer = made.send("POST", server.url, [], b"")
            await answer.open()
            await asyncio.sleep(0.3)
            stopped_at = written
            await asyncio.sleep(0.2)
            assert written == stopped_at < 30_000_000  # what the kernel's buffers take, and ours
            assert answer._connection is not None
            assert answer._connection._buffered <= transport.HIGH_WATER + transport.AT_ONCE

            read = 0
            async for chunk in answer.chunks():
                assert len(chunk) <= transport.AT_ONCE
                read += len(chunk)
                if read > 50_000_000:
                    break
            answer.close()
        assert written > stopped_at

    async def test_the_first_byte_has_its_time(self) -> None:
        async with peer(silence) as server, clients(first_byte=0.1) as made:
            with pytest.raises(UpstreamTimeout):
                await fetch(made, server.url)
            await asyncio.wait_for(server.closed.wait(), 10)

    async def test_interim_answers_do_not_prolong_it(self) -> None:
        trickle = then_wait(*[b"HTTP/1.1 102 Processing\r\n\r\n"] * 100, gap=0.1)  # for 10 s
        async with peer(trickle) as server, clients(first_byte=0.15) as made:
            began = time.monotonic()
            with pytest.raises(UpstreamTimeout):
                await fetch(made, server.url)
        assert time.monotonic() - began < 5

    async def test_the_next_byte_has_its_time(self) -> None:
        async with peer(then_wait(b"HTTP/1.1 200 OK\r\n\r\nstart")) as server, clients(idle=0.1) as made:
            with pytest.raises(UpstreamTimeout):
                await fetch(made, server.url)
            await asyncio.wait_for(server.closed.wait(), 10)

    async def test_an_answer_that_keeps_coming_may_take_longer(self) -> None:
        slow = then_close(b"HTTP/1.1 200 OK\r\n\r\n", *[b"x"] * 12, gap=0.2)  # 2.6 s in all
        async with peer(slow) as server, clients(idle=2.0) as made:
            assert (await fetch(made, server.url))[2] == b"x" * 12

    async def test_unless_the_whole_has_a_limit(self) -> None:
        slow = then_close(b"HTTP/1.1 200 OK\r\n\r\n", *[b"x"] * 100, gap=0.1)  # for 10 s
        async with peer(slow) as server, clients(total=0.3) as made:
            began = time.monotonic()
            with pytest.raises(UpstreamTimeout):
                await fetch(made, server.url)
        assert time.monotonic() - began < 5

    async def test_the_connection_has_its_time(self) -> None:
        with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
            port = full.getsockname()[1]
            fillers = [socket.socket() for _ in range(4)]
            for filler in fillers:
                filler.setblocking(False)
                filler.connect_ex(("127.0.0.1", port))
            async with clients(connect=0.2) as made:
                began = time.monotonic()
                with pytest.raises(UpstreamTimeout):
                    await fetch(made, f"http://127.0.0.1:{port}/")
            for filler in fillers:
                filler.close()
        assert time.monotonic() - began < 5

    @pytest.mark.parametrize("host", ["127.0.0.1:1", "no-such-host.invalid", "a..b", "x" * 64 + ".example", "."])
    async def test_where_nobody_answers_is_unreachable(self, host: str) -> None:
        async with clients() as made:
            with pytest.raises(UpstreamUnreachable):
                await fetch(made, f"http://{host}/")


class TestLeaving:
    async def test_before_the_head_closes_the_socket_at_once(self) -> None:
        async with peer(silence) as server, clients(first_byte=30) as made:
            answer = made.send("POST", server.url, [], b"")
            waiting = asyncio.create_task(answer.open())
            await asyncio.sleep(0.05)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            began = time.monotonic()
            answer.close()
            await asyncio.wait_for(server.closed.wait(), 10)

        assert time.monotonic() - began < 5

    async def test_in_the_middle_of_the_body_too(self) -> None:
        async with peer(then_wait(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nx")) as server, clients() as made:
            answer = made.send("POST", server.url, [], b"")
            await answer.open()
            answer.close()
            await asyncio.wait_for(server.closed.wait(), 10)

    async def test_while_a_large_body_is_still_being_sent(self) -> None:
        async def never_reads(reader: Reader, writer: Writer) -> None:
            raise AssertionError

        async with peer(never_reads) as server, clients(first_byte=0.3) as made:
            with pytest.raises(RelayError):
                await fetch(made, server.url.replace("/v1/x", "/" + "y" * 70_000), body=bytes(20_000_000))


def authority(folder: Path) -> tuple[Path, ssl.SSLContext]:
    """A CA of our own (its certificate's path) and the TLS of a server it has signed for 127.0.0.1."""
    now = datetime.now(UTC)

    def name(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    def certificate(subject: str, public: Any, issuer: str, signer: Any, *, ca: bool) -> x509.Certificate:
        builder = x509.CertificateBuilder().subject_name(name(subject)).issuer_name(name(issuer)).public_key(public)
        builder = builder.serial_number(x509.random_serial_number()).not_valid_before(now - timedelta(days=1))
        builder = builder.not_valid_after(now + timedelta(days=1))
        builder = builder.add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        address = x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))])
        return builder.add_extension(address, critical=False).sign(signer, hashes.SHA256())

    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca = certificate("Tests", ca_key.public_key(), "Tests", ca_key, ca=True)
    leaf = certificate("127.0.0.1", key.public_key(), "Tests", ca_key, ca=False)
    pem = serialization.Encoding.PEM
    (folder / "ca.pem").write_bytes(ca.public_bytes(pem))
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "leaf.pem").write_bytes(leaf.public_bytes(pem) + secret)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "leaf.pem")
    return folder / "ca.pem", context


@pytest.fixture
def tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """A server's TLS whose authority our side trusts, as SSL_CERT_FILE would make it."""
    trusted, context = authority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    return context


@dataclass
class Proxy:
    """What a proxy was asked: request heads of HTTP, or (user, word, host, port) of SOCKS."""

    port: int = 0
    asked: list[Any] = field(default_factory=list)


async def pump(reader: Reader, writer: Writer) -> None:
    try:
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()


async def join(reader: Reader, writer: Writer, host: str, port: int, greeting: bytes) -> None:
    there, back = await asyncio.open_connection(host, port)
    writer.write(greeting)
    await asyncio.gather(pump(reader, back), pump(there, writer))


@asynccontextmanager
async def http_proxy(refusal: bytes = b"") -> AsyncIterator[Proxy]:
    """CONNECT, and plain requests in absolute form."""
    made = Proxy()

    async def serve(reader: Reader, writer: Writer) -> None:
        try:
            request = await read_request(reader)
        except asyncio.IncompleteReadError:
            writer.close()
            return
        made.asked.append(request)
        if refusal:
            writer.write(refusal)
            writer.close()
        elif request.startswith(b"CONNECT "):
            host, _, port = request.split(b" ")[1].decode().rpartition(":")
            await join(reader, writer, host, int(port), b"HTTP/1.1 200 Connection established\r\nX: y\r\n\r\n")
        else:
            writer.write(OK)
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()


@asynccontextmanager
async def socks(user: str = "", word: str = "", code: int = 0) -> AsyncIterator[Proxy]:
    made = Proxy()

    async def talk(reader: Reader, writer: Writer) -> None:
        _, count = await reader.readexactly(2)
        offered = await reader.readexactly(count)
        given = ("", "")
        if user:
            if 2 not in offered:
                writer.write(b"\x05\xff")
                return
            writer.write(b"\x05\x02")
            _, length = await reader.readexactly(2)
            name = (await reader.readexactly(length)).decode()
            given = (name, (await reader.readexactly((await reader.readexactly(1))[0])).decode())
            writer.write(b"\x01" + bytes([given != (user, word)]))
        else:
            writer.write(b"\x05\x00")
        _, _, _, kind = await reader.readexactly(4)
        assert kind == 3
        host = (await reader.readexactly((await reader.readexactly(1))[0])).decode()
        port = int.from_bytes(await reader.readexactly(2), "big")
        made.asked.append((*given, host, port))
        reply = b"\x05" + bytes([code]) + b"\x00\x01" + bytes(6)
        if code:
            writer.write(reply)
        else:
            await join(reader, writer, host, port, reply)

    async def serve(reader: Reader, writer: Writer) -> None:
        try:
            await talk(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()


class TestTls:
    async def test_to_a_server_whose_authority_is_trusted(self, tls: ssl.SSLContext) -> None:
        async with peer(OK, tls=tls) as server, clients() as made:
            for _ in range(2):
                assert (await fetch(made, f"https://127.0.0.1:{server.port}/a"))[2] == b"ok"

        assert server.connections == 1

    async def test_to_one_nobody_vouches_for_is_refused(self, tmp_path: Path) -> None:
        _, context = authority(tmp_path)
        async with peer(OK, tls=context) as server, clients() as made:
            with pytest.raises(UpstreamUnreachable):
                await fetch(made, f"https://127.0.0.1:{server.port}/a")

        assert server.requests == []

    async def test_to_another_name_than_the_certificate_s_is_refused(self, tls: ssl.SSLContext) -> None:
        async with peer(OK, tls=tls) as server, clients() as made:
            with pytest.raises(UpstreamUnreachable):
                await fetch(made, f"https://localhost:{server.port}/a")

        assert server.requests == []

    async def test_an_answer_without_length_ends_with_the_connection(self, tls: ssl.SSLContext) -> None:
        async with peer(then_close(b"HTTP/1.1 200 OK\r\n\r\nwhole"), tls=tls) as server, clients() as made:
            assert (await fetch(made, f"https://127.0.0.1:{server.port}/a"))[2] == b"whole"


class TestProxies:
    async def test_plain_http_asks_by_the_whole_address(self) -> None:
        async with http_proxy() as proxy, clients(proxy=f"http://us%40er:wo%3Ard@127.0.0.1:{proxy.port}") as made:
            assert (await fetch(made, "http://api.example/v1/x?y=1"))[2] == b"ok"

        (asked,) = proxy.asked
        assert asked.startswith(b"POST http://api.example/v1/x?y=1 HTTP/1.1\r\nHost: api.example\r\n")
        assert b"Proxy-Authorization: Basic dXNAZXI6d286cmQ=\r\n" in asked  # us@er:wo:rd

    async def test_https_goes_through_a_tunnel(self, tls: ssl.SSLContext) -> None:
        async with (
            peer(OK, tls=tls) as server,
            http_proxy() as proxy,
            clients(proxy=f"http://user:word@127.0.0.1:{proxy.port}") as made,
        ):
            for _ in range(2):
                assert (await fetch(made, f"https://127.0.0.1:{server.port}/secret"))[2] == b"ok"

        (asked,) = proxy.asked  # one tunnel for both
        assert asked.startswith(f"CONNECT 127.0.0.1:{server.port} HTTP/1.1\r\n".encode())
        assert b"Proxy-Authorization: Basic dXNlcjp3b3Jk\r\n" in asked
        assert b"secret" not in asked
        assert b"roxy-" not in b"".join(server.requests)
        assert server.connections == 1

    @pytest.mark.parametrize(
        "refusal", [b"HTTP/1.1 407 Who are you\r\n\r\n", b"HTTP/1.1 502 Bad\r\n\r\n", b"nonsense", b"\r\n\r\n"]
    )
    async def test_a_proxy_that_refuses_the_tunnel(self, refusal: bytes) -> None:
        async with http_proxy(refusal) as proxy, clients(proxy=f"http://127.0.0.1:{proxy.port}") as made:
            with pytest.raises(UpstreamUnreachable):
                await fetch(made, "https://api.example/")

    async def test_the_tunnel_checks_the_destination_s_certificate(self, tmp_path: Path) -> None:
        _, context = authority(tmp_path)
        async with peer(OK, tls=context) as server, http_proxy() as proxy, clients() as made:
            with pytest.raises(UpstreamUnreachable):
                await fetch(made, f"https://127.0.0.1:{server.port}/", proxy=f"http://127.0.0.1:{proxy.port}")
        assert server.requests == []

    async def test_a_proxy_that_says_nothing_has_as_long_as_a_connection_may_take(self) -> None:
        async with peer(silence) as mute, clients(proxy=f"http://127.0.0.1:{mute.port}", connect=0.2) as made:
            with pytest.raises(UpstreamTimeout):
                await fetch(made, "https://api.example/")
            await asyncio.wait_for(mute.closed.wait(), 10)

    async def test_socks_without_a_password(self) -> None:
        async with peer(OK) as server, socks() as proxy, clients(proxy=f"socks5://127.0.0.1:{proxy.port}") as made:
            for _ in range(2):
                assert (await fetch(made, server.url))[2] == b"ok"

        assert proxy.asked == [("", "", "127.0.0.1", server.port)]
        assert server.requests[0].startswith(b"POST /v1/x HTTP/1.1\r\n")

    async def test_socks_with_a_password_and_tls(self, tls: ssl.SSLContext) -> None:
        async with (
            peer(OK, tls=tls) as server,
            socks("us@er", "wörd") as proxy,
            clients(proxy=f"socks5h://us%40er:w%C3%B6rd@127.0.0.1:{proxy.port}") as made,
        ):
            assert (await fetch(made, f"https://127.0.0.1:{server.port}/"))[2] == b"ok"

        assert proxy.asked == [("us@er", "wörd", "127.0.0.1", server.port)]

    @pytest.mark.parametrize("address", ["socks5://127.0.0.1:{}", "socks5://user:wrong@127.0.0.1:{}"])
    async def test_socks_with_a_password_we_do_not_have(self, address: str) -> None:
        async with socks("user", "word") as proxy, clients(proxy=address.format(proxy.port)) as made:
            with pytest.raises(UpstreamUnreachable):
                await fetch(made, "http://api.example/")

    async def test_socks_that_cannot_reach_it(self) -> None:
        async with socks(code=5) as proxy, clients(proxy=f"socks5://127.0.0.1:{proxy.port}") as made:
            with pytest.raises(UpstreamUnreachable):
                await fetch(made, "http://api.example/")

    @pytest.mark.parametrize(
        "proxy", ["ftp://127.0.0.1", "http://", "nonsense", "http://127.0.0.1:99999", "http://[::1"]
    )
    async def test_an_address_that_is_no_proxy(self, proxy: str) -> None:
        async with clients(proxy=proxy) as made:
            with pytest.raises(UpstreamUnreachable):
                await fetch(made, "https://api.example/")

    async def test_a_host_too_long_for_socks(self) -> None:
        host = ".".join(["x" * 60] * 5)
        async with socks() as proxy, clients(proxy=f"socks5://127.0.0.1:{proxy.port}") as made:
            with pytest.raises(UpstreamUnreachable):
                await fetch(made, f"http://{host}/")

    async def test_a_channel_s_own_proxy_comes_first(self) -> None:
        async with (
            http_proxy() as general,
            http_proxy() as ours,
            clients(proxy=f"http://127.0.0.1:{general.port}") as it,
        ):
            await fetch(it, "http://api.example/", proxy=f"http://127.0.0.1:{ours.port}")

        assert (len(ours.asked), len(general.asked)) == (1, 0)

    async def test_a_connection_is_shared_only_on_the_same_way(self) -> None:
        async with peer(OK) as server, socks() as proxy, clients() as made:
            await fetch(made, server.url)
            await fetch(made, server.url, proxy=f"socks5://127.0.0.1:{proxy.port}")
            await fetch(made, server.url)

        assert server.connections == 2


async def test_closing_the_clients_closes_what_they_kept() -> None:
    async with peer(OK) as server, clients() as made:
        await fetch(made, server.url)
        made.close()
        await asyncio.wait_for(server.closed.wait(), 10)


async def test_an_answer_given_back_late_is_not_kept() -> None:
    async with peer(OK) as server, clients() as made:
        answer: Answer = made.send("POST", server.url, [], b"")
        await answer.open()
        await answer.read(10)
        made.close()
        answer.close()
        await asyncio.wait_for(server.closed.wait(), 10)
