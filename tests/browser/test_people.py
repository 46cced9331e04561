"""Users, redemption codes, top-up, logs and audit, as an operator and a user meet them."""

from __future__ import annotations

import re
import secrets

import pytest
from playwright.sync_api import expect

from tests.browser.chromium import Look
from tests.browser.conftest import KeepWindow, MakeWindow
from tests.server import Gateway

PAGES = ("/user", "/user/add", "/user/1/", "/redemption", "/redemption/add", "/topup", "/log", "/audit")
LOOKS = [Look(), Look(theme="dark"), Look(375)]


@pytest.fixture
def carol(console: Gateway) -> int:
    """The number of a user who is made for this test, with 500,000 points: one dollar."""
    number: int = console.operator("user", username=f"carol-{secrets.token_hex(4)}", quota=500_000)
    return number


@pytest.mark.parametrize("address", PAGES)
def test_pages_are_accessible_and_fit(kept: KeepWindow, carol: int, address: str) -> None:
    window = kept(by=1)
    window.judge_in(LOOKS, address)


def test_points_for_two_users_after_a_preview(visit: MakeWindow, console: Gateway) -> None:
    first, second = (console.operator("user", username=f"pair{number}", quota=500_000) for number in (1, 2))
    window = visit(by=1)
    page = window.open("/user?q=pair")

    expect(page.locator("[data-bulk-bar]")).to_be_hidden()
    page.check(f"#user-{first} [data-pick]")
    page.check(f"#user-{second} [data-pick]")
    expect(page.locator("[data-chosen]")).to_have_text("2")
    page.click("[data-bulk-bar] button[value=quota]")
    expect(page.locator("#dialog[open] h2")).to_have_text("Add to balances: 2 users")
    page.fill("#dialog [name=amount_0]", "2")
    page.select_option("#dialog [name=amount_1]", "dollars")
    expect(page.locator("#dialog output")).to_have_text("1000000 points")
    page.click("#dialog button[name=confirmed]")
    expect(page.locator("#dialog .error")).to_contain_text(["This field is required."])
    page.fill("#dialog [name=reason]", "outage of Tuesday")
    page.click("#dialog button[name=confirmed]")

    expect(page.locator(".toast-box.success")).to_contain_text("Done for 2 users.")
    expect(page).to_have_url(re.compile(r"/user\?q=pair$"))
    expect(page.locator(f"#user-{first}")).to_contain_text("$3.00")


def test_a_row_is_switched_and_its_menu_is_not_cut_off(visit: MakeWindow, carol: int) -> None:
    window = visit(by=1)
    page = window.open(f"/user?q={carol}")
    row = page.locator(f"#user-{carol}")

    row.get_by_role("button", name="Disable").click()
    expect(row).to_contain_text("disabled")
    row.locator("summary").click()
    deletion = row.get_by_role("link", name="Delete")
    expect(deletion).to_be_in_viewport(ratio=1)
    deletion.click()
    expect(page.locator("#dialog[open]")).to_contain_text("Logs and ledger stay")
    page.keyboard.press("Escape")
    expect(page.locator("#dialog[open]")).to_have_count(0)


def test_the_keyboard_keeps_its_place_where_an_answer_takes_it(visit: MakeWindow, carol: int) -> None:
    window = visit(by=1)
    page = window.open("/user?size=10")

    sorting = page.get_by_role("link", name="Requests", exact=True)
    sorting.press("Enter")
    expect(page).to_have_url(re.compile("sort=-requests"))
    expect(sorting).to_be_focused()
    size = page.get_by_role("link", name="20", exact=True)
    size.press("Enter")
    expect(page).to_have_url(re.compile("size=20"))
    expect(size).to_be_focused()
    row = page.locator(f"#user-{carol}")
    switch = row.get_by_role("button", name=re.compile("^(Dis|En)able"))
    was = switch.inner_text()
    switch.press("Enter")
    expect(switch).not_to_have_text(was)
    expect(switch).to_be_focused()
    switch.press("Enter")
    expect(switch).to_have_text(was)


def test_an_account_is_edited_in_the_drawer_and_the_filters_stay(visit: MakeWindow, carol: int) -> None:
    window = visit(by=1)
    page = window.open(f"/user?q={carol}")

    page.locator(f"#user-{carol}").get_by_role("link", name="Edit").click()
    expect(page.locator("#drawer[open] h1")).to_contain_text("User")
    page.select_option("#drawer [name=group]", "vip")
    page.click("#drawer button[type=submit]")

    expect(page.locator(".toast-box.success")).to_contain_text("Saved.")
    expect(page.locator(f"#user-{carol}")).to_contain_text("vip")
    expect(page).to_have_url(re.compile(rf"/user\?q={carol}$"))


def test_a_code_is_made_and_redeemed(visit: MakeWindow, carol: int) -> None:
    operator, user = visit(by=1), visit(by=carol)
    page = operator.open("/redemption")
    page.click("[data-new]")
    page.fill("#drawer [name=name]", "welcome")
    page.click("#drawer button[type=submit]")
    field = page.locator("#drawer .secret")
    expect(field).to_have_value(re.compile("^[0-9a-f]{32}$"))
    code = field.input_value()
    assert code not in operator.open("/redemption").content()

    page = user.open("/topup")
    page.fill("#redeem [name=code]", code[:-1] + "x")
    page.click("#redeem button[type=submit]")
    expect(page.locator("#redeem .error")).to_contain_text("There is no such code.")
    page.fill("#redeem [name=code]", f" {code} ")
    page.click("#redeem button[type=submit]")
    expect(page.locator(".toast-box.success")).to_contain_text("$0.20 was added to your balance.")
    expect(page.locator("main .stat-value")).to_have_text("$1.20")


def test_new_lines_of_the_log_appear_while_it_is_live(visit: MakeWindow, carol: int) -> None:
    user, operator = visit(by=carol), visit(by=1)
    page = user.open("/log")
    expect(page.locator("#list")).to_contain_text("Nothing was logged in this time.")
    page.check("#live")

    for amount in (1, 2):
        form = operator.open(f"/user/{carol}/quota")
        form.fill("[name=amount_0]", str(amount))
        form.fill("[name=reason]", f"gift {amount}")
        form.click("main button[type=submit]")
        expect(page.locator(f"#lines [title$='gift {amount}']")).to_have_count(1, timeout=15_000)
    expect(page.locator("#lines tr")).to_have_count(2)
    page.locator("#lines tr >> nth=0").get_by_role("link").first.click()
    expect(page.locator("#drawer[open] .note")).to_contain_text("gift 2")


def test_everything_works_without_script(visit: MakeWindow, carol: int) -> None:
    window = visit(script=False, by=1)
    page = window.open(f"/user?q={carol}")

    page.check(f"#user-{carol} [name=ids]")
    page.click("button[value=group]")
    expect(page.locator("main h1")).to_have_text("Set group: 1 user")
    page.select_option("[name=group]", "svip")
    page.click("button[name=confirmed]")
    expect(page.locator(f"#user-{carol}")).to_contain_text("svip")
    page.locator(f"#user-{carol}").get_by_role("link", name="Edit").click()
    page.fill("[name=display_name]", "Carol of the tests")
    page.click("main button[type=submit]")
    expect(page.locator(".toast-box")).to_contain_text("Saved.")
    page = window.open("/audit")
    page.locator("td.actions a >> nth=0").click()
    expect(page.locator("main h1")).to_contain_text("user.")
