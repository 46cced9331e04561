"""A real Chromium before a real gateway: what it was asked to load, what it complained of, what axe finds.

A `Window` is one browser profile (cookies of its own) in one size, theme and language. The browser knows no name but
localhost, and the window remembers what was wanted from elsewhere. Requests are watched, not held up one by one: that
would switch off the browser's cache, and every page would load its style sheets and scripts anew.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import axe_playwright_python
from playwright.sync_api import Browser, BrowserContext, Page, Playwright, Request

from tests.server import ROOT

AXE = Path(axe_playwright_python.__file__).with_name("axe.min.js")
ARTEFACTS = ROOT / "artefacts" / "console"  # ignored by git
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1",
]
RULES = ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa", "best-practice"]
HEIGHT = 900  # of a window, in pixels
SERIOUS = ("serious", "critical")
# axe.js, over the whole page. Rules that axe itself calls minor or moderate are left out: no finding could be SERIOUS.
JUDGE = """rules => axe.run(document, {
  resultTypes: ["violations"],
  runOnly: rules,
  rules: Object.fromEntries(
    axe._audit.rules
      .filter((rule) => ["minor", "moderate"].includes(rule.impact))
      .map((rule) => [rule.id, {enabled: false}])
  ),
})"""
# The page in another theme, as the menu of colours has it.
DRESS = """theme => {
  if (document.documentElement.dataset.theme === theme) return;
  document.documentElement.dataset.theme = theme;
  document.dispatchEvent(new CustomEvent("theme-changed"));
}"""
# Whether the page has taken its width; charts draw themselves anew a moment after the window has changed.
SETTLED = """width => window.innerWidth === width
  && [...document.querySelectorAll("[data-chart]")].every((box) => {
    const plot = box.querySelector(".u-wrap");
    return !plot || plot.offsetWidth === Math.max(box.clientWidth, 200);
  })"""
LOCALES = {"en": "en-US", "zh-hans": "zh-CN", "ja": "ja-JP", "pt-br": "pt-BR"}


def executable() -> str | None:
    return os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")


def launched(playwright: Playwright, path: str) -> Browser:
    return playwright.chromium.launch(executable_path=path, args=FLAGS)


@dataclass(frozen=True, slots=True)
class Look:
    """How a page is looked at."""

    width: int = 1440
    theme: str = "light"
    language: str = "en"
    script: bool = True

    @property
    def name(self) -> str:
        return f"{self.width}-{self.theme}-{self.language}"

    @property
    def scheme(self) -> Literal["light", "dark"]:
        """What the browser says people prefer."""
        return "dark" if self.theme == "dark" else "light"


@dataclass
class Window:
    base: str
    context: BrowserContext
    page: Page
    look: Look
    complaints: list[str] = field(default_factory=list)  # of the console, and errors of scripts
    strangers: list[str] = field(default_factory=list)  # addresses elsewhere that something wanted to load

    @property
    def where(self) -> str:
        return f"{self.page.url} ({self.look.name})"

    def open(self, path: str) -> Page:
        self.page.goto(self.base + path)
        return self.page

    def look_at(self, path: str) -> Page:
        """Opens the page and waits for the parts of it that are asked for once it stands."""
        page = self.open(path)
        page.wait_for_function("() => !document.querySelector('.htmx-request')")
        # Windows are kept from page to page: what one of them left behind must not be what the next is looked at in.
        assert page.locator("html").get_attribute("data-theme") == self.look.theme
        return page

    def wear(self, look: Look) -> None:
        """The page as it stands, and those opened next, in another width and theme."""
        assert (look.language, look.script) == (self.look.language, self.look.script), "these are the context's"
        self.look = look
        self.context.add_cookies([{"name": "theme", "value": look.theme, "url": self.base}])
        self.page.emulate_media(color_scheme=look.scheme)
        self.page.set_viewport_size({"width": look.width, "height": HEIGHT})
        self.page.evaluate(DRESS, look.theme)
        self.page.wait_for_function(SETTLED, arg=look.width)

    def look_at_in(self, looks: Iterable[Look], path: str) -> Iterator[Look]:
        """Opens the page in the first of the looks, and goes on to the others without loading it anew: the server does
        not know of widths, and of themes it knows one attribute."""
        first, *others = looks
        self.wear(first)
        self.look_at(path)
        yield first
        for look in others:
            self.wear(look)
            yield look

    def judge_in(self, looks: Iterable[Look], path: str, picture: str = "") -> None:
        """In each of the looks the page fits its width, and axe finds nothing serious."""
        for look in self.look_at_in(looks, path):
            assert self.findings() == [], look.name
            assert self.overflow() == 0, look.name
            if picture:
                self.screenshot(picture)

    def sign_in(self, name: str, password: str) -> None:
        self.open("/login")
        self.page.fill("[name=username]", name)
        self.page.fill("[name=password]", password)
        self.page.click("main button[type=submit]")
        self.page.wait_for_url(lambda address: "/login" not in address)

    def use_session(self, key: str) -> None:
        """Be signed in by this session's cookie."""
        self.context.add_cookies([{"name": "session", "value": key, "url": self.base}])

    def screenshot(self, name: str) -> None:
        """For people to look at, where SCREENSHOTS=1 asks for them."""
        if not os.environ.get("SCREENSHOTS"):
            return
        ARTEFACTS.mkdir(parents=True, exist_ok=True)
        path = ARTEFACTS / f"{name}-{self.look.name}.jpeg"
        self.page.screenshot(path=path, full_page=True, quality=70, type="jpeg")

    def findings(self) -> list[str]:
        """What axe calls serious or critical on the page as it stands: "rule: selector, selector"."""
        self.page.evaluate(AXE.read_text())
        found: dict[str, Any] = self.page.evaluate(JUDGE, RULES)
        return [
            f"{one['id']}: " + ", ".join(str(node["target"][0]) for node in one["nodes"])
            for one in found["violations"]
            if one["impact"] in SERIOUS
        ]

    def overflow(self) -> int:
        """Pixels by which the page is wider than the window: a person would have to scroll sideways."""
        wider: int = self.page.evaluate("() => document.documentElement.scrollWidth - window.innerWidth")
        return max(0, wider)

    def troubles(self) -> list[str]:
        """What was complained of and wanted from elsewhere since this was last asked."""
        found = self.complaints + [f"from elsewhere: {address}" for address in self.strangers]
        self.complaints, self.strangers = [], []
        return found


