"""The console over TLS, which deploy/nginx.conf takes off, in Chromium: where the gateway trusts that proxy, or not."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import ExitStack
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, expect

from tests import databases, server
from tests.browser.chromium import Look, Window, window
from tests.certificates import Authority
from tests.nodes import services
from tests.nodes.network import LOOPBACK, Place
from tests.server import ROOT_PASSWORD


@pytest.fixture(scope="module", params=["127.0.0.1", ""], ids=["trusted", "not-trusted"])
def outside(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, bool]]:
    """The address people know, and whether the gateway hears from its proxy that it is reached over TLS."""
    folder, trusted = tmp_path_factory.mktemp("tls"), str(request.param)
    certificate = Authority(folder).certificate(LOOPBACK)
    with ExitStack() as stack:
        database = stack.enter_context(databases.fresh(os.environ.get("TEST_DATABASE", "sqlite"), folder))
        gateway = stack.enter_context(server.running(database, 1, folder, {"TRUSTED_PROXIES": trusted}))
        gateway.operator("keep_password", user_id=1)
        place = Place(LOOPBACK, gateway.port)
        yield stack.enter_context(services.nginx(folder, LOOPBACK, (place, place), certificate)), bool(trusted)


@pytest.fixture
def visitor(chromium: Browser, outside: tuple[str, bool]) -> Iterator[Window]:
    with window(chromium, outside[0], Look()) as opened:
        yield opened
    assert opened.troubles() == []


def test_people_sign_in_and_send_forms(visitor: Window, outside: tuple[str, bool]) -> None:
    _, trusted = outside
    visitor.sign_in("root", ROOT_PASSWORD)
    page = visitor.open("/token")
    page.click("[data-new]")
    page.fill("#drawer [name=name]", "made over TLS")
    page.keyboard.press("Enter")

    # What is made for other programs names the address they are to call.
    address = quote(visitor.base if trusted else visitor.base.replace("https:", "http:"), safe="")
    expect(page.locator("#drawer a[href^='opencat:']")).to_have_attribute("href", re.compile(re.escape(address)))
    secure = {cookie["name"]: cookie["secure"] for cookie in visitor.context.cookies()}
    assert secure["session"] is trusted
