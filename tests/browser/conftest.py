"""A gateway with a scripted provider behind it, and windows of Chromium to look at it with.

Absent Chromium is a skip, with REQUIRE_SERVICES=1 (CI) a failure. Every test ends by checking that nothing was loaded
from elsewhere and that the browser had nothing to complain of.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect, sync_playwright
from xdist.scheduler import LoadGroupScheduling

from tests import databases, migrated, server
from tests.browser.chromium import Look, Window, Windows, executable, launched, window
from tests.fake_upstream import FakeUpstream
from tests.server import ROOT_PASSWORD, Gateway

# Playwright's loop runs in the tests' own thread, and Django takes every query there for one from a coroutine.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
expect.set_options(timeout=15_000)  # milliseconds; the usual 5 s are not enough where others use the machine

MakeWindow = Callable[..., Window]
KeepWindow = Callable[..., Window]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(item.fspath).parent == Path(__file__).parent:
            item.add_marker(pytest.mark.browser)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Keeps together on one of several workers what `_together` says.

    pytest-xdist's own mark for that has had no effect since pytest 9.2 (pytest-dev/pytest-xdist#1386), and every worker
    started a gateway for every file.
    """
    if config.getvalue("dist") != "loadgroup":
        return None
    scheduler = LoadGroupScheduling(config, log)
    scheduler._split_scope = _together
    return scheduler


def _together(nodeid: str) -> str:
    """A file of tests, for they share a gateway; of the long list of every page those of one language, for they share
    a window. What asks for no page at all goes with the language that has less to look at."""
    file, _, test = nodeid.partition("::")
    if not file.endswith("test_every_page.py"):
        return file
    return file + ("-en" if re.search(r"[\[-]en[-\]]", test) else "-zh-hans")


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    path = executable()
    if path is None:
        databases.missing("there is no Chromium on this machine")
    with sync_playwright() as playwright:
        browser = launched(playwright, path)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway of this module's own, on the kind of database that TEST_DATABASE names, with root as first set up."""
    folder = tmp_path_factory.mktemp("console")
    kind = os.environ.get("TEST_DATABASE", "sqlite")
    with migrated.copy(kind, folder) as database, server.running(database, 1, folder, {}) as gateway:
        gateway.operator("keep_password", user_id=1)
        yield gateway


def sign_in(opened: Window, console: Gateway, by: int | None) -> None:
    if by is not None:
        opened.use_session(console.operator("session", user_id=by))


@pytest.fixture
def visit(chromium: Browser, console: Gateway) -> Iterator[MakeWindow]:
    """`visit(width=1440, theme="light", language="en", script=True)` opens a window that is signed in nowhere.

    `visit(by=1)` opens one in which the account of that id is signed in.
    """
    windows: list[Window] = []
    with ExitStack() as stack:

        def make(*, by: int | None = None, **look: object) -> Window:
            opened = stack.enter_context(window(chromium, console.base_url, Look(**look)))  # type: ignore[arg-type]
            sign_in(opened, console, by)
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
def kept(windows: Windows, console: Gateway) -> Iterator[KeepWindow]:
    """`kept(language="en", by=None)` is as `visit`, for tests that only look: the module's one window of a language.

    A window of its own costs a test processes of the browser's, and every style sheet and script once more.
    """
    used: list[Window] = []

    def of(language: str = "en", *, by: int | None = None) -> Window:
        opened = windows.of(language)
        opened.context.clear_cookies(name="session")
        sign_in(opened, console, by)
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
