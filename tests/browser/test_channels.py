"""Channels in a real browser: adding one and testing it, changing many, numbers in a row, without script too."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from tests.browser.chromium import Look
from tests.browser.conftest import MakeWindow
from tests.channels_app.test_balances import answering
from tests.fake_upstream import FakeUpstream

PAGES = [
    "/channel",
    "/channel/add",
    "/channel/edit/{channel}",
    "/channel/{channel}",
    "/test-runs",
    "/test-runs/current",
]
LOOKS = [Look(width, theme) for width in (1440, 375) for theme in ("light", "dark")]


def choose_type(page: Page, words: str) -> None:
    page.locator("#id_type-ts-control").press_sequentially(words)
    option = page.locator("#id_type-ts-dropdown .option", has_text=re.compile(words, re.IGNORECASE))
    expect(option).to_have_count(1)
    option.click()


def add(page: Page, name: str, base_url: str, models: str = "gpt-4o") -> None:
    """By the form as it is without script."""
    page.fill("[name=name]", name)
    page.fill("[name=box_base_url]", base_url)
    page.fill("[name=key]", "sk-of-the-tests")
    page.select_option("[name=models]", models.split(","))
    page.click("button[value=list]")


def test_a_channel_is_added_in_the_drawer_and_tested(visit: MakeWindow, provider: FakeUpstream) -> None:
    page = visit(by=1).open("/channel")
    page.click("[data-new]")
    page.fill("[name=name]", "Drawn")
    page.fill("[name=key]", "sk-typed")

    choose_type(page, "coze")
    expect(page.locator("[name=box_user_id]")).to_be_visible()
    choose_type(page, "compatible, with")
    expect(page.locator("[name=box_user_id]")).to_have_count(0)
    expect(page.locator("[name=name]")).to_have_value("Drawn")
    expect(page.locator("[name=key]")).to_have_value("sk-typed")

    with answering({"/models": {"data": [{"id": "gpt-4o"}, {"id": "brand-new"}]}}) as (base_url, _):
        page.fill("[name=box_base_url]", base_url)
        page.click("button[value=clear]")
        expect(page.locator("#drawer .model-buttons .help")).to_have_text("0 models chosen")
        page.click("button[value=fetch]")
        page.check("[name=take][value=gpt-4o]")
        page.click("button[value=take]")
        expect(page.locator("#drawer .model-buttons .help")).to_have_text("1 model chosen")
    page.fill("[name=box_base_url]", provider.url)
    page.click("button[value=test]")

    expect(page).to_have_url(re.compile(r"/test-runs/\d+$"))
    expect(page.locator("#run-state .state")).to_have_text("finished", timeout=20_000)
    expect(page.locator("[data-poll]")).to_have_count(0)
    expect(page.locator("tbody tr")).to_have_count(1)
    expect(page.locator("tbody tr .state").first).to_have_text("passed")


def test_enter_saves_and_chooses_no_other_models(visit: MakeWindow, provider: FakeUpstream) -> None:
    window = visit(by=1)
    add(window.open("/channel/add"), "entered", provider.url)
    page = window.open("/channel?text=entered")
    page.click("tbody th a")
    page.click("#drawer a[href*='/channel/edit/']")
    page.fill("#drawer [name=name]", "entered by key")

    page.press("#drawer [name=name]", "Enter")

    expect(page.locator(".toast-box.success")).to_contain_text("The channel “entered by key” is saved.")
    expect(page.locator("tbody tr", has_text="entered by key")).to_contain_text("1 model")


def test_many_are_changed_after_a_look(visit: MakeWindow, provider: FakeUpstream) -> None:
    window = visit(by=1)
    for name in ("many 1", "many 2"):
        add(window.open("/channel/add"), name, provider.url)
    page = window.open("/channel?text=many")
    expect(page.locator("#bulk")).to_be_hidden()

    page.check("[data-pick-all]")
    expect(page.locator("#bulk [data-chosen]")).to_have_text("2")
    page.select_option("#bulk-action", "add_tag")
    page.fill("#bulk-value", "picked")
    page.click("#bulk button[type=submit]")
    expect(page.locator("#dialog[open] tbody tr")).to_have_count(2)
    page.click("#dialog button[name=confirmed]")

    expect(page.locator(".toast-box.success")).to_contain_text("2 channels were changed.")
    expect(page.locator("tbody .chip", has_text="picked")).to_have_count(2)


def test_a_number_in_a_row_is_saved_or_put_back(visit: MakeWindow, provider: FakeUpstream) -> None:
    window = visit(by=1)
    add(window.open("/channel/add"), "numbered", provider.url)
    page = window.open("/channel?text=numbered")
    box = page.locator("input[id$=-priority]")

    box.fill("7")
    box.press("Escape")
    expect(box).to_have_value("0")
    with page.expect_response(lambda answer: answer.url.endswith("/field")):
        box.fill("9")
        box.press("Enter")
    page.reload()
    expect(box).to_have_value("9")


def test_all_of_it_works_without_script(visit: MakeWindow, provider: FakeUpstream) -> None:
    window = visit(script=False, by=1)
    page = window.open("/channel/add")
    page.select_option("#id_type", "36")
    page.click("button[value=type]")
    expect(page.locator("[name=box_base_url]")).to_have_attribute("placeholder", "https://api.deepseek.com")
    add(page, "plain", provider.url, "deepseek-chat")

    page.fill("[name=text]", "plain")
    page.click("form.filters button[type=submit]")
    row = page.locator("tbody tr")
    expect(row).to_have_count(1)
    row.locator("input[id$=-priority]").fill("4")
    row.locator("input[id$=-priority]").press("Enter")
    expect(row.locator("input[id$=-priority]")).to_have_value("4")
    row.locator("td.actions button", has_text="Disable").click()
    expect(row.locator(".state").first).to_have_text("disabled by hand")
    row.locator("[name=id]").check()
    page.select_option("#bulk-action", "delete")
    page.click("#bulk button[type=submit]")
    expect(page.locator("main tbody tr")).to_have_count(1)
    page.click("button[name=confirmed]")

    expect(page.locator("main")).to_contain_text("Nothing matches these filters.")


def test_each_page_is_accessible_and_fits(visit: MakeWindow, provider: FakeUpstream) -> None:
    window = visit(by=1)
    add(window.open("/channel/add"), "seen", provider.url)
    page = window.open("/channel?text=seen")
    address = page.locator("tbody tr").first.locator("a").first.get_attribute("href") or ""
    window.open("/channel/test-all")
    page.click("main button[type=submit]")

    for path in PAGES:
        for look in window.look_at_in(LOOKS, path.format(channel=address.rsplit("/", 1)[-1])):
            assert window.findings() == [], (path, look.name)
            assert window.overflow() == 0, (path, look.name)
            window.screenshot("channels" + re.sub(r"[^a-z]+", "-", path))