@dataclass
class Windows:
    """One window for each language, kept from page to page: style sheets and scripts are loaded once."""

    make: Callable[[Look], Window]
    _opened: dict[str, Window] = field(default_factory=dict)

    def of(self, language: str) -> Window:
        if language not in self._opened:
            self._opened[language] = self.make(Look(language=language))
        return self._opened[language]


@contextmanager
def window(browser: Browser, base: str, look: Look) -> Iterator[Window]:
    context = browser.new_context(
        viewport={"width": look.width, "height": HEIGHT},
        locale=LOCALES[look.language],
        java_script_enabled=look.script,
        color_scheme=look.scheme,
        reduced_motion="reduce",
        ignore_https_errors=True,  # behind TLS, the tests' own certificate
    )
    context.add_cookies(
        [
            {"name": "theme", "value": look.theme, "url": base},
            {"name": "django_language", "value": look.language, "url": base},
        ]
    )
    context.set_default_timeout(15_000)
    page = context.new_page()
    opened = Window(base, context, page, look)

    def judge(request: Request) -> None:
        if not request.url.startswith((base, "data:", "blob:")):
            opened.strangers.append(request.url)

    context.on("request", judge)
    page.on("console", lambda message: _note(opened, message.type, message.text))
    page.on("pageerror", lambda error: opened.complaints.append(f"{opened.where}: {error}"))
    try:
        yield opened
    finally:
        context.close()


def _note(opened: Window, kind: str, text: str) -> None:
    """Answers that are refusals on purpose (a form with errors, a page that is not there) are no complaint."""
    if kind == "error" and "status of 4" not in text:
        opened.complaints.append(f"{opened.where}: {text}")
