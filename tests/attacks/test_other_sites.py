"""What another site can make a browser do here: nothing. Calls by cookie, planted sessions, frames, ways out, names."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest
from django.test import Client

from accounts.models import Role, User
from accounts.services import create_user
from api import windows
from audit.services import SYSTEM
from jobs import running
from options.services import set_option
from tests.api.test_authorisation import ROUTES
from tests.api.test_verification import deliver, text_of, with_address
from tests.console.conftest import signed_in
from tests.notices.mailbox import Mailbox

pytestmark = pytest.mark.django_db

Browser = Callable[..., Client]
REFUSED = "无权进行此操作，请求来自其他网站"
FOREIGN = [
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://testserver.evil.example"},
    {"Origin": "http://testserver@evil.example"},
    {"Origin": "http://testserver:81"},
    {"Referer": "https://evil.example/testserver"},
    {"Referer": "http://evil.example/?http://testserver/"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"},
]


@pytest.fixture
def at_boss(browser: Browser, settings: Any) -> Client:
    settings.GLOBAL_API_RATE_LIMIT = settings.GLOBAL_WEB_RATE_LIMIT = 0
    return browser(create_user(username="boss", password="boss's password", role=Role.ROOT))


# Calls by cookie


@pytest.mark.parametrize(("method", "path"), [(method, path) for method, path, _ in ROUTES])
def test_no_route_takes_the_cookie_from_another_site(
    method: str, path: str, at_boss: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "start", lambda *args: None)
    before = list(User.objects.values())

    for headers in FOREIGN:
        answer = at_boss.generic(method, f"/api/{path}", b"{}", "text/plain", headers=headers)
        assert answer.json() == {"success": False, "message": REFUSED}, headers

    assert list(User.objects.values()) == before
    ours = at_boss.generic(method, f"/api/{path}", b"{}", headers={"Origin": "http://testserver"})
    assert REFUSED.encode() not in ours.content


@pytest.mark.parametrize("path", ["login", "logout"])
def test_another_site_signs_nobody_in_or_out(path: str, at_boss: Client) -> None:
    body = b'{"username":"boss","password":"boss\'s password"}'
    for headers in FOREIGN:
        answer = at_boss.generic("POST" if path == "login" else "GET", f"/api/user/{path}", body, headers=headers)
        assert answer.json() == {"success": False, "message": REFUSED}, headers
        assert not answer.cookies

    assert at_boss.get("/api/user/self").json()["success"]


@pytest.mark.parametrize("path", ["/", "/login", "/api/status", "/api/user/self", "/static/console/console.css"])
def test_no_answer_lets_another_site_read_with_cookies(path: str, at_boss: Client) -> None:
    for method in ("GET", "OPTIONS"):
        answer = at_boss.generic(method, path, headers={"Origin": "https://evil.example"})
        assert "Access-Control-Allow-Credentials" not in answer
        assert answer.get("Access-Control-Allow-Origin", "") != "https://evil.example"


# Sessions


BODY = {"username": "alice", "password": "alice's password"}


def by_page(client: Client, *, secure: bool = False) -> Any:
    return client.post("/login", BODY, secure=secure)


def by_api(client: Client, *, secure: bool = False) -> Any:
    return client.post("/api/user/login", BODY, content_type="application/json", secure=secure)


@pytest.mark.parametrize("enter", [by_page, by_api])
@pytest.mark.parametrize("planted", ["unknown", "a guest's", "somebody else's"])
def test_a_planted_session_is_not_the_one_that_is_signed_in(
    enter: Callable[[Client], Any], planted: str, alice: User, bob: User
) -> None:
    attacker = Client()
    match planted:
        case "unknown":
            attacker.cookies["session"] = "abcdefghijklmnopqrstuvwxyz012345"
        case "a guest's":
            session = attacker.session
            session["planted"] = True
            session.save()
        case _:
            attacker = signed_in(bob)
    key = attacker.cookies["session"].value
    victim = Client()
    victim.cookies["session"] = key

    enter(victim)

    assert victim.get("/api/user/self").json()["data"]["username"] == "alice"
    assert victim.cookies["session"].value != key
    later = Client()
    later.cookies["session"] = key
    assert later.get("/api/user/self").json().get("data", {}).get("username") != "alice"


@pytest.mark.parametrize("enter", [by_page, by_api])
@pytest.mark.parametrize("tls", [True, False])
def test_every_cookie_of_a_sign_in_is_kept_from_other_sites(enter: Callable[..., Any], tls: bool, alice: User) -> None:
    client = Client()
    client.get("/login", secure=tls)
    enter(client, secure=tls)
    client.post("/look/theme", {"theme": "dark"}, secure=tls)

    assert {"session", "csrftoken"} <= set(client.cookies)
    for name, cookie in client.cookies.items():
        assert cookie["samesite"] == "Lax", name
        assert cookie["domain"] == "", name
        assert bool(cookie["secure"]) is tls, name
    assert client.cookies["session"]["httponly"]


# Frames and types


@pytest.mark.parametrize(
    "path", ["/", "/login", "/token", "/nowhere", "/api/status", "/api/nowhere", "/api/docs", "/django-admin/"]
)
def test_every_answer_forbids_frames_and_guessing_its_type(path: str, at_boss: Client) -> None:
    answer = at_boss.get(path, follow=True)

    assert answer["X-Frame-Options"] == "DENY"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Referrer-Policy"] == "same-origin"
    assert "frame-ancestors 'none'" in answer["Content-Security-Policy"]
    assert "unsafe-inline" not in answer["Content-Security-Policy"].partition("style-src")[0]


# Ways out: `next` and its like, as browsers read addresses (https://url.spec.whatwg.org/)

ELSEWHERE = [
    *("https://evil.example", "http://evil.example/", "//evil.example", "///evil.example"),
    *("////evil.example/%2f..", "/\\evil.example", "\\\\evil.example", "\\/evil.example", "/\\/evil.example"),
    *("//\\evil.example", "/\\\\evil.example", "/\t/evil.example", "/\n/evil.example", "/\r\n/evil.example"),
    *("\t//evil.example", " //evil.example", "\x01//evil.example", "https:evil.example", "https:/evil.example"),
    *("http:///evil.example", "hTTps://evil.example", "https:\\\\evil.example", "javascript:alert(1)"),
    *("JaVaScRiPt:alert(1)", " javascript:alert(1)", "java\nscript:alert(1)"),
    *("javascript://testserver/%0aalert(1)", "data:text/html,<script>alert(1)</script>", "vbscript:x"),
    *("ftp://evil.example/", "mailto:a@evil.example", "tel:1", "//testserver@evil.example"),
    *("https://testserver@evil.example", "https://testserver.evil.example", "//evil.example#testserver"),
    *("//evil.example:80", "//[::1]/", "//①②⑦.0.0.1", "//evil。example"),
    *("/%0d%0aLocation:%20https://evil.example", "/\x00/evil.example", "/a\r\nSet-Cookie: session=x"),
    *("https://evil.example%2f@testserver/", "http:evil.example", "//%65vil.example"),
]
DOORS: dict[str, Callable[[Client, str], Any]] = {
    "sign-in": lambda client, wanted: client.post(
        "/login", {"username": "alice", "password": "alice's password", "next": wanted}
    ),
    "sign-in by address": lambda client, wanted: client.post(
        "/login", {"username": "alice", "password": "alice's password"}, query_params={"next": wanted}
    ),
    "signed in already": lambda client, wanted: client.get("/login", {"next": wanted}),
    "language": lambda client, wanted: client.post("/i18n/setlang", {"language": "en", "next": wanted}),
    "language, by Referer": lambda client, wanted: client.post(
        "/i18n/setlang", {"language": "en"}, headers={"Referer": re.sub(r"[^ -~]", "x", wanted)}
    ),
    "colours": lambda client, wanted: client.post("/look/theme", {"theme": "dark", "next": wanted}),
    "menu": lambda client, wanted: client.post("/look/sidebar", {"sidebar": "folded", "next": wanted}),
    "notice": lambda client, wanted: client.post("/notice/dismiss", {"notice": "x", "next": wanted}),
    "columns": lambda client, wanted: client.post("/look/columns", {"list": "keys", "next": wanted}),
    "raw tables": lambda client, wanted: client.get("/django-admin/login/", {"next": wanted}),
}


def leaves(location: str) -> bool:
    """Whether a browser would leave http://testserver: it drops controls, and reads backslashes as slashes."""
    read = re.sub(r"[\t\r\n]", "", location.strip("".join(map(chr, range(33))))).replace("\\", "/")
    parts = urlsplit(urljoin("http://testserver/", re.sub(r"^(https?:)/*", r"\1//", read, flags=re.IGNORECASE)))
    return (parts.scheme, parts.netloc) != ("http", "testserver") or read.startswith("//")


