"""A gateway with a scripted provider behind it, and windows of Chromium to look at it with.

Absent Chromium is a skip, with REQUIRE_SERVICES=1 (CI) a failure. Every test ends by checking that nothing was loaded
from elsewhere and that the browser had nothing to complain of.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests import databases, server
from tests.browser.chromium import Look, Window, Windows, executable, launched, window
from tests.fake_upstream import FakeUpstream
from tests.server import ROOT_PASSWORD, Gateway

# Playwright's loop runs in the tests' own thread, and Django takes every query there for one from a coroutine.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"

MakeWindow = Callable[..., Window]
KeepWindow = Callable[..., Window]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks what is here, and says what stays together on one of several workers (`--dist loadgroup`): a file of tests,
    for they share a gateway; of the long list of every page those of one language, for they share a window."""
    for item in items:
        if Path(item.fspath).parent == Path(__file__).parent:
            item.add_marker(pytest.mark.browser)
            item.add_marker(pytest.mark.xdist_group(_together(item)))


def _together(item: pytest.Item) -> str:
    file = Path(item.fspath).stem
    language = item.callspec.params.get("language") if hasattr(item, "callspec") else None
    return f"{file}-{language}" if language else file


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    path = executable()
    if path is None:
        if databases.required():
            pytest.fail("there is no Chromium on this machine")
        pytest.skip("there is no Chromium on this machine")
    with sync_playwright() as playwright:
        browser = launched(playwright, path)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway of this module's own, on the kind of database that TEST_DATABASE names, with root as first set up."""
    folder = tmp_path_factory.mktemp("console")
    kind = os.environ.get("TEST_DATABASE", "sqlite")
    with databases.fresh(kind, folder) as database, server.running(database, 1, folder, {}) as gateway:
        gateway.operator("keep_password", user_id=1)
        yield gateway


@pytest.fixture
def visit(chromium: Browser, console: Gateway) -> Iterator[MakeWindow]:
    """`visit(width=1440, theme="light", language="en", script=True)` opens a window that is signed in nowhere."""
    windows: list[Window] = []
    with ExitStack() as stack:

        def make(**look: object) -> Window:
            opened = stack.enter_context(window(chromium, console.base_url, Look(**look)))  # type: ignore[arg-type]
            windows.append(opened)
            return opened

        yield make
    for opened in windows:
        assert opened.troubles() == []


@pytest.fixture(scope="module")
def windows(chromium: Browser, console: Gateway) -> Iterator[Windows]:
    """Those that `kept` has opened for this module."""
    with ExitStack() as stack:
        yield Windows(lambda look: stack.enter_context(window(chromium, console.base_url, look)))


@pytest.fixture
def kept(windows: Windows) -> Iterator[KeepWindow]:
    """`kept(language="en")` is as `visit`, for tests that only look: the module's one window of a language, signed out.

    A window of its own costs a test processes of the browser's, and every style sheet and script once more.
    """
    used: list[Window] = []

    def of(language: str = "en") -> Window:
        opened = windows.of(language)
        opened.context.clear_cookies(name="session")
        used.append(opened)
        return opened

    yield of
    for opened in used:
        assert opened.troubles() == []


@pytest.fixture
def provider(upstream: FakeUpstream) -> FakeUpstream:
    return upstream


@pytest.fixture
def root_password() -> str:
    return ROOT_PASSWORD
