"""A newcomer's path, from the printed password to a paid call of a registered user; with script, and without.

What a call costs: gpt-4o-mini is 0.075 points a token, its answers four times that; the provider counts 1,000,000
tokens asked and 100,000 answered: (1,000,000 + 4 · 100,000) · 0.075 = 105,000 points, 21 cents.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests import databases, server
from tests.browser.chromium import Look, Window, window
from tests.fake_upstream import FakeUpstream
from tests.server import Gateway

USAGE = (1_000_000, 100_000)
CHARGE, COST = 105_000, "$0.210000"
WORTH = 500_000  # points of a code, a dollar
OWN_PASSWORD = "chosen by root itself"
ALICES_PASSWORD = "chosen by alice"
TEST_TIME = 60_000  # milliseconds a run of tests may take


@pytest.fixture
def gateway_of_a_newcomer(tmp_path: Path) -> Iterator[Gateway]:
    """As after the first start: nobody but root, whose password was printed."""
    settings = {"INITIAL_ROOT_PASSWORD": "", "INITIAL_ROOT_ACCESS_TOKEN": ""}
    with databases.fresh("sqlite", tmp_path) as database, server.running(database, 1, tmp_path, settings) as gateway:
        yield gateway


@pytest.mark.parametrize("script", [True, False], ids=["with script", "without script"])
def test_from_the_printed_password_to_a_paid_call(
    chromium: Browser, gateway_of_a_newcomer: Gateway, upstream: FakeUpstream, script: bool
) -> None:
    gateway = gateway_of_a_newcomer
    with ExitStack() as stack:
        root, alice = (
            stack.enter_context(window(chromium, gateway.base_url, Look(script=script))) for _ in ("root", "alice")
        )
        begin(root, printed_password(gateway))
        add_channel(root, upstream.scripted(usage=USAGE))
        try_channels(root)
        run_first_call(make_key(root, "the first key"))
        see_log(root)
        code = make_codes(root)

        register(alice)
        redeem(alice, code)
        run_first_call(make_key(alice, "of alice"))
        see_log(alice)
        expect(alice.open("/topup").locator(".stat-value")).to_have_text("$0.79")

        for one in (root, alice):
            assert (one.complaints, one.strangers) == ([], [])
    value = gateway.database.value
    assert value("SELECT quota FROM users WHERE username = 'alice'") == WORTH - CHARGE
    assert value("SELECT used_quota FROM users WHERE username = 'alice'") == CHARGE
    assert value("SELECT used_quota FROM users WHERE username = 'root'") == CHARGE
    assert value("SELECT used_quota FROM channels") == 2 * CHARGE  # tests cost nobody anything
    gateway.books().check()


def printed_password(gateway: Gateway) -> str:
    found = re.search(r"^ *Password: (\S+)$", gateway.output.read_text(), re.MULTILINE)
    assert found, "the server prints root's first password"
    return found[1]


def begin(root: Window, password: str) -> None:
    root.sign_in("root", password)
    expect(root.page).to_have_url(re.compile("/setting/password$"))
    root.open("/channel")
    expect(root.page).to_have_url(re.compile("/setting/password$"))  # nothing else before the change
    root.page.fill("[name=old_password]", password)
    root.page.fill("[name=new_password]", OWN_PASSWORD)
    root.page.fill("[name=repeated]", OWN_PASSWORD)
    root.page.click("main button[type=submit]")
    expect(root.page).not_to_have_url(re.compile("/setting/password"))


def add_channel(root: Window, base_url: str) -> None:
    page = root.open("/channel")
    page.click("[data-new]")
    form = part(page)
    form.locator("[name$=base_url]").fill(base_url)
    form.locator("[name=name]").fill("the scripted provider")
    form.locator("[name=key]").fill("sk-of-the-provider")
    form.locator("button[name=after][value=list]").click()
    expect(page.locator("#list tbody tr")).to_have_count(1)
    expect(page.locator("#list tbody tr")).to_contain_text("the scripted provider")


def try_channels(root: Window) -> None:
    """With script the page follows the run by itself; without, by reloading."""
    page = root.open("/channel/test-all")
    page.click("main .btn-primary")
    expect(page).to_have_url(re.compile(r"/test-runs/\d+"))
    passed = page.locator("#list tbody tr").filter(has_text="the scripted provider").filter(has_text="passed")
    if root.look.script:
        expect(passed).to_have_count(1, timeout=TEST_TIME)
        return
    for _ in range(TEST_TIME // 500):
        if passed.count():
            return
        page.wait_for_timeout(500)
        page.reload()
    expect(passed).to_have_count(1)


def make_key(person: Window, name: str) -> str:
    """Makes a key in the person's list; returns the first call that its page proposes, copied with the button."""
    page = person.open("/token")
    page.click("[data-new]")
    form = part(page)
    form.locator("[name=name]").fill(name)
    form.locator("button[type=submit]").last.click()
    shown = page.locator("[data-copy-source]")
    expect(shown).to_contain_text("curl ")
    if not person.look.script:
        return shown.inner_text()
    person.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.click(".code-box [data-copy]")
    expect(page.locator("#toasts")).to_contain_text("Copied")
    return str(page.evaluate("navigator.clipboard.readText()"))


def run_first_call(command: str) -> None:
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60, check=True)
    answer = json.loads(done.stdout)
    assert answer["choices"][0]["message"]["content"] == "Hello from the upstream.", answer
    assert answer["model"] == "gpt-4o-mini"


def see_log(person: Window) -> None:
    row = person.open("/log").locator("#list tbody tr").filter(has_text="gpt-4o-mini")
    expect(row).to_have_count(1)
    expect(row).to_contain_text(COST)


def make_codes(root: Window) -> str:
    """Makes two codes; returns one."""
    page = root.open("/redemption")
    page.click("[data-new]")
    form = part(page)
    form.locator("[name=name]").fill("for friends")
    form.locator("[name=quota_0]").fill(str(WORTH))
    form.locator("[name=count]").fill("2")
    form.locator("button[type=submit]").last.click()
    codes = page.locator("#new-codes").input_value().split()
    assert len(codes) == 2
    return codes[0]


def register(alice: Window) -> None:
    page = alice.open("/register")
    page.fill("[name=username]", "alice")
    page.fill("[name=password]", ALICES_PASSWORD)
    page.fill("[name=repeated]", ALICES_PASSWORD)
    page.click("main .btn-primary")
    expect(page).to_have_url(re.compile("/login"))
    alice.sign_in("alice", ALICES_PASSWORD)


def redeem(alice: Window, code: str) -> None:
    page = alice.open("/topup")
    expect(page.locator(".stat-value")).to_have_text("$0.00")
    page.fill("[name=code]", code)
    page.click("#redeem .btn-primary")
    expect(page.locator("#toasts, main").first).to_contain_text("$1.00")
    expect(alice.open("/topup").locator(".stat-value")).to_have_text("$1.00")


def part(page: Page) -> Locator:
    """The form that a button opened: in the drawer, or on a page of its own."""
    form = page.locator("#drawer[open] form[method=post], main form[method=post]:has(.form-actions)").last
    expect(form).to_be_visible()
    return form
