"""Home, help, models, the playground and the search over everything, in a real browser."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.browser.chromium import Look
from tests.browser.conftest import KeepWindow, MakeWindow
from tests.fake_upstream import FakeUpstream
from tests.server import ROOT_TOKEN, Gateway

OPENING = 1_000_000
# How many charts are made and taken down from now on; the one that stands is drawn anew first.
COUNT_PLOTS = """() => {
  const Plot = window.uPlot;
  window.plotsMade = window.plotsGone = 0;
  window.uPlot = Object.assign(function (...told) {
    const plot = new Plot(...told);
    const { destroy } = plot;
    window.plotsMade += 1;
    plot.destroy = () => { window.plotsGone += 1; destroy(); };
    return plot;
  }, Plot);
  document.dispatchEvent(new CustomEvent("theme-changed"));
}"""
LOOKS = [Look(width, theme) for width in (1440, 375) for theme in ("light", "dark")]


@pytest.fixture(scope="module", autouse=True)
def models(console: Gateway, upstream_process: FakeUpstream) -> None:
    console.add_channel(upstream_process.url, "gpt-4o-mini,gpt-4o,dall-e-3")
    console.wait_until_routed(ROOT_TOKEN, "gpt-4o-mini")


@pytest.mark.parametrize("path", ["/", "/about", "/help", "/models", "/playground", "/nowhere"])
def test_pages_fit_and_have_no_serious_finding(kept: KeepWindow, path: str) -> None:
    window = kept(by=1)
    window.judge_in(LOOKS, path)
    expect(window.page.locator("h1")).to_have_count(1)


def test_the_list_of_models_follows_what_is_typed(visit: MakeWindow) -> None:
    window = visit(by=1)
    page = window.open("/models")

    page.keyboard.press("/")
    page.keyboard.type("dall")

    expect(page.locator("#list tbody tr")).to_have_count(1)
    expect(page).to_have_url(re.compile("q=dall"))


def test_two_models_answer_side_by_side_and_the_talk_outlives_a_reload(visit: MakeWindow, console: Gateway) -> None:
    alice = console.new_user(OPENING)
    window = visit(by=alice.id)
    page = window.open("/playground?model=gpt-4o-mini")

    page.select_option("[name=other_model]", "gpt-4o")
    page.fill("[name=message]", "Hello there")
    page.keyboard.press("Control+Enter")

    expect(page.locator(".turn.user")).to_have_count(2)
    expect(page.locator(".turn-facts")).to_have_text([re.compile(r"\$0\.\d{6} · .*tokens")] * 2)
    assert console.books().quota(alice.id) < OPENING
    assert len(console.books().logs(alice.id)) == 2
    assert alice.key not in page.content()
    page.reload()
    expect(page.locator(".turn.assistant")).to_have_count(2)
    page.click("[data-clear]")
    expect(page.locator(".turn")).to_have_count(0)


def test_a_chart_drawn_anew_is_as_it_was_left(visit: MakeWindow, console: Gateway) -> None:
    """The dashboard asks for its figures every half minute."""
    alice = console.new_user(OPENING)
    asked = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hello"}]}
    assert console.call(alice.key, "POST", "/v1/chat/completions", asked)[0] == 200
    window = visit(by=alice.id)
    page = window.open("/dashboard")
    page.evaluate(COUNT_PLOTS)
    table, line = page.locator(".chart-table"), page.locator("[data-line]")
    table.locator("summary").click()
    line.click()

    for _ in range(3):
        with page.expect_response(lambda answer: answer.url.endswith("/dashboard")):
            page.locator("[data-poll]").dispatch_event("poll")
        page.wait_for_function("() => !document.querySelector('.htmx-request, .htmx-settling')")

    expect(line).to_have_attribute("aria-pressed", "false")
    expect(table).to_have_attribute("open", "")
    assert page.evaluate("plotsMade - plotsGone") == 1


def test_a_refused_call_names_its_request(visit: MakeWindow, console: Gateway) -> None:
    poor = console.new_user(1)
    window = visit(by=poor.id)
    page = window.open("/playground")

    page.fill("[name=message]", "Hello")
    page.click(".composer button[type=submit]")

    expect(page.locator(".lane .note.error")).to_have_text(re.compile(r"[^\d]\d{23,31}[^\d]*$"))


def test_without_script_the_playground_answers_on_the_page(visit: MakeWindow, console: Gateway) -> None:
    alice = console.new_user(OPENING)
    window = visit(script=False, by=alice.id)
    page = window.open("/playground?model=gpt-4o-mini")

    page.fill("[name=message]", "Hello")
    page.click(".composer button[type=submit]")

    expect(page.locator(".turn.assistant .turn-text")).not_to_be_empty()
    expect(page.locator(".turn-facts")).to_contain_text("$0.")


def test_a_whole_page_of_the_operators_runs_apart_from_the_console(visit: MakeWindow, console: Gateway) -> None:
    page_of_operator = (
        "<!doctype html><title>Ours</title><style>p { color: red }</style><p id=told></p><script>"
        "let told = []; try { told.push(parent.document.title) } catch (e) { told.push('no parent') }"
        "try { told.push(document.cookie) } catch (e) { told.push('no cookie') }"
        "document.getElementById('told').textContent = told.join(', ')</script>"
    )
    console.operator("option", key="HomePageContent", value=page_of_operator)
    try:
        page = visit().open("/")
        expect(page.frame_locator("iframe").locator("#told")).to_have_text("no parent, no cookie")
        page = visit(width=375).open("/content/home/")
        expect(page.locator("#told")).to_have_text("Ours, no cookie")  # by itself it is its own parent
    finally:
        console.operator("option", key="HomePageContent", value="")


def test_a_notice_is_put_away_and_read_again(visit: MakeWindow, console: Gateway) -> None:
    console.operator("option", key="Notice", value="Down on **Sunday**")
    try:
        page = visit().open("/about")
        expect(page.locator("main aside strong")).to_have_text("Sunday")
        page.click("main aside button")
        expect(page.locator("main aside")).to_have_count(0)
        page.click("a[data-help]")
        expect(page.locator("#notices + .prose strong")).to_have_text("Sunday")
    finally:
        console.operator("option", key="Notice", value="")


def test_the_search_over_everything_is_walked_by_keys(visit: MakeWindow, console: Gateway) -> None:
    alice = console.new_user(OPENING, name="sapphire")
    window = visit(by=alice.id)
    page = window.open("/models")

    page.keyboard.press("Control+k")
    expect(page.locator("#palette-words")).to_be_focused()
    page.keyboard.type("sapph")
    expect(page.locator("#palette-found .palette-list a")).to_have_count(1)
    page.keyboard.press("ArrowDown")
    expect(page.locator("#palette-found .palette-list a")).to_be_focused()
    assert window.findings() == []
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_contain_text("sapphire")


def test_question_mark_opens_the_help(visit: MakeWindow) -> None:
    page = visit().open("/about")

    page.keyboard.press("?")

    expect(page.locator("h1")).to_have_text("Help")


def test_chosen_keys_are_copied_together(visit: MakeWindow, console: Gateway) -> None:
    alice = console.new_user(OPENING, name="first")
    second = console.operator("token", user_id=alice.id, name="second")
    window = visit()
    console.operator("keep_password", user_id=alice.id)
    window.use_session(console.operator("session", user_id=alice.id, confirmed=True))
    page = window.open("/token")

    expect(page.locator("[data-bulk-bar]")).to_be_hidden()
    page.check("[data-pick-all]")
    expect(page.locator("[data-chosen]")).to_have_text("2")
    page.click("[data-bulk-bar] button")

    expect(page.locator("#dialog textarea")).to_have_value(f"second    sk-{second['key']}\nfirst    sk-{alice.key}")
    assert window.findings() == []


def test_a_usual_limit_is_a_click(visit: MakeWindow, console: Gateway) -> None:
    alice = console.new_user(OPENING)
    window = visit(by=alice.id)
    page = window.open("/token/add")

    page.click("[data-preset='50']")

    expect(page.locator("[name=unlimited]")).not_to_be_checked()
    expect(page.locator("[name=quota_0]")).to_have_value("50")
    expect(page.locator("[name=quota_1]")).to_have_value("dollars")
    expect(page.locator("[data-quota-shown]")).to_have_text("25000000 points")


def test_an_image_goes_with_the_message(visit: MakeWindow, console: Gateway, upstream: FakeUpstream) -> None:
    alice = console.new_user(OPENING)
    window = visit(by=alice.id)
    page = window.open("/playground?model=gpt-4o-mini")

    page.set_input_files("[data-images]", {"name": "dot.png", "mimeType": "image/png", "buffer": b"\x89PNG"})
    expect(page.locator(".thumb")).to_have_count(1)
    page.fill("[name=message]", "What is this?")
    page.click(".composer button[type=submit]")

    expect(page.locator(".turn-facts")).to_contain_text("$0.")
    (message,) = upstream.seen()[-1].json()["messages"]
    assert message["content"] == [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw=="}},
    ]
    expect(page.locator(".turn.user img")).to_have_count(1)
