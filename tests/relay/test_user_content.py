"""Fetching what callers name, on real sockets: where it may go, what it takes, and that it connects nowhere else."""

from __future__ import annotations

import asyncio
import base64
import gzip
import re
import socket
import ssl
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from django.test import override_settings
from hypothesis import given
from hypothesis import strategies as st

from config.allowed_hosts import AllowedHosts
from relay import user_content
from relay.errors import BadRequest
from relay.public_addresses import NAT64, is_ours, is_public
from relay.user_content import Content, UserContent
from tests.ports import free_port
from tests.relay.inner_addresses import ADDRESSES, NAMES

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 3 + b"end"
SAME = "the image cannot be fetched from its address"


class Connecting:
    """Every connection anything in this process tries, seen by the interpreter's own audit (`socket.connect`)."""

    def __init__(self) -> None:
        self.seen: list[Any] = []
        self.on = False
        sys.addaudithook(self._hear)  # cannot be taken back; deaf between tests

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        # UDP sockets that only ask for the way send nothing; AF_UNIX is the event loop's own.
        if self.on and event == "socket.connect" and arguments[0].type == socket.SOCK_STREAM:
            self.seen.append(arguments[1])


HEARD = Connecting()


@pytest.fixture
def connecting() -> Iterator[list[Any]]:
    HEARD.seen.clear()
    HEARD.on = True
    yield HEARD.seen
    HEARD.on = False


@dataclass
class Host:
    """A server on 127.0.0.1 and ::1, the same port on both."""

    port: int = 0
    connections: list[str] = field(default_factory=list)  # the address each came to
    requests: list[bytes] = field(default_factory=list)
    left: asyncio.Event = field(default_factory=asyncio.Event)


def answer(body: bytes = PNG, kind: str = "image/png", status: str = "200 OK", *more: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *([f"Content-Type: {kind}"] if kind else []), *more]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def redirect(location: str, status: str = "302 Found") -> bytes:
    return answer(b"", "", status, f"Location: {location}")


@asynccontextmanager
async def host(*script: bytes, drip: bool = False, tls: ssl.SSLContext | None = None) -> AsyncIterator[Host]:
    """Answers by the script, the last answer for all further requests. `drip`: then never ends."""
    made, steps = Host(), list(script)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        made.connections.append(writer.get_extra_info("sockname")[0])
        try:
            made.requests.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(steps.pop(0) if len(steps) > 1 else steps[0])
            while drip:
                writer.write(b"x")
                await writer.drain()
                await asyncio.sleep(0.02)
            await reader.read()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # whoever connects may leave as they like
        finally:
            made.left.set()
            writer.close()

    made.port = free_port()  # nobody else's caller ever comes by
    four = await asyncio.start_server(serve, "127.0.0.1", made.port, ssl=tls)
    six = await asyncio.start_server(serve, "::1", made.port, ssl=tls)
    try:
        yield made
    finally:
        four.close()
        six.close()


class Names:
    """A resolver that knows what it is told; other names it reads as inet_aton does, like a careless one would."""

    def __init__(self, **known: list[str]) -> None:
        self.known = known
        self.asked: list[str] = []

    async def __call__(self, name: str, port: int) -> list[str]:
        self.asked.append(name)
        if name in self.known:
            return self.known[name]
        if name.endswith("localhost") or name.startswith("localhost"):
            return ["127.0.0.1", "::1"]
        found = await asyncio.get_running_loop().getaddrinfo(name, port, flags=socket.AI_NUMERICHOST)
        return [str(entry[4][0]) for entry in found]


def contents(allowed: str = "", **known: Any) -> UserContent:
    """Names may also be given as `name=[addresses]` with `_` for a dot."""
    settings = {name: known.pop(name) for name in ("timeout", "largest", "proxy", "resolver") if name in known}
    resolver = settings.pop("resolver", None) or Names(**{key.replace("_", "."): value for key, value in known.items()})
    return UserContent(allowed=AllowedHosts.parse(allowed), resolver=resolver, **{"timeout": 5.0, **settings})


async def refusal(made: UserContent, url: str, kind: str = "image") -> BadRequest:
    with pytest.raises(BadRequest) as caught:
        await made.fetch(url, kind)
    assert (caught.value.status, caught.value.code) == (400, f"invalid_{kind}_url")
    return caught.value


def decoded(content: Content) -> bytes:
    return base64.b64decode(content.data, validate=True)