def test_there_are_forty_ways_out_and_each_is_one() -> None:
    assert len(set(ELSEWHERE)) >= 40
    assert leaves("/\\evil.example")
    assert leaves("https:evil.example")
    assert not leaves("/token?next=//evil.example")


@pytest.mark.parametrize("door", DOORS)
def test_nobody_is_led_elsewhere(door: str, alice: User, settings: Any) -> None:
    settings.GLOBAL_WEB_RATE_LIMIT = settings.GLOBAL_API_RATE_LIMIT = 0
    go = DOORS[door]
    client = signed_in(alice)
    for wanted in ELSEWHERE:
        answer = go(Client() if door.startswith("sign-in") else client, wanted)
        location = answer.get("Location", "") or answer.get("HX-Redirect", "")
        assert not leaves(location), (wanted, location)
        assert "\n" not in location
        windows._coarse = windows.MemoryWindows()  # how often one may sign in is not asked here
    assert not leaves(go(client, "/token").get("Location", "/"))


FORMER = [
    "//evil.example",
    "/%2f/evil.example",
    "/\\evil.example",
    "/https://evil.example",
    "/a//evil.example",
    "/%0d%0aX:%20y",
]


@pytest.mark.parametrize("path", ["", *FORMER])
def test_former_addresses_lead_to_ours(path: str) -> None:
    answer = Client().get(f"/panel{path}")

    assert answer.status_code in (301, 302, 404)
    assert not leaves(answer.get("Location", "/"))


