"""A caller's addresses are no way into the network the gateway stands in: nothing leaves a socket of the real server.

The server runs in a network of its own (tests.attacks.network; not without root), where the first packet of each
connection is heard whoever makes it. With tests/attacks/watched on its path attempts are heard that the kernel refuses,
too. What is left are the calls to the scripted upstream. docs/configuration.md says what operators may point inwards.
"""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, cast
from urllib.parse import parse_qs, quote, urlsplit

import pytest

from tests import fake_upstream, migrated, server
from tests.attacks.fields import CHANNELS, FIELDS, Field
from tests.attacks.network import OWN, Network, Sent
from tests.relay.inner_addresses import ADDRESSES, NAMES
from tests.server import ROOT, Account, Gateway

AT_ONCE = 8
PUBLIC = "9.9.9.9"  # not in this network: what is sent there goes nowhere, and is heard
NAMED = [f"http://{name}:{{port}}/a.png" for name in NAMES]
INWARDS = [*ADDRESSES, *NAMED]
OURS = [
    f"http://{OWN[0]}:{{port}}/",
    f"http://[{OWN[1]}]:{{port}}/",
    "http://own.example:{port}/",
    "http://own6.example:{port}/",
]
# Whatever is not known leads inwards as well, as a careless resolver or a hostile one would have it.
RESOLVED: dict[str, list[list[str]]] = {
    **{name.encode("idna").decode().lower().removesuffix("."): [found] for name, found in NAMES.items()},
    "own.example": [[OWN[0]]],
    "own6.example": [[OWN[1]]],
    "public.example": [[PUBLIC]],
    "turning.example": [[PUBLIC], ["127.0.0.1"]],
    "turning6.example": [[PUBLIC], ["::1"]],
    "*": [["127.0.0.1", "::1"]],
}


class Listener(ThreadingHTTPServer):
    """On every address of this machine. `?to=<address>` leads there, nothing else is there."""

    address_family = socket.AF_INET6  # both families: a server of the tests' own hears what comes over IPv4 as well
    daemon_threads = True
    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__(("::", 0), Answering)
        self.paths: list[str] = []
        self.port = int(self.server_address[1])
        Thread(target=self.serve_forever, daemon=True).start()


class Answering(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        cast("Listener", self.server).paths.append(self.path)
        location = parse_qs(urlsplit(self.path).query).get("to", [""])[0].encode().decode("latin-1")
        self.send_response(302 if location else 404)
        self.send_header("Location", location)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *arguments: Any) -> None:
        """Nothing: the test tells what came."""


