"""The frame around the pages, as a person uses it."""

from __future__ import annotations

import re

from playwright.sync_api import Dialog, Page, expect

from tests.browser.conftest import MakeWindow


def test_colours_change_at_once_and_stay(visit: MakeWindow) -> None:
    window = visit()
    page = window.open("/")

    page.click("summary[aria-label=Colours]")
    page.click("button[value=dark]")

    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")


def test_the_language_changes_without_script(visit: MakeWindow) -> None:
    window = visit(script=False)
    page = window.open("/login")

    page.click("header details summary >> nth=0")
    page.click("button[value=zh-hans]")

    expect(page.locator("html")).to_have_attribute("lang", "zh-hans")


def test_a_form_opens_in_the_drawer_and_its_address_is_a_page(visit: MakeWindow) -> None:
    window = visit(by=1)
    page = window.open("/token")

    page.click("[data-new]")

    expect(page.locator("#drawer[open] h1")).to_have_text("New API key")
    expect(page).to_have_url(re.compile("/token/add$"))
    page.keyboard.press("Escape")
    expect(page.locator("#drawer[open]")).to_have_count(0)
    expect(page).to_have_url(re.compile("/token$"))
    window.open("/token/add")
    expect(page.locator("main h1")).to_have_text("New API key")


def test_keys_lead_to_pages(visit: MakeWindow) -> None:
    window = visit(by=1)
    page = window.open("/")

    page.keyboard.press("g")
    page.keyboard.press("k")
    expect(page).to_have_url(re.compile("/token$"))
    page.wait_for_load_state()
    page.keyboard.press("/")
    expect(page.locator(".search-box")).to_be_focused()
    page.keyboard.type("k")
    expect(page).to_have_url(re.compile("q=k"))
    page.keyboard.press("Control+k")
    expect(page.locator("#dialog[open] input[type=search]")).to_be_focused()


def test_a_time_zone_that_was_chosen_stays(visit: MakeWindow) -> None:
    window = visit(by=1)
    page = window.open("/setting")

    page.select_option("[name=zone]", "Asia/Tokyo")
    page.click("#appearance button[type=submit] >> nth=0")
    expect(page.locator(".toast-box.success")).to_have_text(re.compile("Saved."))
    window.open("/token")
    window.open("/setting")

    expect(page.locator("[name=zone]")).to_have_value("Asia/Tokyo")


def test_a_click_beside_what_was_typed_asks_first(visit: MakeWindow) -> None:
    window = visit(by=1)
    page = window.open("/token")
    page.click("[data-new]")
    page.fill("#drawer [name=name]", "laptop")

    asked = answering(page, leave=False)
    page.mouse.click(5, 450)
    expect(page.locator("#drawer[open] [name=name]")).to_have_value("laptop")
    answering(page, leave=True)
    page.mouse.click(5, 450)

    expect(page.locator("#drawer[open]")).to_have_count(0)
    assert asked == ["What you typed is not saved. Leave all the same?"]


def test_a_refused_form_is_not_left_without_asking(visit: MakeWindow) -> None:
    window = visit(by=1)
    page = window.open("/token")
    page.click("[data-new]")
    page.fill("#drawer [name=name]", "laptop")
    page.fill("#drawer [name=subnet]", "no network")
    page.click("#drawer .form-actions button[type=submit]")
    expect(page.locator("#drawer [data-error-summary]")).to_be_focused()

    asked = answering(page, leave=False)
    page.click("#drawer [data-close] >> nth=0")

    expect(page.locator("#drawer[open] [name=subnet]")).to_have_value("no network")
    assert asked == ["What you typed is not saved. Leave all the same?"]


def test_a_server_that_stays_away_is_told_of_once(visit: MakeWindow) -> None:
    window = visit(by=1)
    page = window.open("/dashboard")

    window.context.set_offline(True)
    for _ in range(3):
        with page.expect_event("requestfailed"):
            page.locator("[data-poll]").first.dispatch_event("poll")
    window.context.set_offline(False)

    expect(page.locator(".toast-box.error")).to_have_count(1)
    assert all("ERR_INTERNET_DISCONNECTED" in one or "htmx:" in one for one in window.troubles())


def answering(page: Page, *, leave: bool) -> list[str]:
    """Answers the next question whether to leave; the questions that were asked."""
    asked: list[str] = []

    def answer(question: Dialog) -> None:
        asked.append(question.message)
        if leave:
            question.accept()
        else:
            question.dismiss()

    page.once("dialog", answer)
    return asked