# The Host header


@pytest.mark.parametrize("host", ["evil.example", "testserver@evil.example", "evil.example:80"])
def test_a_host_header_gets_into_no_page_and_no_redirect(host: str, alice: User) -> None:
    """Where ServerAddress is set. Without it the home page shows callers the name they used, to be kept by no cache."""
    set_option(SYSTEM, "ServerAddress", "https://gateway.example")
    for path in ("/", "/login", "/reset", "/register", "/token", "/panel/token", "/django-admin"):
        for headers in ({"Host": host}, {"X-Forwarded-Host": host}, {"Forwarded": f"host={host}"}):
            answer = Client().get(path, headers=headers)
            assert b"evil.example" not in answer.content, (path, headers)
            assert "evil.example" not in answer.get("Location", ""), (path, headers)
            assert answer.status_code != 200 or "no-store" in answer["Cache-Control"]


@pytest.mark.parametrize("headers", [{"Host": "evil.example"}, {"X-Forwarded-Host": "evil.example"}])
def test_a_host_header_gets_into_no_mail(headers: dict[str, str], box: Mailbox, alice: User) -> None:
    with_address(alice, "alice@example.com")
    set_option(SYSTEM, "ServerAddress", "https://gateway.example")

    Client().get("/api/reset_password", {"email": "alice@example.com"}, headers=headers)
    deliver()

    text = text_of(box.take())
    assert "https://gateway.example/user/reset?" in text
    assert "evil.example" not in text


# Forms, which carry a token: what an old page, a copied token or a weak neighbour could send in somebody's name


@pytest.mark.parametrize("headers", [headers for headers in FOREIGN if "Origin" in headers], ids=str)
def test_no_form_is_taken_from_another_site(headers: dict[str, str]) -> None:
    assert sent(headers).status_code == 403


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://testserver"},
        {"Origin": "https://testserver"},  # a proxy has taken TLS off, and TRUSTED_PROXIES does not name it
        {"Origin": "https://known.example", "Sec-Fetch-Site": "same-origin"},  # and it names another Host
        {},
    ],
    ids=str,
)
def test_a_form_of_ours_is_taken(headers: dict[str, str]) -> None:
    assert sent(headers).status_code == 302


def test_where_the_gateway_is_known_as_by_the_operator_counts_as_ours() -> None:
    set_option(SYSTEM, "ServerAddress", "https://known.example")

    assert sent({"Origin": "https://known.example"}).status_code == 302


def test_over_tls_a_page_that_came_without_sends_no_form() -> None:
    assert sent({"Origin": "https://testserver"}, secure=True).status_code == 302
    assert sent({"Origin": "http://testserver"}, secure=True).status_code == 403


def sent(headers: dict[str, str], *, secure: bool = False) -> Any:
    """The form that sets the theme, with its token."""
    client = Client(enforce_csrf_checks=True)
    client.get("/login", secure=secure)
    token = client.cookies["csrftoken"].value
    form = {"theme": "dark", "csrfmiddlewaretoken": token}
    return client.post("/look/theme", form, headers=headers, secure=secure)
