"""Home, about, chat, help and error pages (console reference, 3.1 to 3.3, 3.10, 3.11, 11.9; D4, D44, D45)."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory
from django.urls import path

from accounts.models import User
from audit.services import SYSTEM
from config.urls import urlpatterns as all_addresses
from console.errors import server_error
from options.registry import BadOption
from options.services import set_option
from tests.console.conftest import signed_in

pytestmark = pytest.mark.django_db

PAGE = "<!DOCTYPE html><html><body><script>parent.document</script></body></html>"
LINKED = {"home": ("/", "HomePageContent"), "about": ("/about", "About")}


def text_of(answer: Any) -> str:
    return str(answer.content.decode())


def sources(answer: Any, directive: str) -> str:
    parts = answer["Content-Security-Policy"].split("; ")
    return next((part.removeprefix(f"{directive} ") for part in parts if part.startswith(f"{directive} ")), "")


def test_an_empty_home_tells_what_is_on_and_how_to_call() -> None:
    set_option(SYSTEM, "ServerAddress", "https://api.example:8443/")
    set_option(SYSTEM, "RegisterEnabled", "false")

    page = text_of(Client().get("/"))

    assert "curl https://api.example:8443/v1/chat/completions" in page
    assert "Log in or register first" in page
    for flag in ("E-mail verification", "Sign-in with GitHub", "Sign-in with WeChat", "Check by Turnstile"):
        assert flag in page
    assert page.count("</svg>off</span>") == 5


@pytest.mark.parametrize("name", LINKED)
def test_a_link_is_framed_and_its_origin_alone_allowed(name: str) -> None:
    address, option = LINKED[name]
    set_option(SYSTEM, option, "https://welcome.example:444/a/page?x=1")

    answer = Client().get(address)

    assert sources(answer, "frame-src") == "https://welcome.example:444"
    assert '<iframe class="framed"' in text_of(answer)
    assert 'src="https://welcome.example:444/a/page?x=1"' in text_of(answer)
    assert 'referrerpolicy="no-referrer"' in text_of(answer)
    assert "Open in a new tab" in text_of(answer)


@pytest.mark.parametrize("name", LINKED)
@pytest.mark.parametrize("link", ["https://testserver/token", "https://TESTSERVER", "https://api.example/"])
def test_a_link_to_the_console_itself_is_not_framed(name: str, link: str) -> None:
    address, option = LINKED[name]
    set_option(SYSTEM, "ServerAddress", "https://api.example")
    set_option(SYSTEM, option, link)

    answer = Client().get(address)

    assert sources(answer, "frame-src") == ""
    assert "<iframe" not in text_of(answer)
    assert "This address belongs to this console" in text_of(answer)


def test_an_address_without_tls_stays_a_link() -> None:
    set_option(SYSTEM, "HomePageContent", "http://welcome.example/")

    answer = Client().get("/")

    assert "<iframe" not in text_of(answer)
    assert '<a class="btn" href="http://welcome.example/"' in text_of(answer)


@pytest.mark.parametrize("name", LINKED)
def test_text_is_markdown_made_harmless(name: str) -> None:
    address, option = LINKED[name]
    set_option(SYSTEM, option, '# Hello\n\n**bold** <script>alert(1)</script><img src="x" onerror="alert(2)">')

    page = text_of(Client().get(address))

    assert "<h1>Hello</h1>" in page
    assert page.count("<h1") == 1
    assert "<strong>bold</strong>" in page
    assert "alert(1)" not in page
    assert "onerror" not in page


@pytest.mark.parametrize("name", LINKED)
@pytest.mark.parametrize("text", [PAGE, "  \n<html><script>parent.document</script></html>"])
def test_a_whole_page_runs_in_an_origin_of_its_own(name: str, text: str) -> None:
    address, option = LINKED[name]
    set_option(SYSTEM, option, text)

    around, page = Client().get(address), Client().get(f"/content/{name}/")

    assert f'src="/content/{name}/" sandbox="allow-popups allow-scripts"' in text_of(around)
    assert sources(around, "frame-src") == "'self'"
    assert "parent.document" not in text_of(around)
    assert sources(page, "sandbox") == "allow-popups allow-scripts"
    assert sources(page, "frame-ancestors") == "'self'"
    assert page["X-Frame-Options"] == "SAMEORIGIN"
    assert "parent.document" in text_of(page)


@pytest.mark.parametrize("address", ["/content/home/", "/content/about/", "/content/notice/"])
def test_only_whole_pages_are_served_by_themselves(address: str) -> None:
    set_option(SYSTEM, "HomePageContent", "text <b>only</b>")

    assert Client().get(address).status_code == 404


def test_chat_is_for_people_who_are_signed_in(alice: User) -> None:
    set_option(SYSTEM, "ChatLink", "https://chat.example/#/")

    assert Client().get("/chat")["Location"] == "/login?next=/chat"
    answer = signed_in(alice).get("/chat")
    assert sources(answer, "frame-src") == "https://chat.example"
    assert 'src="https://chat.example/#/"' in text_of(answer)


@pytest.mark.parametrize("link", ["", "javascript:alert(1)", "chat.example"])
def test_there_is_no_chat_without_an_address(alice: User, link: str) -> None:
    set_option(SYSTEM, "ChatLink", link)

    assert signed_in(alice).get("/chat").status_code == 404


def test_chat_on_our_own_origin_is_refused(alice: User) -> None:
    set_option(SYSTEM, "ChatLink", "http://testserver/token")

    answer = signed_in(alice).get("/chat")

    assert "<iframe" not in text_of(answer)
    assert sources(answer, "frame-src") == ""


def test_a_notice_is_put_away_by_one_person_and_read_again_under_help(alice: User, adam: User) -> None:
    set_option(SYSTEM, "Notice", "Down on **Sunday**")
    browser = signed_in(alice)
    hash_of_alice = browser.get("/").context["notice_hash"]

    browser.post("/notice/dismiss", {"notice": str(hash_of_alice), "next": "/about"})

    assert "<strong>Sunday</strong>" not in text_of(browser.get("/about"))
    assert text_of(browser.get("/help")).count("<strong>Sunday</strong>") == 1
    browser.force_login(adam)
    assert "<strong>Sunday</strong>" in text_of(browser.get("/about"))
    browser.force_login(alice)
    set_option(SYSTEM, "Notice", "Down on **Monday**")
    assert "<strong>Monday</strong>" in text_of(browser.get("/about"))


def test_help_tells_keys_addresses_and_whom_to_ask(alice: User, adam: User) -> None:
    set_option(SYSTEM, "Contact", "Write to [Ann](mailto:ann@example.com)")
    set_option(SYSTEM, "ServerAddress", "https://api.example")

    of_guest, of_alice, of_adam = (text_of(one.get("/help")) for one in (Client(), signed_in(alice), signed_in(adam)))

    assert "<kbd>Ctrl</kbd> <kbd>K</kbd>" in of_guest
    assert "<kbd>g</kbd> then <kbd>k</kbd>" in of_alice
    assert "<kbd>g</kbd> then" not in of_guest
    assert "https://api.example/v1" in of_guest
    assert 'href="mailto:ann@example.com"' in of_guest
    assert "sk-…-42" in of_adam
    assert "sk-…-42" not in of_alice


def _refuse(request: HttpRequest) -> HttpResponse:
    raise PermissionDenied


urlpatterns = [path("refused", _refuse), *all_addresses]


@pytest.mark.urls(__name__)
@pytest.mark.parametrize(("address", "status"), [("/nowhere", 404), ("/refused", 403)])
def test_a_refused_page_stands_in_the_frame_and_names_its_request(alice: User, address: str, status: int) -> None:
    answer = signed_in(alice).get(address)

    assert answer.status_code == status
    assert "<code>" + answer["X-Oneapi-Request-Id"] + "</code>" in text_of(answer)
    assert 'class="sidebar"' in text_of(answer)


def test_an_expired_form_offers_the_way_back() -> None:
    answer = Client(enforce_csrf_checks=True).post("/login?next=/token", {"username": "x"})

    assert answer.status_code == 403
    assert '<a class="btn" href="/login?next=/token">Load the page again</a>' in text_of(answer)
    assert answer["X-Oneapi-Request-Id"] in text_of(answer)


@pytest.mark.django_db(databases=[])
def test_the_page_of_an_unforeseen_error_needs_nothing_and_names_its_request() -> None:
    request = RequestFactory().get("/")
    request.request_id = "20260101000000123412345678"  # type: ignore[attr-defined]

    answer = server_error(request)

    assert answer.status_code == 500
    assert "<code>20260101000000123412345678</code>" in text_of(answer)


def test_who_may_see_prices_is_one_of_three_words() -> None:
    with pytest.raises(BadOption, match="must be one of private, signed-in, public"):
        set_option(SYSTEM, "ModelsPagePublic", "everybody")
