"""Names, addresses and headers that pretend to be something else: no forged line, no way around a check."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import databases
from tests.attacks.test_wire_requests import AMBIGUOUS, head
from tests.attacks.wire import exchange
from tests.fake_upstream import FakeUpstream
from tests.ports import free_port
from tests.relay.raw import ask, chat, until
from tests.server import ROOT_ACCESS_TOKEN, Account, Gateway

HERE = Path(__file__).parent
NGINX = Path("/usr/sbin/nginx")
BREAKS = ["\r\n", "\n", "\r", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\u2029", "\x1b[2K"]
FORGED = "FORGED 2026-01-01 INFO root signed in"


def lines_of_log(gateway: Gateway) -> list[str]:
    files = [gateway.output, *sorted((gateway.folder / "logs").iterdir())]
    return [line for file in files for line in file.read_text(errors="replace").splitlines()]


class TestForgedLines:
    @pytest.mark.parametrize("line_break", BREAKS)
    def test_of_a_model_a_program_and_a_path(
        self, wired: Gateway, wired_payer: Account, upstream: FakeUpstream, line_break: str
    ) -> None:
        text = f"gpt{line_break}{FORGED}{line_break}X-Forged: 1"
        escaped = "".join(f"%{byte:02x}" for byte in text.encode())
        answers = [
            ask(wired, wired_payer, "/v1/chat/completions", chat(text)),
            ask(wired, wired_payer, f"/v1/{escaped}", chat(text)),
            ask(wired, wired_payer, f"/v1/engines/{escaped}/embeddings", {"input": "x"}),
            ask(wired, wired_payer, f"/v1beta/models/{escaped}:generateContent", {"contents": [{"parts": []}]}),
            ask(wired, wired_payer, f"/v1/models/{escaped}"),
            ask(wired, None, f"/api/{escaped}"),
            ask(wired, None, f"/{escaped}"),
            ask(wired, None, "/api/user/login", {"username": text, "password": text}),
            ask(wired, wired_payer, f"/v1/oneapi/proxy/1/{escaped}"),
        ]

        assert all(400 <= answer.status < 500 or answer.status == 200 for answer in answers)
        assert all("x-forged" not in answer.headers for answer in answers)
        assert upstream.seen() == []
        assert [line for line in lines_of_log(wired) if line.startswith("FORGED")] == []

    @pytest.mark.parametrize("line_break", [b"\r\n", b"\n", b"\r", b"\0"])
    def test_of_a_header(self, wired: Gateway, wired_payer: Account, upstream: FakeUpstream, line_break: bytes) -> None:
        for name in (b"User-Agent", b"OpenAI-Beta", b"anthropic-beta", b"OpenAI-Organization", b"X-Forwarded-For"):
            body = json.dumps(chat("gpt-3.5-turbo")).encode()
            forging = name + b": a" + line_break + b"X-Forged: 1"
            exchange(wired.port, head(wired_payer, forging, b"Content-Length: %d" % len(body)) + body)

        assert all("x-forged" not in seen.headers for seen in upstream.seen())
        assert all("forged" not in str(seen.headers) for seen in upstream.seen())

    def test_headers_of_callers_that_upstreams_get_are_what_was_sent(
        self, wired: Gateway, wired_payer: Account, upstream: FakeUpstream
    ) -> None:
        odd = b"caf\xe9\t\xff; a=b"
        body = json.dumps(chat("gpt-3.5-turbo")).encode()
        heard = exchange(
            wired.port, head(wired_payer, b"OpenAI-Beta: " + odd, b"Content-Length: %d" % len(body)) + body
        )

        assert heard.statuses == [200]
        (seen,) = upstream.seen()
        assert seen.headers.get("openai-beta", odd.decode("latin-1")) == odd.decode("latin-1")


TARGETS = (HERE / "spellings_of_v1_models.txt").read_text().split()
INNER = (HERE / "spellings_of_api_user.txt").read_text().split()
REWRITING = ["X-Original-URL", "X-Rewrite-URL", "X-Forwarded-Path", "X-Forwarded-Prefix", "X-Script-Name"]
HIDDEN = [b'"username"', b'"access_token"', b'"object":"list"', b'"owned_by"']


class TestWaysAround:
    @pytest.mark.parametrize("target", [*TARGETS, *INNER])
    def test_nobody_is_told_anything_at_any_spelling_of_an_address(self, wired: Gateway, target: str) -> None:
        for method in ("GET", "POST"):
            got = ask(wired, None, target, method=method)

            assert got.status < 500
            assert not [hidden for hidden in HIDDEN if hidden in got.body.replace(b": ", b":")]

    @pytest.mark.parametrize("target", INNER)
    def test_a_user_is_not_told_of_others(self, wired: Gateway, token: str, target: str) -> None:
        got = ask(wired, None, target, headers={"Authorization": token})

        assert b'"root"' not in got.body

    @pytest.mark.parametrize("name", REWRITING)
    def test_no_header_names_another_address(self, wired: Gateway, token: str, name: str) -> None:
        for open_to_all in ("/api/status", "/v1/nothing", "/"):
            for inner in ("/api/user/", "/v1/models"):
                got = ask(wired, None, open_to_all, headers={name: inner, "Authorization": token})

                assert not [hidden for hidden in HIDDEN if hidden in got.body.replace(b": ", b":")]

    @pytest.mark.parametrize("name", ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"])
    def test_no_header_names_another_method(self, wired: Gateway, wired_payer: Account, name: str) -> None:
        root = {"Authorization": f"Bearer {ROOT_ACCESS_TOKEN}", name: "DELETE"}
        before = wired.database.value("SELECT count(*) FROM users")
        ask(wired, None, f"/api/user/{wired_payer.id}", headers=root)
        ask(wired, None, f"/api/user/{wired_payer.id}?_method=DELETE", headers=root)

        assert wired.database.value("SELECT count(*) FROM users") == before
        assert ask(wired, wired_payer, "/v1/models").status == 200

    @pytest.mark.parametrize("name", ["X_Forwarded_For", "Authorization_", "Content_Length", "HTTP_AUTHORIZATION"])
    def test_a_name_with_an_underscore_is_no_other_header(self, wired: Gateway, name: str) -> None:
        got = ask(wired, None, "/api/user/", headers={name: f"Bearer {ROOT_ACCESS_TOKEN}"})

        assert b'"username"' not in got.body

    def test_of_two_keys_the_first_counts(self, wired: Gateway, wired_payer: Account) -> None:
        heard = exchange(
            wired.port,
            b"GET /v1/models HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer sk-nobody\r\n"
            b"Authorization: Bearer sk-%b\r\n\r\n" % wired_payer.key.encode(),
        )

        assert heard.statuses == [401]


@pytest.fixture
def token(wired: Gateway, wired_payer: Account) -> str:
    return f"Bearer {wired.operator('access_token', user_id=wired_payer.id)}"


@pytest.fixture(scope="module")
def nginx(wired: Gateway, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of an nginx with the configuration that is shipped, one process in front of one node."""
    if not NGINX.exists():
        databases.missing("nginx is not installed")
    folder, port = tmp_path_factory.mktemp("nginx"), free_port()
    text = (HERE.parents[1] / "deploy" / "nginx.conf").read_text()
    for pattern, put in (
        (r"worker_processes .*", "worker_processes 1;"),
        (r"worker_rlimit_nofile .*", ""),
        (r"worker_connections \d+", "worker_connections 512"),
        (r"server node1:3000", f"server 127.0.0.1:{wired.port}"),
        (r"server node2:3000.*", ""),
        (r"listen 80 default_server", f"listen 127.0.0.1:{port}"),
        (r"/var/log/nginx", str(folder)),
    ):
        text, found = re.subn(pattern, put, text)
        assert found, pattern
    (folder / "nginx.conf").write_text(text)
    command = [str(NGINX), "-p", str(folder), "-e", "error.log", "-c", "nginx.conf"]
    with subprocess.Popen([*command, "-g", f"daemon off; pid {folder}/pid;"]) as process:
        try:
            until(lambda: _answers(port), 10)
            yield port
        finally:
            process.terminate()


def _answers(port: int) -> bool:
    try:
        return exchange(port, b"GET /api/status HTTP/1.0\r\nHost: gateway\r\n\r\n").statuses == [200]
    except OSError:
        return False


class TestThroughNginx:
    @pytest.mark.parametrize("name", AMBIGUOUS)
    def test_no_pair_of_readings_leaves_anything_for_the_next_caller(
        self, nginx: int, wired_payer: Account, upstream: FakeUpstream, name: str
    ) -> None:
        lines, body = AMBIGUOUS[name]
        # Without a key: 401. It is the last one, so that what is heard ends with the connection.
        smuggled = b"GET /v1/models HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n\r\n"

        heard = exchange(nginx, head(wired_payer, *lines) + body + smuggled, answers=3)
        last = b"GET /api/status HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n\r\n"
        after = [exchange(nginx, last, answers=2) for _ in range(2)]

        assert heard.statuses in ([400], [501], [200, 401], [413], [400, 401]), heard.raw
        assert len(upstream.seen()) == heard.statuses.count(200)
        assert [one.statuses for one in after] == [[200], [200]]
        assert all(b'"system_name"' in one.raw for one in after)
