"""Signing in, the second factor, passkeys and identities elsewhere, in a real browser.

Served from this process (live_server), so that the providers can be a server of ours too: GitHub's and Lark's addresses
are no options. Chromium plays the passkey itself (a virtual authenticator).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from accounts.external import issuer
from accounts.models import Role, User
from accounts.services import create_user
from audit.services import SYSTEM
from notices import codes
from notices.codes import Purpose
from options.services import set_option
from tests.accounts.conftest import PEOPLE, set_up
from tests.accounts.keys import code
from tests.accounts.providers import Provider, providing
from tests.browser.chromium import Look, Window, Windows, window
from tests.browser.conftest import KeepWindow
from tests.operator import session

pytestmark = pytest.mark.django_db(transaction=True)
PASSWORD = "alice's password"
LOOKS = [Look(1440, "dark"), Look(768, "light"), Look(375, "light"), Look(375, "dark")]


@pytest.fixture(autouse=True, scope="session")
def database_first(django_db_setup: None) -> None:
    """Made before Chromium starts, and gone after it."""


@pytest.fixture
def alice(transactional_db: None) -> User:
    return create_user(username="alice", password=PASSWORD, email="alice@example.com")


@pytest.fixture
def look(chromium: Browser, live_server: Any) -> Iterator[Window]:
    with window(chromium, live_server.url, Look()) as opened:
        yield opened
    assert opened.complaints == []
    assert opened.strangers == []


@pytest.fixture
def passkey(look: Window) -> None:
    """A device that holds passkeys and knows its owner."""
    session = look.context.new_cdp_session(look.page)
    session.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    session.send("WebAuthn.addVirtualAuthenticator", {"options": options})


def log_in(page: Page, base: str, name: str = "alice", password: str = PASSWORD) -> None:
    page.goto(f"{base}/login")
    page.fill("[name=username]", name)
    page.fill("[name=password]", password)
    page.click("button:text-is('Log in')")


def log_out(look: Window) -> None:
    look.context.clear_cookies()


def test_an_app_is_set_up_and_then_asked_for(alice: User, look: Window) -> None:
    page = look.page
    log_in(page, look.base)
    look.open("/setting")
    page.click("text=Manage")
    secret = page.input_value("#secret")
    expect(page.locator(".qr svg")).to_be_visible()
    assert look.findings() == []
    used = code(secret)
    page.fill("[name=code]", used)
    page.click("text=Set up the app")
    expect(page.locator("h1")).to_have_text("Recovery codes")
    recovery = page.locator(".codes code").all_inner_texts()
    assert len(recovery) == 10
    page.click("text=I have kept them")
    log_out(look)

    log_in(page, look.base)
    expect(page.locator("h1")).to_have_text("One more step")
    assert look.findings() == []
    page.fill("[name=code]", used)
    page.click("button:text-is('Log in')")
    expect(page.locator(".note.error")).to_contain_text("used before")
    page.fill("[name=code]", code(secret, 1))
    page.click("button:text-is('Log in')")
    expect(page).to_have_url(f"{look.base}/dashboard")
    log_out(look)

    log_in(page, look.base)
    page.fill("[name=code]", recovery[0])
    page.click("button:text-is('Log in')")
    expect(page).to_have_url(f"{look.base}/dashboard")


@pytest.mark.usefixtures("passkey")
def test_a_passkey_signs_in_alone_is_a_second_step_and_confirms(alice: User, look: Window) -> None:
    page = look.page
    log_in(page, look.base)
    look.open("/setting/second-factor")
    page.fill("[name=name]", "This laptop")
    page.click("text=Add a passkey")
    expect(page.locator("h1")).to_have_text("Recovery codes")
    log_out(look)

    look.open("/login?next=/setting")
    page.click("text=Log in with a passkey")
    page.wait_for_url("**/setting")
    expect(page.locator("main")).to_contain_text("1 passkey")
    log_out(look)

    log_in(page, look.base)
    expect(page.locator("h1")).to_have_text("One more step")
    page.click("text=Use a passkey")
    expect(page).to_have_url(f"{look.base}/dashboard")

    look.open("/confirm?next=/setting/second-factor")
    page.click("text=Use a passkey")
    page.wait_for_url("**/setting/second-factor")
    expect(page.locator("main")).to_contain_text("This laptop")


@pytest.mark.usefixtures("passkey")
def test_a_device_without_a_passkey_says_so(alice: User, look: Window) -> None:
    page = look.page
    look.open("/login")

    page.click("text=Log in with a passkey")

    expect(page.locator("[data-passkey-error]")).to_be_visible()
    assert page.url.endswith("/login")


def test_an_administrator_is_led_to_the_second_factor_first(look: Window, transactional_db: None) -> None:
    create_user(username="adam", password="adam's password", role=Role.ADMIN)
    set_option(SYSTEM, "AdminMfaRequired", "true")
    page = look.page

    log_in(page, look.base, "adam", "adam's password")

    page.wait_for_url("**/setting/second-factor")
    expect(page.locator(".note.warning")).to_contain_text("Administrators need a second factor")
    secret = page.input_value("#secret")
    page.fill("[name=code]", code(secret))
    page.click("text=Set up the app")
    page.goto(f"{look.base}/dashboard")
    expect(page).to_have_url(f"{look.base}/dashboard")


def test_without_script_everything_but_passkeys_works(alice: User, chromium: Browser, live_server: Any) -> None:
    with window(chromium, live_server.url, Look(script=False)) as look:
        page = look.open("/login")
        expect(page.locator("button:text-is('Log in with a passkey')")).to_be_disabled()
        expect(page.locator("[data-passkey-note]")).to_have_text("Passkeys need JavaScript.")
        log_in(page, look.base)
        look.open("/setting/second-factor")
        secret = page.input_value("#secret")
        page.fill("[name=code]", code(secret))
        page.click("text=Set up the app")
        expect(page.locator("h1")).to_have_text("Recovery codes")
        log_out(look)

        log_in(page, look.base)
        page.fill("[name=code]", code(secret, 1))
        page.click("button:text-is('Log in')")
        look.open("/setting")
        page.fill("[name=display_name]", "Alice L.")
        page.click("text=Save the profile")
        expect(page.locator("[name=display_name]")).to_have_value("Alice L.")
        page.click("text=Make a token")
        page.click("text=Make a new token")
        assert len(page.input_value("main input[readonly]")) == 32
    assert (look.complaints, look.strangers) == ([], [])


def test_a_person_registers_and_deletes_the_account(look: Window, transactional_db: None) -> None:
    page = look.open("/register")
    page.fill("[name=username]", "dave")
    page.fill("[name=password]", "a good password")
    page.fill("[name=repeated]", "a good password")
    assert look.findings() == []
    page.click("button:text-is('Register')")
    page.wait_for_url("**/login")
    log_in(page, look.base, "dave", "a good password")
    expect(page).to_have_url(f"{look.base}/dashboard")
    look.open("/setting")
    assert look.findings() == []
    look.screenshot("personal")

    page.click("text=Delete the account")
    page.fill("[name=typed]", "dave")
    page.click("text=Delete my account")

    page.wait_for_url("**/login")
    assert User.objects.get().username.startswith("deleted_")


@pytest.fixture(scope="module")
def windows(chromium: Browser, live_server: Any) -> Iterator[Windows]:
    with ExitStack() as stack:
        yield Windows(lambda look: stack.enter_context(window(chromium, live_server.url, look)))


@pytest.mark.parametrize("path", ["/login", "/register", "/reset", "/setting", "/setting/second-factor", "/confirm"])
def test_the_pages_fit_and_can_be_read(alice: User, kept: KeepWindow, path: str) -> None:
    window = kept()
    if path not in ("/login", "/register", "/reset"):
        window.use_session(session(alice.pk, confirmed=True))

    for look in window.look_at_in(LOOKS, path):
        assert window.page.url == window.base + path, "it led elsewhere"
        window.screenshot("account" + path.replace("/", "-"))
        assert (window.overflow(), window.findings()) == (0, []), look.name


def test_a_mailed_code_is_asked_for_without_losing_what_was_typed(look: Window, transactional_db: None) -> None:
    for key, value in (("SMTPServer", "mail.example"), ("SMTPAccount", "a@mail.example"), ("SMTPToken", "t")):
        set_option(SYSTEM, key, value)
    set_option(SYSTEM, "EmailVerificationEnabled", "true")
    page = look.open("/register")
    page.fill("[name=email]", "dave@example.com")
    page.fill("[name=username]", "dave")
    page.fill("[name=password]", "a good password")
    page.fill("[name=repeated]", "a good password")

    page.click("text=Mail me a code")

    expect(page.locator("#code-sent")).to_contain_text("A code is on its way to dave@example.com.")
    expect(page.locator("[name=password]")).to_have_value("a good password")
    page.fill("[name=code]", codes.issue(Purpose.ADDRESS, "dave@example.com"))
    page.press("[name=code]", "Enter")  # registers, and mails no further code
    expect(page).to_have_url(f"{look.base}/login")
    assert User.objects.get().email == "dave@example.com"


# identities elsewhere


@pytest.fixture
def elsewhere(live_server: Any, settings: Any, transactional_db: None, monkeypatch: Any) -> Iterator[Provider]:
    monkeypatch.setattr(issuer, "_documents", {})
    with providing() as serving:
        set_up(serving, settings)
        settings.LARK_ACCOUNTS_URL = serving.url
        serving.home = live_server.url
        serving.gives_id_token = True
        serving.people = {name: person for name, (person, _column, _subject) in PEOPLE.items()}
        set_option(SYSTEM, "ServerAddress", live_server.url)
        set_option(SYSTEM, "OidcAuthorizationEndpoint", f"{serving.url}/oidc/authorize")
        set_option(SYSTEM, "OidcWellKnown", f"{serving.url}/.well-known/openid-configuration")
        yield serving


@pytest.fixture
def outside(chromium: Browser, live_server: Any) -> Iterator[Page]:
    """A browser that may leave; what it complains of is a failure all the same (a refused form-action, for one)."""
    context = chromium.new_context(locale="en-US")
    context.set_default_timeout(15_000)
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    yield page
    context.close()
    assert [text for text in complaints if "status of 4" not in text] == []


@pytest.mark.parametrize("name", ["github", "lark", "oidc"])
def test_people_sign_in_with_each_provider(elsewhere: Provider, outside: Page, live_server: Any, name: str) -> None:
    outside.goto(f"{live_server.url}/login?next=/setting")
    outside.click(f"form[action='/oauth/{name}/start'] button")
    outside.click("#agree")

    expect(outside).to_have_url(f"{live_server.url}/setting")

    column, subject = PEOPLE[name][1:]
    assert User.objects.get(**{column: subject}).username in outside.inner_text("#profile") + outside.input_value(
        "[name=username]"
    )


@pytest.mark.parametrize("name", ["github", "lark", "oidc"])
def test_people_bind_and_unbind_each_provider(
    elsewhere: Provider, alice: User, outside: Page, live_server: Any, name: str
) -> None:
    column, subject = PEOPLE[name][1:]
    log_in(outside, live_server.url)
    expect(outside).to_have_url(f"{live_server.url}/dashboard")
    outside.goto(f"{live_server.url}/setting")
    outside.click(f"form[action='/oauth/{name}/start'] button")
    outside.click("#agree")
    expect(outside).to_have_url(f"{live_server.url}/setting")
    assert getattr(User.objects.get(pk=alice.pk), column) == subject
    assert User.objects.count() == 1

    outside.click(f"form[action='/setting/identities/{name}/unbind'] button")
    expect(outside).to_have_url(f"{live_server.url}/setting")

    assert getattr(User.objects.get(pk=alice.pk), column) is None


def test_a_code_brought_by_another_browser_is_refused_and_offers_another_try(
    elsewhere: Provider, outside: Page, live_server: Any
) -> None:
    outside.goto(f"{live_server.url}/login")
    outside.click("form[action='/oauth/github/start'] button")
    link = outside.get_attribute("#agree", "href")
    outside.context.clear_cookies()
    refused: list[int] = []
    outside.on("response", lambda answer: refused.append(answer.status) if answer.status == 403 else None)

    outside.goto(str(link))

    expect(outside.locator("h1")).to_have_text("GitHub did not let you in")
    assert refused == [403]
    assert not User.objects.exists()


def test_wechat_is_a_code_on_a_page(elsewhere: Provider, outside: Page, live_server: Any) -> None:
    outside.goto(f"{live_server.url}/login")
    outside.click("text=Continue with WeChat")
    outside.fill("[name=code]", elsewhere.code("wechat", PEOPLE["wechat"][0]))
    outside.click("button:text-is('Log in')")

    expect(outside).to_have_url(f"{live_server.url}/dashboard")
    assert User.objects.get().wechat_id == "wx-1"
