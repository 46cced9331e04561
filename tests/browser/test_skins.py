"""The three looks of the frame: nothing serious for axe, nothing wider than the window, a menu at any width."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from tests.browser.chromium import Look
from tests.browser.conftest import KeepWindow, MakeWindow
from tests.server import Gateway

SKINS = ("default", "berry", "air")
LOOKS = [Look(width, theme) for width in (1440, 1000, 375) for theme in ("light", "dark")]


@pytest.fixture(scope="module", params=SKINS)
def skin(request: pytest.FixtureRequest, console: Gateway) -> Iterator[str]:
    console.operator("option", key="Theme", value=request.param)
    yield request.param
    console.operator("option", key="Theme", value="default")


def test_each_look_fits_and_has_no_serious_finding(kept: KeepWindow, skin: str) -> None:
    window = kept(by=1)

    for look in window.look_at_in(LOOKS, "/token"):
        expect(window.page.locator("html")).to_have_attribute("data-skin", skin)
        assert window.findings() == [], look.name
        assert window.overflow() == 0, look.name
        window.screenshot(f"skin-{skin}")


def test_the_menu_leads_to_a_page_at_any_width(visit: MakeWindow, skin: str) -> None:
    for width in (1440, 1000, 375):
        window = visit(width=width, by=1)
        page = window.open("/token")

        if width == 375:
            page.click(".bottombar summary")
        elif skin == "air" and width == 1000:
            page.click(".across summary >> nth=0")
        page.click("a[href='/models']:visible")

        expect(page.locator("h1")).to_have_text("Models and prices")
        expect(page.locator("a[href='/models'][aria-current=page]").first).to_be_attached()
