"""Every page of the console in six looks: nothing serious for axe, nothing from elsewhere, nothing past the edge.

The list of pages is that of the URL configuration (tests.browser.addresses), so a new page is looked at without being
named here. SCREENSHOTS=1 leaves pictures under artefacts/console.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import expect

from tests.browser.addresses import Address, all_addresses, is_no_page, pages
from tests.browser.chromium import Look, Window
from tests.browser.conftest import KeepWindow
from tests.browser.sample import Sample, fill
from tests.fake_upstream import FakeUpstream
from tests.server import Gateway

# Tables whose rows have not the columns of their head: a cell is missing, or something stands between the cells.
RAGGED = """() => {
  const width = (row) => [...row.cells].reduce((sum, cell) => sum + cell.colSpan, 0);
  return [...document.querySelectorAll("main table")]
    .filter((table) => table.tHead)
    .flatMap((table) => [...table.tBodies].flatMap((body) => [...body.rows])
      .filter((row) => width(row) !== width(table.tHead.rows[0])))
    .map((row) => row.outerHTML.slice(0, 120));
}"""
# What every page has one of, and what it says of itself.
HEAD = """() => ({
  h1: [...document.querySelectorAll("h1")].map((one) => one.innerText.trim() !== ""),
  lang: document.documentElement.lang,
  title: document.title,
  unnamed: document.querySelectorAll("nav:not([aria-label], [aria-labelledby])").length,
  navs: document.querySelectorAll("nav").length,
})"""
# A page is opened in the first look of its language, and goes on to the others as it stands.
LOOKS = {
    "en": [Look(1440, "light", "en"), Look(768, "dark", "en"), Look(375, "light", "en")],
    "zh-hans": [Look(375, "dark", "zh-hans"), Look(768, "light", "zh-hans"), Look(1440, "dark", "zh-hans")],
}
# By axe, which takes its time: widest and narrowest, light and dark, both languages. AXE_EVERYWHERE=1: all six.
JUDGED = [look for looks in LOOKS.values() for look in (looks if os.environ.get("AXE_EVERYWHERE") else looks[:1])]
SCRIPTS = Path(__file__).parent / "scripts"
LONGER = (SCRIPTS / "longer.js").read_text()
CLIPPED = (SCRIPTS / "clipped.js").read_text()
PAGES = pages()
ALSO_AS_ROOT = ["home", "keys", "models"]  # the menu is longer, and a page shows root more


@pytest.fixture(scope="module")
def sample(console: Gateway, upstream_process: FakeUpstream) -> Sample:
    return fill(console, upstream_process)


def look_at(opened: Window, console: Gateway, sample: Sample, path: str, role: int) -> None:
    """Opens the page as somebody of this role and checks what holds of every page, in each look."""
    if role:
        opened.use_session(console.operator("session", user_id=sample.people[role], confirmed=True))
    page = opened.page
    for look in opened.look_at_in(LOOKS[opened.look.language], path):
        assert page.url == console.base_url + path, "it led elsewhere"
        opened.screenshot(f"{re.sub('[^a-z0-9]+', '-', path.lower()).strip('-') or 'home'}-{role}")

        if look in JUDGED:
            assert opened.findings() == [], look.name
        assert opened.overflow() == 0, look.name
        assert page.evaluate(RAGGED) == [], look.name
        head = page.evaluate(HEAD)
        assert (head["h1"], head["lang"], head["unnamed"]) == ([True], look.language, 0), look.name
        assert re.search(r"\S.* · \S", head["title"]), head
        assert head["navs"] or not role, look.name
        for landmark in ("main", "banner", "contentinfo"):
            expect(page.get_by_role(landmark), look.name).to_have_count(1)


@pytest.mark.parametrize("language", LOOKS)
@pytest.mark.parametrize("address", PAGES, ids=[one.name for one in PAGES])
def test_each_page_is_sound(
    kept: KeepWindow, console: Gateway, sample: Sample, address: Address, language: str
) -> None:
    opened = kept(language)
    look_at(opened, console, sample, address.of(sample), address.role)

    if language == "en":
        longer_words_fit(opened)


def longer_words_fit(opened: Window) -> None:
    """Words two fifths longer, as other languages have them, are neither clipped nor push the page."""
    opened.page.evaluate(LONGER)
    for look in (Look(375), Look(1440)):
        opened.wear(look)
        assert (opened.overflow(), opened.page.evaluate(CLIPPED)) == (0, []), f"{look.name}, longer words"


@pytest.mark.parametrize("language", LOOKS)
@pytest.mark.parametrize("name", ALSO_AS_ROOT)
def test_what_root_sees_more_of_is_sound(
    kept: KeepWindow, console: Gateway, sample: Sample, name: str, language: str
) -> None:
    (address,) = [one for one in PAGES if one.name == name]

    look_at(kept(language), console, sample, address.of(sample), 100)


@pytest.mark.parametrize("role", [0, 1])
@pytest.mark.parametrize("language", LOOKS)
def test_the_page_of_an_error_is_sound(
    kept: KeepWindow, console: Gateway, sample: Sample, language: str, role: int
) -> None:
    look_at(kept(language), console, sample, "/nowhere", role)


NO_PAGES = [one for one in all_addresses() if one.name and not one.only_post and is_no_page(one)]


@pytest.mark.parametrize("address", NO_PAGES, ids=[f"{one.name}-{number}" for number, one in enumerate(NO_PAGES)])
def test_what_is_called_no_page_is_none(console: Gateway, sample: Sample, address: Address) -> None:
    """Else a page would hide in the list of exceptions."""
    session = console.operator("session", user_id=1, confirmed=True)

    answer = httpx.get(console.base_url + address.of(sample), cookies={"session": session})

    assert answer.status_code != 200 or "<h1" not in answer.text