class TestInnerAddresses:
    def test_the_list_is_long(self) -> None:
        assert len(set(ADDRESSES)) >= 120

    @pytest.mark.parametrize("url", ADDRESSES)
    async def test_none_is_connected_to(self, url: str, connecting: list[Any]) -> None:
        async with host(answer()) as inner:
            error = await refusal(contents(), url.replace("{port}", str(inner.port)))

        assert (inner.connections, connecting) == ([], [])
        assert not {"127", "public"} & set(re.findall(r"\w+", error.message))

    @pytest.mark.parametrize("name", NAMES)
    async def test_nor_is_a_name_that_leads_to_one(self, name: str, connecting: list[Any]) -> None:
        asked = name.encode("idna").decode().lower().removesuffix(".")
        names = Names(**{asked: NAMES[name]})
        async with host(answer()) as inner:
            error = await refusal(contents(resolver=names), f"http://{name}:{inner.port}/a.png")

        assert (inner.connections, connecting) == ([], [])
        assert (names.asked, error.message) == ([asked], SAME)

    async def test_the_listener_and_the_audit_would_have_seen_one(self, connecting: list[Any]) -> None:
        async with host(answer()) as inner:
            await contents("127.0.0.1").fetch(f"http://127.0.0.1:{inner.port}/", "image")
            await contents("::1").fetch(f"http://[::1]:{inner.port}/", "image")

        assert inner.connections == ["127.0.0.1", "::1"]
        assert [address[0] for address in connecting] == ["127.0.0.1", "::1"]

    async def test_a_name_is_looked_up_once_and_the_connection_goes_to_what_was_judged(
        self, connecting: list[Any]
    ) -> None:
        class Changing(Names):
            async def __call__(self, name: str, port: int) -> list[str]:
                self.asked.append(name)
                return ["127.0.0.1"] if len(self.asked) == 1 else ["::1"]

        names = Changing()
        async with host(answer()) as server:
            await contents("127.0.0.1/32", resolver=names).fetch(f"http://changing.example:{server.port}/", "image")
            await refusal(contents("127.0.0.1/32", resolver=names), f"http://changing.example:{server.port}/")

        assert server.connections == ["127.0.0.1"]
        assert names.asked == ["changing.example"] * 2
        assert [address[0] for address in connecting] == ["127.0.0.1"]

    async def test_refused_closed_and_unknown_read_the_same(self) -> None:
        messages = [
            (await refusal(contents(), "http://10.0.0.1/")).message,
            (await refusal(contents("127.0.0.1"), f"http://127.0.0.1:{free_port()}/")).message,
            (await refusal(contents(), "http://unknown.example/")).message,
            (await refusal(contents(empty_example=[]), "http://empty.example/")).message,
        ]
        assert messages == [SAME] * 4

    @pytest.mark.parametrize("port", [1, 21, 22, 25, 53, 110, 143, 389, 445, 465, 587, 993, 1023])
    async def test_old_services_of_public_hosts_are_left_alone(self, port: int, connecting: list[Any]) -> None:
        await refusal(contents(public_example=["93.184.215.14"]), f"http://public.example:{port}/")
        assert connecting == []

    async def test_a_public_address_of_this_machine_is_refused(
        self, connecting: list[Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(user_content, "is_public", lambda _address: True)  # as if 127.0.0.1 were one
        async with host(answer()) as inner:
            await refusal(contents(), f"http://127.0.0.1:{inner.port}/")
        assert connecting == []

    @given(
        st.text(max_size=40), st.sampled_from(["", "http://", "https://", "http://[", "http://127.0.0.1", "http://a."])
    )
    def test_no_text_raises_anything_but_a_refusal(self, text: str, start: str) -> None:
        async def nowhere(name: str, port: int) -> list[str]:
            return ["127.0.0.1"]

        with pytest.raises(BadRequest):
            asyncio.run(UserContent(resolver=nowhere).fetch(start + text, "image"))


class TestRedirects:
    @pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"])
    async def test_they_are_followed(self, status: str) -> None:
        async with host(redirect("/b?c", status), answer()) as server:
            content = await contents("127.0.0.1").fetch(f"http://127.0.0.1:{server.port}/a", "image")

        assert (decoded(content), content.mime) == (PNG, "image/png")
        assert [request.split(b" ")[1] for request in server.requests] == [b"/a", b"/b?c"]

    @pytest.mark.parametrize(
        "location",
        [
            "http://127.0.0.1:{port}/", "//127.0.0.1:{port}/", "http://[::1]:{port}/", "//[::1]:{port}/",
            "http://localhost:{port}/", "http://0x7f.1:{port}/", "http://2130706433:{port}/", "http://0:{port}/",
            "http://[::ffff:127.0.0.1]:{port}/", "http://evil.example:{port}/", "http://start.example@127.0.0.1:{port}/",
            "\\\\127.0.0.1:{port}/", "/\\127.0.0.1:{port}/", "//127.0.0.1:{port}", "http://127.0.0.1.:{port}/",
            "http://169.254.169.254/latest/meta-data/", "http://[fd00:ec2::254]/", "http://10.0.0.1/", "file:///etc/passwd",
            "gopher://127.0.0.1:{port}/", "http:127.0.0.1:{port}/", "///127.0.0.1:{port}/", "", "http://", "http://[::1",
        ],
    )  # fmt: skip
    async def test_inwards_they_are_not(self, location: str, connecting: list[Any]) -> None:
        async with host(b"") as unused:
            async with host(redirect(location.replace("{port}", str(unused.port)))) as server:
                made = contents("start.example", start_example=["127.0.0.1"], evil_example=["127.0.0.1"])
                await refusal(made, f"http://start.example:{server.port}/")

            assert unused.connections == []
        # What is relative stays with the host that was allowed, three times at most.
        assert {address[:2] for address in connecting} == {("127.0.0.1", server.port)}

    async def test_three_are_enough(self) -> None:
        for count, fine in ((3, True), (4, False)):
            async with host(*[redirect(f"/{n}") for n in range(count)], answer()) as server:
                url = f"http://127.0.0.1:{server.port}/"
                if fine:
                    await contents("127.0.0.1").fetch(url, "image")
                else:
                    assert (await refusal(contents("127.0.0.1"), url)).message == SAME
            assert len(server.connections) == 4

    async def test_a_name_is_judged_anew_at_each(self) -> None:
        class Turning(Names):
            async def __call__(self, name: str, port: int) -> list[str]:
                self.asked.append(name)
                return ["127.0.0.1"] if len(self.asked) == 1 else ["::1"]

        async with host(redirect("/again"), answer()) as server:
            await refusal(contents("127.0.0.1", resolver=Turning()), f"http://turning.example:{server.port}/")
        assert server.connections == ["127.0.0.1"]


class TestAllowedHosts:
    @pytest.mark.parametrize("allowed", ["media.corp", ".corp", "127.0.0.0/8", "127.0.0.1", "other, MEDIA.corp."])
    async def test_they_are_let_through(self, allowed: str) -> None:
        async with host(answer()) as server:
            content = await contents(allowed, media_corp=["127.0.0.1"]).fetch(
                f"http://media.corp:{server.port}/x", "image"
            )
        assert decoded(content) == PNG

    @pytest.mark.parametrize("allowed", ["corp", "media.corp.example", "edia.corp", ".media.corp", "127.0.0.2", "::1"])
    async def test_others_are_not(self, allowed: str, connecting: list[Any]) -> None:
        async with host(answer()) as server:
            await refusal(contents(allowed, media_corp=["127.0.0.1"]), f"http://media.corp:{server.port}/x")
        assert connecting == []

    async def test_every_address_of_a_name_must_be_allowed(self, connecting: list[Any]) -> None:
        async with host(answer()) as server:
            made = contents("127.0.0.1", media_corp=["127.0.0.1", "::1"])
            await refusal(made, f"http://media.corp:{server.port}/x")
        assert connecting == []

    async def test_the_next_address_is_tried_where_one_takes_no_connection(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as only_four:
            port = only_four.getsockname()[1]
            made = contents("media.corp", media_corp=["::1", "127.0.0.1"], timeout=1.0)
            fetching = asyncio.create_task(made.fetch(f"http://media.corp:{port}/", "image"))
            only_four.setblocking(False)
            caller, _ = await asyncio.wait_for(asyncio.get_running_loop().sock_accept(only_four), 10)
            with caller:
                await asyncio.get_running_loop().sock_sendall(caller, answer())
                assert decoded(await fetching) == PNG

    @pytest.mark.parametrize("value", ["a b", "10.0.0.0/33", "http://x", "1.2.3", "0x7f.1", "*.corp", "a..b", "x:80"])
    def test_what_is_no_host_stops_the_start(self, value: str) -> None:
        with pytest.raises(ValueError, match="is not a host name"):
            AllowedHosts.parse("fine.example," + value)

    async def test_settings_are_in_force(self) -> None:
        async with host(answer()) as server:
            url = f"http://127.0.0.1:{server.port}/"
            with override_settings(USER_CONTENT_ALLOWED_HOSTS=AllowedHosts.parse("127.0.0.1")):
                assert decoded(await UserContent.configured().fetch(url, "image")) == PNG
                with override_settings(USER_CONTENT_MAX=100):
                    await refusal(UserContent.configured(), url)
            await refusal(UserContent.configured(), url)


class TestWhatIsTaken:
    async def fetched(self, script: bytes, kind: str = "image", **settings: Any) -> Content:
        async with host(script) as server:
            return await contents("127.0.0.1", **settings).fetch(f"http://127.0.0.1:{server.port}/", kind)

    async def refused(self, script: bytes, kind: str = "image", **settings: Any) -> str:
        async with host(script) as server:
            made = contents("127.0.0.1", **settings)
            return (await refusal(made, f"http://127.0.0.1:{server.port}/", kind)).message

    async def test_nothing_of_ours_or_the_callers_goes_along(self) -> None:
        async with host(answer(PNG, "image/png", "302 Found", "Location: /b", "Set-Cookie: a=b"), answer()) as server:
            await contents("127.0.0.1").fetch(f"http://127.0.0.1:{server.port}/a?b=ü#c", "image")

        assert server.requests[0].startswith(b"GET /a?b=%C3%BC HTTP/1.1\r\n")
        for request in server.requests:
            names = {line.partition(b":")[0] for line in request.split(b"\r\n")[1:] if line}
            assert names == {b"Host", b"User-Agent", b"Accept", b"Accept-Encoding", b"Connection"}
            assert f"Host: 127.0.0.1:{server.port}".encode() in request

    @pytest.mark.parametrize(
        ("declared", "body", "kind", "mime"),
        [
            ("image/png", PNG, "image", "image/png"),
            ("IMAGE/JPEG; charset=x", b"anything", "image", "image/jpeg"),
            ("application/octet-stream", PNG, "image", "image/png"),
            ("binary/octet-stream", b"\xff\xd8\xff\xe0....", "image", "image/jpeg"),
            ("", b"RIFF....WEBPVP8 ", "image", "image/webp"),
            ("", b"GIF89a..", "image", "image/gif"),
            ("audio/mpeg", b"ID3", "audio", "audio/mpeg"),
            ("", b"RIFF....WAVEfmt ", "audio", "audio/wav"),
            ("application/ogg", b"OggS", "audio", "application/ogg"),
            ("", b"\x00\x00\x00\x20ftypisom", "video", "video/mp4"),
            ("", b"%PDF-1.7", "file", "application/pdf"),
            ("text/plain;charset=utf-8", b"hello", "file", "text/plain"),
            ("", b"hello", "file", "application/octet-stream"),
        ],
    )
    async def test_the_type_fits_the_kind(self, declared: str, body: bytes, kind: str, mime: str) -> None:
        content = await self.fetched(answer(body, declared), kind)

        assert (content.mime, decoded(content)) == (mime, body)

    @pytest.mark.parametrize(
        ("declared", "body", "kind", "what"),
        [
            ("text/html", PNG, "image", "an image"),
            ("text/plain; image/png", PNG, "image", "an image"),
            ("", b"<html>", "image", "an image"),
            ("application/octet-stream", b"XXXX....WEBP", "image", "an image"),
            ("image/png", PNG, "audio", "audio"),
            ("", PNG, "video", "a video"),
            ("image/png", b"", "image", "an image"),
            ("", b"", "file", "a file"),
        ],
    )
    async def test_what_does_not_is_refused(self, declared: str, body: bytes, kind: str, what: str) -> None:
        assert await self.refused(answer(body, declared), kind) == f"what the address holds is not {what}"

    @pytest.mark.parametrize("status", ["201 Created", "204 No Content", "206 Partial", "404 Not Found", "500 Oh"])
    async def test_only_200_is_content(self, status: str) -> None:
        assert await self.refused(answer(PNG, "image/png", status)) == SAME

    async def test_compressed_content_is_taken_though_nobody_asked(self) -> None:
        packed = answer(gzip.compress(PNG), "image/png", "200 OK", "Content-Encoding: gzip")
        assert decoded(await self.fetched(packed)) == PNG

    async def test_a_chunked_body_is_whole(self) -> None:
        pieces = b"".join(b"%x\r\n%b\r\n" % (len(PNG[n : n + 7]), PNG[n : n + 7]) for n in range(0, len(PNG), 7))
        head = b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nTransfer-Encoding: chunked\r\n\r\n"
        assert decoded(await self.fetched(head + pieces + b"0\r\n\r\n")) == PNG

    @pytest.mark.parametrize(("length", "fits"), [(1024 * 1024, True), (1024 * 1024 + 1, False)])
    @pytest.mark.parametrize("packed", [False, True])
    async def test_the_limit_counts_what_comes_out(self, length: int, fits: bool, packed: bool) -> None:
        body = bytes(length)
        script = (
            answer(gzip.compress(body), "image/png", "200 OK", "Content-Encoding: gzip") if packed else answer(body)
        )
        if fits:
            assert decoded(await self.fetched(script, largest=1024 * 1024)) == body
        else:
            assert await self.refused(script, largest=1024 * 1024) == "the image is larger than 1 MiB"

    async def test_a_body_without_a_length_is_cut_off_at_the_limit(self) -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\n\r\n"
        assert (
            await self.refused(head + bytes(3 * 1024 * 1024), largest=1024 * 1024) == "the image is larger than 1 MiB"
        )

    async def test_a_bomb_is_let_go_of_before_it_is_inflated(self) -> None:
        bomb = gzip.compress(bytes(300 * 1024 * 1024), 1)
        script = answer(bomb, "image/png", "200 OK", "Content-Encoding: gzip")
        assert await self.refused(script) == "the image is larger than 20 MiB"

    async def test_compressed_nothing_without_end_is_too_much(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(user_content, "MOST_PIECES", 1000)
        script = answer(gzip.compress(b"") * 2000, "image/png", "200 OK", "Content-Encoding: gzip")
        assert await self.refused(script) == "the image is larger than 20 MiB"

    @pytest.mark.parametrize("head", [b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\n\r\n"])
    async def test_one_that_drips_its_head_or_body_is_left_in_time(self, head: bytes) -> None:
        async with host(head, drip=True) as server:
            error = await refusal(contents("127.0.0.1", timeout=0.3), f"http://127.0.0.1:{server.port}/")
            await asyncio.wait_for(server.left.wait(), 10)
        assert error.message == SAME

    async def test_a_resolver_that_hangs_is_left_in_time(self) -> None:
        async def hanging(name: str, port: int) -> list[str]:
            await asyncio.Event().wait()
            return []

        assert (await refusal(contents(resolver=hanging, timeout=0.2), "http://a.example/")).message == SAME

    async def test_only_so_many_run_at_once(self) -> None:
        running, most = 0, 0
        free = asyncio.Event()

        async def counting(name: str, port: int) -> list[str]:
            nonlocal running, most
            running += 1
            most = max(most, running)
            if running == user_content.AT_ONCE:
                asyncio.get_running_loop().call_later(0.1, free.set)  # time for one more than may
            await free.wait()
            running -= 1
            return []

        made = contents(resolver=counting)
        await asyncio.gather(*[refusal(made, "http://a.example/") for _ in range(user_content.AT_ONCE + 5)])
        assert most == user_content.AT_ONCE

    async def test_the_systems_resolver_is_asked_where_no_other_is_given(self) -> None:
        async with host(answer()) as server:
            made = UserContent(allowed=AllowedHosts.parse("127.0.0.0/8,::1"))
            assert decoded(await made.fetch(f"http://localhost:{server.port}/", "image")) == PNG


def served_as(name: str, folder: Path) -> ssl.SSLContext:
    """TLS of a server whose certificate it signed itself; the certificate is `ca.pem` in the folder."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number()).not_valid_before(now - timedelta(days=1))
    builder = builder.not_valid_after(now + timedelta(days=1))
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
    certificate = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "ca.pem").write_bytes(certificate)
    (folder / "server.pem").write_bytes(certificate + secret)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")
    return context


class TestTls:
    async def test_a_certificate_that_nobody_signed_is_refused(self, tmp_path: Path) -> None:
        async with host(answer(), tls=served_as("media.corp", tmp_path)) as server:
            made = contents("media.corp", media_corp=["127.0.0.1"])
            assert (await refusal(made, f"https://media.corp:{server.port}/")).message == SAME
        assert server.requests == []

    async def test_it_is_checked_against_the_name_though_the_connection_goes_to_an_address(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        tls = served_as("media.corp", tmp_path)
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
        asked: list[str | None] = []
        tls.sni_callback = lambda _socket, name, _context: asked.append(name)
        async with host(answer(), tls=tls) as server:
            made = contents(".corp", media_corp=["127.0.0.1"], other_corp=["127.0.0.1"])
            assert decoded(await made.fetch(f"https://media.corp:{server.port}/", "image")) == PNG
            await refusal(made, f"https://other.corp:{server.port}/")

        assert len(server.requests) == 1
        assert asked == ["media.corp", "other.corp"]

    async def test_a_redirect_never_gives_it_up(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        tls = served_as("media.corp", tmp_path)
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
        async with host(answer()) as plain:
            async with host(redirect(f"http://media.corp:{plain.port}/"), tls=tls) as server:
                await refusal(contents("media.corp", media_corp=["127.0.0.1"]), f"https://media.corp:{server.port}/")
            assert (len(server.requests), plain.connections) == (1, [])


class TestProxy:
    async def test_it_is_asked_for_the_name_and_nobody_here_looks_it_up(self, connecting: list[Any]) -> None:
        names = Names()
        async with host(answer()) as proxy:
            made = contents(proxy=f"http://me:word@127.0.0.1:{proxy.port}", resolver=names)
            assert decoded(await made.fetch("http://pictures.example/a.png", "image")) == PNG

        assert proxy.requests[0].startswith(b"GET http://pictures.example/a.png HTTP/1.1\r\n")
        assert b"\r\nProxy-Authorization: Basic bWU6d29yZA==\r\n" in proxy.requests[0]
        assert names.asked == []
        assert [address[:2] for address in connecting] == [("127.0.0.1", proxy.port)]

    # A digit of another script is a name of its own, which is asked for as such: xn--9hb.
    @pytest.mark.parametrize("url", [url for url in ADDRESSES if "127.0.0.١" not in url])
    async def test_it_is_asked_for_no_inner_address(self, url: str, connecting: list[Any]) -> None:
        await refusal(contents(proxy="http://127.0.0.1:9"), url.replace("{port}", "8080"))
        assert connecting == []

    @pytest.mark.parametrize(
        "name", ["intranet", "printer.local", "metadata.google.internal", "nas.home.arpa", "x.localhost", "x:25"]
    )
    async def test_nor_for_a_name_that_is_an_inner_one_or_a_port_of_no_web_server(
        self, name: str, connecting: list[Any]
    ) -> None:
        await refusal(contents(proxy="http://127.0.0.1:9"), f"http://{name}/")
        assert connecting == []

    async def test_a_redirect_is_judged_here_too(self) -> None:
        async with host(redirect("http://10.0.0.1/")) as proxy:
            await refusal(contents(proxy=f"http://127.0.0.1:{proxy.port}"), "http://pictures.example/a.png")
        assert len(proxy.requests) == 1

    async def test_allowed_names_go_through_it(self) -> None:
        async with host(answer()) as proxy:
            made = contents("printer.local, 10.0.0.0/8", proxy=f"http://127.0.0.1:{proxy.port}")
            await made.fetch("http://printer.local:81/", "image")
            await made.fetch("http://10.0.0.1/", "image")
        assert len(proxy.requests) == 2


@pytest.mark.parametrize(
    "address",
    ["1.1.1.1", "8.8.8.8", "93.184.215.14", "100.63.255.255", "100.128.0.1", "172.32.0.1", "192.167.1.1", "192.169.0.1",
     "223.255.255.255", "169.253.1.1", "11.0.0.1", "2606:4700:4700::1111", "2001:4860:4860::8888", "2a00:1450::1",
     "64:ff9b::8.8.8.8"],
)  # fmt: skip
def test_what_is_out_on_the_internet_is_public(address: str) -> None:
    assert is_public(ip_address(address))


@given(st.ip_addresses())
def test_nothing_is_public_that_the_standard_library_takes_for_inner(address: Any) -> None:
    translated = address.version == 6 and address in NAT64
    inner = address.is_private or address.is_multicast or address.is_reserved or address.is_link_local
    assert translated or not (inner and is_public(address))


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_this_machines_own_addresses_are_known(address: str) -> None:
    assert is_ours(ip_address(address))


@pytest.mark.parametrize("address", ["93.184.215.14", "2606:4700:4700::1111"])
def test_others_addresses_are_not_taken_for_ours(address: str) -> None:
    assert not is_ours(ip_address(address))
