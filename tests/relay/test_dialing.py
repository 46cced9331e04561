"""Addresses taken apart, the choice of a proxy, the head of a request, and Retry-After: all of it pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.dialing import CannotDial, Destination, ProxyRules, resolve
from relay.errors import UpstreamUnreachable
from relay.upstream import MAX_PAUSE, Clients, retry_after

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
NO_RULES = ProxyRules("", "", "")


@pytest.mark.parametrize(
    ("url", "destination", "header", "target"),
    [
        ("https://api.example/v1/x?a=b", Destination(True, "api.example", 443, ""), "api.example", "/v1/x?a=b"),
        ("http://api.example", Destination(False, "api.example", 80, ""), "api.example", "/"),
        ("http://api.example?x=1", Destination(False, "api.example", 80, ""), "api.example", "/?x=1"),
        ("http://api.example:8080/", Destination(False, "api.example", 8080, ""), "api.example:8080", "/"),
        ("https://[::1]:8443/a", Destination(True, "::1", 8443, ""), "[::1]:8443", "/a"),
        ("http://user:word@host/a", Destination(False, "host", 80, ""), "host", "/a"),
        ("http://host/a#part", Destination(False, "host", 80, ""), "host", "/a"),
        ("http://bücher.example/", Destination(False, "xn--bcher-kva.example", 80, ""), "xn--bcher-kva.example", "/"),
        ("http://host/a b/%2F/ü", Destination(False, "host", 80, ""), "host", "/a%20b/%2F/%C3%BC"),
    ],
)
def test_an_address_is_taken_apart(url: str, destination: Destination, header: str, target: str) -> None:
    found = resolve(url, "")

    assert (found.destination, found.host_header, found.request_target) == (destination, header, target)


@pytest.mark.parametrize(
    "url", ["", "host/path", "ftp://host/", "http://", "http:///path", "http://[::1/", "http://host:99999/", "//host/x"]
)
def test_an_address_that_leads_nowhere_is_refused(url: str) -> None:
    with pytest.raises(CannotDial):
        resolve(url, "")


def test_plain_http_through_a_proxy_names_the_whole_address() -> None:
    assert resolve("http://host:81/a?b", "http://proxy:3128").request_target == "http://host:81/a?b"
    assert resolve("https://host/a?b", "http://proxy:3128").request_target == "/a?b"
    assert resolve("http://host/a", "socks5://proxy").request_target == "/a"


@pytest.mark.parametrize(
    ("url", "proxy"),
    [
        ("http://api.example/x", "http://p:1"),
        ("https://api.example/x", "http://s:2"),
        ("https://inside.corp/x", ""),
        ("https://deep.inside.corp/x", ""),
        ("https://outinside.corp/x", "http://s:2"),
        ("http://127.0.0.1:9/x", ""),
        ("http://[::1]/x", ""),
        ("http://localhost/x", ""),
    ],
)
def test_the_environment_chooses_a_proxy(url: str, proxy: str) -> None:
    assert ProxyRules("http://p:1", "http://s:2", " .inside.corp , other")(url) == proxy


def test_a_star_means_no_proxy_at_all() -> None:
    assert ProxyRules("http://p:1", "http://p:1", "*")("https://api.example/") == ""


@pytest.mark.parametrize("value", ["a\r\nX-Injected: 1", "a\nX-Injected: 1", "a\rb", "a\0b", "schlüssel→"])
def test_a_header_cannot_smuggle_another(value: str) -> None:
    clients = Clients(proxy="", environment=NO_RULES, connect=1, first_byte=1, idle=1, total=0)

    with pytest.raises(UpstreamUnreachable):
        clients.send("POST", "http://host/", [("authorization", f"Bearer {value}")], b"")


@given(st.text(max_size=20), st.text(max_size=20))
def test_no_key_and_no_path_can_add_a_line(key: str, path: str) -> None:
    clients = Clients(proxy="", environment=NO_RULES, connect=1, first_byte=1, idle=1, total=0)
    try:
        answer = clients.send("POST", f"http://host/{path}", [("authorization", key)], b"{}")
    except UpstreamUnreachable:
        return
    head = answer._request[0].decode("latin-1")
    assert head.endswith("\r\n\r\n")
    assert [line.partition(":")[0] for line in head[:-4].split("\r\n")[1:]] == [
        "Host",
        "authorization",
        "Content-Length",
    ]
    assert head.partition("\r\n")[0].count(" ") == 2


def test_a_broken_address_is_told_apart_even_where_proxies_are_chosen_by_address() -> None:
    rules = ProxyRules("http://p:1", "http://p:1", "")
    clients = Clients(proxy="", environment=rules, connect=1, first_byte=1, idle=1, total=0)

    with pytest.raises(UpstreamUnreachable):
        clients.send("POST", "http://[::1/v1", [], b"")


def test_a_body_has_its_length_and_a_get_without_one_has_none() -> None:
    clients = Clients(proxy="", environment=NO_RULES, connect=1, first_byte=1, idle=1, total=0)

    def head(method: str, body: bytes) -> bytes:
        return clients.send(method, "http://host/", [], body)._request[0]

    assert b"Content-Length: 3\r\n" in head("POST", b"abc")
    assert b"Content-Length: 0\r\n" in head("POST", b"")
    assert b"Content-Length" not in head("GET", b"")


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        (" 7 ", 7.0),
        ("0", 0.0),
        ("86400", MAX_PAUSE),
        ("9" * 400, MAX_PAUSE),
        ("-5", 1.0),
        ("1.5", 1.0),
        ("soon", 1.0),
        ("٣", 1.0),
        ("Fri, 02 Jan 2026 03:04:15 GMT", 10.0),
        ("Fri, 02 Jan 2026 03:04:15", 10.0),
        ("Fri, 02 Jan 2026 03:03:15 GMT", 0.0),
        ("Fri, 02 Jan 2099 03:04:15 GMT", MAX_PAUSE),
        ("Mon, 01 Jan 99999999999999 00:00:00 GMT", 1.0),
        ("Mon, 01 Jan 2026 00:00:00 +99999999999999", 1.0),
        ("Mon, 99 Jan 2026 00:00:00 GMT", 1.0),
    ],
)
def test_retry_after_is_believed_within_reason(value: str, seconds: float) -> None:
    assert retry_after(value, NOW) == seconds


@given(st.one_of(st.text(max_size=40), st.integers(-10, 10**30).map(lambda n: f"Mon, 01 Jan {n} 00:00:00 +{n}")))
def test_no_retry_after_is_out_of_bounds(value: str) -> None:
    assert 0 <= retry_after(value, NOW) <= MAX_PAUSE


@given(st.integers(-100, 100))
def test_a_date_is_so_many_seconds_away(away: int) -> None:
    moment = (NOW + timedelta(seconds=away)).strftime("%a, %d %b %Y %H:%M:%S GMT")

    assert retry_after(moment, NOW) == min(max(away, 0), MAX_PAUSE)