@dataclass
class Watched:
    """`start` is a listener one may name as start.example; `inner` is where inner addresses lead."""

    network: Network
    gateway: Gateway
    payer: Account
    start: Listener
    inner: Listener
    upstream_port: int
    tried: Path

    def begin(self) -> None:
        self.network.settled()
        self.network.forget()
        self.start.paths.clear()
        self.inner.paths.clear()
        self.tried.write_bytes(b"")

    def observed(self, *expected: int) -> tuple[set[Sent], set[tuple[str, str, int]], list[str]]:
        """What left a socket, what was tried, what came to `inner`; but for us, the upstream and `expected` ports."""
        ports = (self.gateway.port, self.upstream_port, *expected)
        sent = {one for one in self.network.settled() if one[2] not in ports}
        tried = {tuple(json.loads(line)) for line in self.tried.read_text().splitlines()}
        return sent, {one for one in tried if one[2] not in ports}, list(self.inner.paths)

    def heard(self, *sent: Sent) -> set[Sent]:
        """What should have been heard of these."""
        return set(sent) if self.network.hears else set()

    def ask(self, field: Field, addresses: list[str]) -> list[int]:
        """The status of one call for each address, `{port}` being that of `inner`."""
        return self.network.do(self._ask, field, [one.replace("{port}", str(self.inner.port)) for one in addresses])

    def _ask(self, field: Field, addresses: list[str]) -> list[int]:
        with ThreadPoolExecutor(AT_ONCE) as threads:  # begun inside the network, so they are inside, too
            parts = [addresses[start::AT_ONCE] for start in range(AT_ONCE)]
            answered = list(threads.map(lambda part: self._calls(field, part), parts))
        return [answered[number % AT_ONCE][number // AT_ONCE] for number in range(len(addresses))]

    def _calls(self, field: Field, addresses: list[str]) -> list[int]:
        return [self._status("POST", field.path, json.dumps(field.body(address))) for address in addresses]

    def _status(self, method: str, path: str, body: str | None = None) -> int:
        key = self.payer.key
        headers = {"Authorization": f"Bearer sk-{key}", "x-goog-api-key": key, "Content-Type": "application/json"}
        with closing(http.client.HTTPConnection("127.0.0.1", self.gateway.port, timeout=30)) as connection:
            connection.request(method, path, body, headers)
            return connection.getresponse().status

    def get(self, path: str) -> int:
        return self.network.do(self._status, "GET", path)


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    network, inside = Network(), ExitStack()
    try:
        yield network.do(_begun, network, inside, tmp_path_factory.mktemp("ssrf"))
    finally:
        network.do(inside.close)
        network.close()


def _begun(network: Network, inside: ExitStack, folder: Path) -> Watched:
    tried, names = folder / "tried", folder / "names.json"
    names.write_text(json.dumps(RESOLVED))
    settings = {
        "PYTHONPATH": str(ROOT / "tests" / "attacks" / "watched"),
        "WATCHED_CONNECTIONS": str(tried),
        "WATCHED_NAMES": str(names),
        "USER_CONTENT_ALLOWED_HOSTS": "start.example",
        "USER_CONTENT_REQUEST_TIMEOUT": "3",
    }
    database = inside.enter_context(migrated.copy("sqlite", folder))
    upstream = inside.enter_context(fake_upstream.running())
    gateway = inside.enter_context(server.running(database, 1, folder, settings))
    for model, kind in CHANNELS.items():
        gateway.add_channel(upstream.url, model, type=kind, name=model)
    gateway.add_channel(upstream.url, "proxied", type=43, name="proxied")
    payer = gateway.new_user(1_000_000_000)
    gateway.wait_until_routed(payer.key, "proxied")
    port = urlsplit(upstream.url).port or 0
    return Watched(network, gateway, payer, Listener(), Listener(), port, tried)


def test_the_list_is_long() -> None:
    assert len(set(ADDRESSES)) >= 250


def test_a_connection_that_is_allowed_is_seen_in_all_three_ways(watched: Watched) -> None:
    watched.begin()

    statuses = watched.ask(
        FIELDS["chat image_url"], ["http://start.example:{port}/a.png", "http://public.example/a.png"]
    )

    sent, tried, came = watched.observed()
    port = watched.inner.port
    assert statuses == [400, 400]  # neither is a picture
    assert sent == watched.heard(("tcp", "127.0.0.1", port), ("tcp", PUBLIC, 80))
    assert tried == {("uvloop", "127.0.0.1", port), ("uvloop", PUBLIC, 80)}
    assert came == ["/a.png"]


@pytest.mark.parametrize("name", FIELDS)
def test_no_field_connects_inwards(watched: Watched, name: str) -> None:
    field = FIELDS[name]
    watched.begin()

    statuses = watched.ask(field, INWARDS)

    assert watched.observed() == (set(), set(), [])
    pairs = list(zip(INWARDS, statuses, strict=True))
    assert {address for address, status in pairs if status != 400 and not field.left(address)} == set()
    assert sum(status == 400 for _, status in pairs) > 200


@pytest.mark.parametrize("name", FIELDS)
def test_each_field_would_connect_where_it_may(watched: Watched, name: str) -> None:
    watched.begin()

    watched.ask(FIELDS[name], ["http://start.example:{port}/a.png"])

    sent, tried, came = watched.observed()
    port = watched.inner.port
    assert sent == watched.heard(("tcp", "127.0.0.1", port))
    assert (tried, came) == ({("uvloop", "127.0.0.1", port)}, ["/a.png"])


def test_a_public_address_of_this_machine_is_not_connected_to(watched: Watched) -> None:
    if not watched.network.hears:
        pytest.skip("this machine has none: that takes a network of its own")
    watched.begin()

    assert watched.ask(FIELDS["chat image_url"], OURS) == [400] * len(OURS)
    assert watched.observed() == (set(), set(), [])


def test_no_redirect_leads_inwards(watched: Watched) -> None:
    begin = f"http://start.example:{watched.start.port}/?to="
    watched.begin()

    addresses = [begin + quote(one.replace("{port}", str(watched.inner.port)), safe="") for one in INWARDS if one]
    watched.ask(FIELDS["chat image_url"], addresses)

    assert watched.observed(watched.start.port) == (set(), set(), [])
    assert {path for path in watched.start.paths if path.startswith("/?to=")} == {
        one[len(begin) - len("/?to=") :] for one in addresses
    }


def test_a_name_that_changes_its_mind_gains_nothing(watched: Watched) -> None:
    watched.begin()

    statuses = [
        *watched.ask(FIELDS["chat image_url"], ["http://turning.example/", "http://turning6.example/"]),
        *watched.ask(FIELDS["chat image_url"], ["http://turning.example:{port}/", "http://turning6.example:{port}/"]),
    ]

    assert statuses == [400] * 4
    assert watched.observed() == (watched.heard(("tcp", PUBLIC, 80)), {("uvloop", PUBLIC, 80)}, [])


@pytest.mark.parametrize(
    "target",
    [
        *(
            "@127.0.0.1:{port}/",
            "/127.0.0.1:{port}/",
            "http://127.0.0.1:{port}/",
            "..//127.0.0.1:{port}/",
            "\\127.0.0.1:{port}/",
        ),
        *(
            "%40127.0.0.1:{port}/",
            ":{port}/",
            ".127.0.0.1:{port}/",
            "%0d%0aHost:%20127.0.0.1:{port}",
            "?@127.0.0.1:{port}/",
        ),
    ],
)
def test_a_proxied_path_leads_nowhere_but_to_its_channel(watched: Watched, target: str) -> None:
    watched.begin()

    watched.get(f"/v1/oneapi/proxy/{len(CHANNELS) + 1}/" + target.replace("{port}", str(watched.inner.port)))

    assert watched.observed() == (set(), set(), [])
