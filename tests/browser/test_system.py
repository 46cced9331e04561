"""Settings, prices, groups and runtime, in a real browser, as root."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.chromium import Look
from tests.browser.conftest import KeepWindow, MakeWindow
from tests.fake_upstream import FakeUpstream
from tests.server import ROOT_TOKEN, Gateway

PATHS = (
    "/setting/operation",
    "/setting/system",
    "/setting/other",
    "/setting/operation/logs/purge",
    "/prices",
    "/prices/edit?model=gpt-4o",
    "/prices/import",
    "/prices/compare",
    "/prices/history",
    "/groups",
    "/groups/add",
    "/runtime",
)
LOOKS = [Look(1440, "light"), Look(1440, "dark"), Look(768, "light"), Look(375, "dark")]


@pytest.fixture(scope="module", autouse=True)
def models(console: Gateway, upstream_process: FakeUpstream) -> None:
    console.add_channel(upstream_process.url, "gpt-4o-mini,gpt-4o")
    console.wait_until_routed(ROOT_TOKEN, "gpt-4o-mini")


def price_of(page: Page, model: str) -> str:
    return page.locator("tr", has=page.locator(f"text='{model}'")).locator("[data-label=Input]").inner_text().split()[0]


@pytest.mark.parametrize("path", PATHS)
def test_pages_fit_and_have_no_serious_finding(kept: KeepWindow, path: str) -> None:
    window = kept(by=1)
    window.judge_in(LOOKS, path, picture="system" + re.sub(r"\W+", "-", path))
    expect(window.page.locator("h1")).to_have_count(1)


def test_a_group_of_settings_is_saved_in_its_place(visit: MakeWindow) -> None:
    page = visit(by=1).open("/setting/operation")

    page.fill("#id_general_RetryTimes", "101")
    page.keyboard.press("Enter")
    expect(page.locator("#id_general_RetryTimes_error")).to_contain_text("must be between 0 and 100")
    page.fill("#id_general_RetryTimes", "2")
    page.keyboard.press("Enter")

    expect(page.locator("#toasts")).to_contain_text("Saved.")
    expect(page.locator("#group-general")).to_contain_text("Changed by root")
    page.click("#group-general button[value=RetryTimes]")
    expect(page.locator("#id_general_RetryTimes")).to_have_value("0")
    expect(page).to_have_url(re.compile("/setting/operation$"))


def test_a_text_is_seen_as_visitors_will_see_it(visit: MakeWindow) -> None:
    page = visit(by=1).open("/setting/other")

    page.fill("#id_about_About", "## Who we are\n<script>alert(1)</script>")
    page.click("#group-about button:has-text('Preview')")

    expect(page.locator("#preview-About h2")).to_have_text("Who we are")


def test_a_trial_that_fails_says_so_beside_its_button(visit: MakeWindow) -> None:
    page = visit(by=1).open("/setting/system")

    page.fill("#id_oidc_OidcWellKnown", "http://127.0.0.1:9/none")
    page.click("text=Read the discovery address")
    expect(page.locator("#group-oidc .note.error")).to_contain_text("Nothing that could be read")
    expect(page.locator("#id_oidc_OidcWellKnown")).to_have_value("http://127.0.0.1:9/none")
    page.click("text=Send a mail to myself")
    expect(page.locator("#outcome-mail .note")).to_be_visible()


@pytest.mark.parametrize("script", [True, False])
def test_a_price_is_changed_through_its_preview(visit: MakeWindow, console: Gateway, script: bool) -> None:
    page = visit(script=script, by=1).open("/prices?show=used")
    assert price_of(page, "gpt-4o-mini") == "$0.15"

    page.locator("tr", has=page.locator("text='gpt-4o-mini'")).locator("a:has-text('Edit')").click()
    page.fill("[name=prompt]", "0.2")
    page.locator("button:has-text('Preview')").last.click()
    preview = page.locator("form[action='/prices/commit']")
    expect(preview).to_contain_text("$0.15")
    expect(preview).to_contain_text("$0.20")
    page.click("text=Change prices")

    expect(page.locator("#toasts")).to_contain_text("changed")
    expect(page).to_have_url(re.compile("show=used"))
    assert price_of(page, "gpt-4o-mini") == "$0.20"
    page.goto(f"{console.base_url}/prices/history")
    page.locator("button:has-text('Back to before this')").last.click()
    page.click("text=Change prices")
    expect(page.locator("h1")).to_have_text("History of prices")
    page.goto(f"{console.base_url}/prices?show=used")
    assert price_of(page, "gpt-4o-mini") == "$0.15"


def test_chosen_prices_are_multiplied(visit: MakeWindow) -> None:
    page = visit(by=1).open("/prices?show=used")

    expect(page.locator("#bulk")).to_be_hidden()
    page.locator("tr", has=page.locator("text='gpt-4o'")).first.locator("[data-pick]").check()
    page.fill("#factor", "2")
    page.click("#bulk button[value=multiply]")

    expect(page.locator("form[action='/prices/commit']")).to_contain_text("$10.00")


@pytest.mark.parametrize("script", [True, False])
def test_a_group_is_made_changed_and_deleted(visit: MakeWindow, script: bool) -> None:
    page = visit(script=script, by=1).open("/groups")

    page.click("text=New group")
    page.fill("[name=name]", "trial")
    page.fill("[name=ratio]", "0.5")
    page.click("button:has-text('Save')")
    row = page.locator("tr", has=page.locator("text='trial'"))
    expect(row.locator("[data-label=Factor]")).to_have_text("0.5")
    row.locator("a:has-text('Delete')").click()
    page.click("button:has-text('Delete group')")

    expect(page.locator("#toasts")).to_contain_text("is deleted")
    expect(page.locator("tr", has=page.locator("text='trial'"))).to_have_count(0)


def test_variables_are_found_while_typing(visit: MakeWindow) -> None:
    page = visit(by=1).open("/runtime")

    page.fill("#variables >> xpath=.. >> [name=q]", "SESSION_SECRET")

    expect(page.locator("#variables tbody tr")).to_have_count(2)
    expect(page.locator("#variables")).to_contain_text("••••••")
