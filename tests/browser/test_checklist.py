"""Of the whole console at once: reading changes nothing, secrets are nowhere, exports run nothing, keys suffice."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.addresses import DOWNLOADS, Address, all_addresses
from tests.browser.conftest import MakeWindow
from tests.browser.sample import Sample, fill
from tests.fake_upstream import FakeUpstream
from tests.server import ROOT_ACCESS_TOKEN, ROOT_PASSWORD, ROOT_TOKEN, Gateway

ROOT = 100
CANARY = "canaryNobodyMaySee"
SECRET_OPTIONS = ("SMTPToken", "GitHubClientSecret", "TurnstileSecretKey", "MessagePusherToken", "OidcClientSecret")
# Tables that reading may write to: who is signed in, that an export or a secret was asked for, and what runs by itself.
MOVING = {"user_sessions", "django_session", "audit_entries", "job_leases", "outbox_messages", "rate_windows"}
FORMULA = "=HYPERLINK(1)"
Answered = list[tuple[Address, httpx.Response]]


@pytest.fixture(scope="module")
def sample(console: Gateway, upstream_process: FakeUpstream) -> Sample:
    """With a canary in each place for a secret, and names that a spreadsheet would run."""
    for name in SECRET_OPTIONS:
        console.operator("option", key=name, value=f"{CANARY}{name}")
    made = fill(console, upstream_process)
    config = f'{{"ak": "id", "sk": "{CANARY}Config", "region": "us-east-1"}}'
    console.add_channel(
        upstream_process.scripted(status=401, message=f"Incorrect API key provided: sk-{CANARY}Channel."),
        "gpt-4o-secret",
        key=f"sk-{CANARY}Channel",
        name=FORMULA,
        tags=FORMULA,
    )
    console.add_channel("", "claude-3-opus-20240229", type=33, key="", config=config, name="@SUM(1)")
    user = console.operator("user", username="=2+5", quota=1_000_000)
    key = console.operator("token", user_id=user, name="+3+4")["key"]
    console.api("POST", "/api/redemption/", json={"name": "-1+2", "quota": 5, "count": 1})
    console.wait_until_routed(ROOT_TOKEN, "gpt-4o-secret")
    for model in ("gpt-4o-secret", "gpt-4o-mini"):
        console.call(
            key, "POST", "/v1/chat/completions", {"model": model, "messages": [{"role": "user", "content": "Hi"}]}
        )
    return made


def answers(console: Gateway, sample: Sample) -> Iterator[tuple[Address, httpx.Response]]:
    """What root gets from every address that answers GET: page, part or file; as a browser asks, and as htmx does."""
    session = console.operator("session", user_id=1, confirmed=True)
    with httpx.Client(base_url=console.base_url, cookies={"session": session}, timeout=60) as client:
        for address in all_addresses():
            if address.only_post or not address.name:
                continue
            for headers in (
                {},
                {"HX-Request": "true", "HX-Target": "list"},
                {"HX-Request": "true", "HX-Target": "drawer-body"},
            ):
                yield address, client.get(address.of(sample), headers=headers)


@pytest.fixture(scope="module")
def answered(console: Gateway, sample: Sample) -> Answered:
    """What was got the first time, which also writes what a first look writes (preferences, last seen)."""
    return list(answers(console, sample))


def tables(console: Gateway) -> dict[str, Any]:
    """Every row of every table that reading must leave alone; of users, all but when they were last there."""
    names = [row[0] for row in console.database.rows("SELECT name FROM sqlite_master WHERE type = 'table'")]
    return {
        name: sorted(map(repr, console.database.rows(f"SELECT {columns(console, name)} FROM {name}")))
        for name in names
        if name not in MOVING and not name.startswith("sqlite_")
    }


def columns(console: Gateway, table: str) -> str:
    names = [row[1] for row in console.database.rows(f"PRAGMA table_info({table})")]
    return ", ".join(f'"{name}"' for name in names if (table, name) != ("users", "last_active"))


def test_reading_every_address_changes_no_row(console: Gateway, sample: Sample, answered: Answered) -> None:
    if console.database.kind != "sqlite":
        pytest.skip("asks SQLite for its tables; what is tested is the same on each database")
    before = tables(console)

    statuses = {answer.status_code for _, answer in answers(console, sample)}

    after = tables(console)
    assert {name for name in before if before[name] != after[name]} == set()
    assert statuses <= {200, 302, 404}


def test_no_secret_is_on_a_page_in_a_file_in_the_log_or_in_the_audit(
    console: Gateway, sample: Sample, answered: Answered
) -> None:
    for address, answer in answered:
        for secret in (CANARY, ROOT_PASSWORD, ROOT_TOKEN, ROOT_ACCESS_TOKEN, sample.alice.key):
            assert secret not in answer.text, (address.name, secret)

    told = repr(console.database.rows("SELECT content FROM logs"))
    assert "Incorrect API key provided" in told, "the provider repeats its key, and that is kept"
    written = [console.output, *Path(console.folder, "logs").rglob("*")]
    for file in written:
        text = file.read_text(errors="replace")
        for secret in (CANARY, ROOT_PASSWORD, ROOT_TOKEN, ROOT_ACCESS_TOKEN, sample.alice.key):
            assert secret not in text, (file, secret)
    for table in ("audit_entries", "logs", "channel_test_results", "outbox_messages"):
        assert CANARY not in repr(console.database.rows(f"SELECT * FROM {table}")), table


def test_files_hold_no_formula(answered: Answered) -> None:
    seen = set()
    for address, answer in answered:
        if not address.name.endswith(DOWNLOADS) or "csv" not in answer.headers["Content-Type"]:
            continue
        for row in csv.reader(io.StringIO(answer.text.lstrip("\ufeff"))):
            for cell in row:
                assert not re.match(r"[=@\t\r]|[+-](?![\d.]+$)", cell), (address.name, cell)
                if cell.startswith("'"):
                    seen.add(cell)
    assert {"'=HYPERLINK(1)", "'@SUM(1)", "'=2+5", "'+3+4"} <= seen


# By keyboard alone

FOCUS_SHOWS = (Path(__file__).parent / "scripts" / "focus_shows.js").read_text()


def go_to(page: Page, wanted: Locator, most: int = 120) -> None:
    """Presses Tab until the element has the focus, and sees that the focus is visible and hidden by nothing."""
    for _ in range(most):
        page.keyboard.press("Tab")
        if wanted.evaluate("one => one === document.activeElement"):
            assert wanted.evaluate(FOCUS_SHOWS), "the focus cannot be seen"
            return
    raise AssertionError(f"Tab does not lead to {wanted}")


def at_the_console(visit: MakeWindow, console: Gateway, path: str) -> Page:
    window = visit()
    window.use_session(console.operator("session", user_id=1, confirmed=True))
    return window.open(path)


def test_signing_in_by_keyboard(visit: MakeWindow, console: Gateway, sample: Sample) -> None:
    page = visit().open("/login")

    expect(page.locator("[name=username]")).to_be_focused()
    page.keyboard.type("root")
    go_to(page, page.locator("[name=password]"))
    page.keyboard.type(ROOT_PASSWORD)
    page.keyboard.press("Enter")

    expect(page).to_have_url(re.compile("/dashboard$"))
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#content")).to_be_focused()


def test_making_a_key_by_keyboard(visit: MakeWindow, console: Gateway, sample: Sample) -> None:
    page = at_the_console(visit, console, "/token")

    page.keyboard.press("n")
    expect(page.locator("#drawer[open] [name=name]")).to_be_visible()
    go_to(page, page.locator("#drawer [name=name]"))
    page.keyboard.type("by keyboard")
    page.keyboard.press("Enter")
    expect(page.locator("#drawer [data-copy-source]")).to_contain_text("curl ")
    page.keyboard.press("Escape")

    expect(page.locator("#drawer[open]")).to_have_count(0)
    # The drawer had an address of its own; the list's comes back a moment after the drawer is gone.
    expect(page).to_have_url(re.compile("/token$"))
    page.reload()
    expect(page.locator("#list tbody tr").filter(has_text="by keyboard")).to_have_count(1)


def test_adding_a_channel_and_testing_it_by_keyboard(
    visit: MakeWindow, console: Gateway, sample: Sample, upstream_process: FakeUpstream
) -> None:
    page = at_the_console(visit, console, "/channel/add")

    go_to(page, page.locator("main [name=name]"))
    page.keyboard.type("by keyboard")
    go_to(page, page.locator("main [name$=base_url]"))
    page.keyboard.type(upstream_process.url)
    go_to(page, page.locator("main [name=key]"))
    page.keyboard.type("sk-anything")
    go_to(page, page.locator("main button[value=test]"), most=400)  # past one button for each model chosen
    page.keyboard.press("Enter")

    expect(page).to_have_url(re.compile(r"/test-runs/\d+"))
    expect(page.locator("#list tbody tr").filter(has_text="passed")).to_have_count(1, timeout=60_000)


def test_finding_a_failed_request_by_keyboard(visit: MakeWindow, console: Gateway, sample: Sample) -> None:
    page = at_the_console(visit, console, "/")

    page.keyboard.press("g")
    page.keyboard.press("l")
    expect(page).to_have_url(re.compile("/log"))
    page.wait_for_load_state()
    page.keyboard.press("/")
    page.keyboard.type("refuses")
    expect(page).to_have_url(re.compile("q=refuses"))
    row = page.locator("#list tbody tr").filter(has_text="gpt-4o-broken").first
    go_to(page, row.locator("a").first)
    page.keyboard.press("Enter")

    expect(page.locator("#drawer[open]")).to_contain_text("The upstream refuses.")
    page.keyboard.press("Escape")
    expect(row.locator("a").first).to_be_focused()  # back where one was


def test_changing_a_price_by_keyboard(visit: MakeWindow, console: Gateway, sample: Sample) -> None:
    page = at_the_console(visit, console, "/prices/edit?model=gpt-4o")

    box = page.locator("main input[type=number], main input[inputmode=decimal]").first
    go_to(page, box)
    page.keyboard.press("Control+a")
    page.keyboard.type("7")
    page.keyboard.press("Enter")
    store = page.locator("form[action$='/prices/commit'] button[type=submit]").last
    expect(store).to_be_visible()
    go_to(page, store)
    page.keyboard.press("Enter")

    expect(page.locator("#toasts")).to_contain_text(
        "figures changed."
    )  # dollars of the answer stay, so its factor follows
    page.goto(console.base_url + "/prices?q=gpt-4o&sort=model")
    expect(page.locator("#list tbody tr").filter(has=page.get_by_text("gpt-4o", exact=True))).to_contain_text("$7")
