"""The playground's page and what it refuses (console reference, 10.25); its calls: test_playground_live.py."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import Token, TokenStatus, User
from accounts.services import create_token
from audit.services import SYSTEM
from billing.models import Log, LogType
from channels_app.services import create_channels
from console.relayed import Answer, Call, Door
from tests.console.conftest import signed_in

pytestmark = pytest.mark.django_db

NOT_YOURS = "This key is not one of yours, or it is switched off."


def text_of(answer: Any) -> str:
    return str(answer.content.decode())


@pytest.fixture(autouse=True)
def served() -> None:
    create_channels(SYSTEM, {"type": 1, "name": "one", "models": "tts-1,gpt-4o,gpt-4o-mini"}, ["sk-upstream"])


@pytest.fixture
def key(alice: User) -> Token:
    return create_token(user_id=alice.pk, name="laptop", unlimited_quota=True)


def call(client: Client, **body: Any) -> tuple[int, str]:
    answer = client.post("/playground/call", json.dumps(body), content_type="application/json")
    return answer.status_code, answer.json()["error"]["message"]


def test_the_page_offers_models_and_keys_but_no_key_itself(alice: User, key: Token) -> None:
    answer = signed_in(alice).get("/playground?model=gpt-4o-mini")
    page = text_of(answer)

    assert '<option value="gpt-4o-mini" selected>' in page
    assert page.index(">gpt-4o<") < page.index(">tts-1<")  # what chats comes first
    assert f"laptop (sk-{key.key[:4]}…{key.key[-4:]})" in page
    assert key.key not in page
    assert "Channel" not in page


def test_without_a_key_there_is_the_way_to_one(alice: User, key: Token) -> None:
    Token.objects.update(status=TokenStatus.DISABLED)

    page = text_of(signed_in(alice).get("/playground"))

    assert "You have none." in page
    assert 'href="/token/add"' in page


def test_keys_of_others_are_refused(alice: User, adam: User, key: Token) -> None:
    wanted = {"model": "gpt-4o", "messages": []}

    assert call(signed_in(adam), key=key.pk, request=wanted) == (400, NOT_YOURS)
    assert call(signed_in(adam), key=str(key.pk), request=wanted) == (400, NOT_YOURS)
    page = signed_in(adam).post("/playground", {"key": key.pk, "model": "gpt-4o", "message": "Hello"})
    assert page.status_code == 422
    assert key.key[:4] not in text_of(page)


def test_a_disabled_key_is_refused(alice: User, key: Token) -> None:
    Token.objects.update(status=TokenStatus.DISABLED)

    assert call(signed_in(alice), key=key.pk, request={"model": "gpt-4o"}) == (400, NOT_YOURS)


@pytest.mark.parametrize("channel", [7, 0, "7", True])
def test_only_administrators_choose_a_channel(alice: User, key: Token, channel: Any) -> None:
    refusal = (400, "Only administrators may choose a channel, by its id.")

    assert call(signed_in(alice), key=key.pk, channel=channel, request={}) == refusal


@pytest.mark.parametrize(("channel", "suffix"), [(None, ""), (7, "-7")])
def test_the_request_is_handed_over_as_it_came_with_the_key_behind_the_id(
    adam: User, monkeypatch: pytest.MonkeyPatch, channel: int | None, suffix: str
) -> None:
    token = create_token(user_id=adam.pk, name="server", unlimited_quota=True)
    door = Door(None, {})  # type: ignore[arg-type]
    monkeypatch.setattr("console.playground.views.door_of", lambda request: door)
    wanted = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello"}], "stream": True, "seed": 7}

    body = json.dumps({"key": token.pk, "channel": channel, "request": wanted})
    answer = signed_in(adam).post("/playground/call", body, content_type="application/json")

    assert (answer.status_code, answer.content) == (204, b"")
    assert door.handed == Call("/v1/chat/completions", f"sk-{token.key}{suffix}", json.dumps(wanted).encode())


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"no json", "The browser sent no JSON."),
        (b"[]", "The browser sent no request."),
        (b'{"request": 1}', "The browser sent no request."),
        (b'{"request": {}}', NOT_YOURS),
    ],
)
def test_what_is_no_request_is_refused(alice: User, key: Token, body: bytes, says: str) -> None:
    answer = signed_in(alice).post("/playground/call", body, content_type="application/json")

    assert (answer.status_code, answer.json()["error"]["message"]) == (400, says)


def test_a_call_needs_the_token_against_forgery(alice: User, key: Token) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(alice)

    answer = client.post("/playground/call", b"{}", content_type="application/json")

    assert answer.status_code == 403


def test_another_server_says_that_it_cannot(alice: User, key: Token) -> None:
    wanted = {"model": "gpt-4o", "messages": []}

    assert call(signed_in(alice), key=key.pk, request=wanted) == (501, "This server cannot call models from a page.")
    form = {"key": key.pk, "model": "gpt-4o", "message": "Hello"}
    assert "This server cannot call models" in text_of(signed_in(alice).post("/playground", form))


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("message", "", "This field is required."),
        ("model", "gpt-unknown", "Select a valid choice."),
        ("temperature", "3", "less than or equal to 2"),
        ("max_tokens", "0", "greater than or equal to 1"),
        ("tools", "{", "This is no JSON:"),
        ("tools", "{}", "The tools must be a JSON list."),
    ],
)
def test_a_form_that_makes_no_sense_says_why(alice: User, key: Token, field: str, value: str, says: str) -> None:
    form = {"key": key.pk, "model": "gpt-4o", "message": "Hello", field: value}

    answer = signed_in(alice).post("/playground", form)

    assert answer.status_code == 422
    assert says in text_of(answer)


def test_without_script_one_question_gets_its_answer_on_the_page(
    alice: User, key: Token, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[Call] = []
    Log.objects.create(
        user_id=alice.pk, created_at=int(time.time()), type=LogType.CONSUME, request_id="r1", quota=50, prompt_tokens=9
    )

    class Scripted(Door):
        def ask(self, call: Call) -> Answer:
            calls.append(call)
            message = {"content": "It is <b>Paris</b>.", "reasoning_content": "Hm."}
            body = json.dumps({"choices": [{"message": message}]}).encode()
            return Answer(200, {"x-oneapi-request-id": "r1"}, body)

    monkeypatch.setattr("console.playground.views.door_of", lambda request: Scripted(None, {}))  # type: ignore[arg-type]
    form = {"key": key.pk, "model": "gpt-4o", "system": "Be short.", "message": "Capital?", "temperature": "0.5"}

    page = text_of(signed_in(alice).post("/playground", {**form, "max_tokens": "9", "tools": '[{"type": "x"}]'}))

    assert "It is &lt;b&gt;Paris&lt;/b&gt;." in page
    assert "$0.000100" in page
    assert calls[0].key == f"sk-{key.key}"
    assert json.loads(calls[0].body) == {
        "model": "gpt-4o",
        "messages": [{"role": "system", "content": "Be short."}, {"role": "user", "content": "Capital?"}],
        "temperature": 0.5,
        "max_tokens": 9,
        "tools": [{"type": "x"}],
    }


def test_a_refusal_of_the_relay_stands_on_the_page(alice: User, key: Token, monkeypatch: pytest.MonkeyPatch) -> None:
    class Refusing(Door):
        def ask(self, call: Call) -> Answer:
            return Answer(403, {"x-oneapi-request-id": "r9"}, b'{"error": {"message": "no money"}}')

    monkeypatch.setattr("console.playground.views.door_of", lambda request: Refusing(None, {}))  # type: ignore[arg-type]

    page = text_of(signed_in(alice).post("/playground", {"key": key.pk, "model": "gpt-4o", "message": "Hello"}))

    assert "no money" in page
    assert "r9" in page


def test_the_bill_of_a_call_is_told_to_who_made_it(alice: User, adam: User) -> None:
    Log.objects.create(
        user_id=alice.pk, created_at=int(time.time()), type=LogType.CONSUME, request_id="r1", quota=1250,
        prompt_tokens=12, completion_tokens=20, elapsed_time=900,
    )  # fmt: skip

    assert signed_in(alice).get("/playground/bill?request=r1").json() == {
        "points": 1250, "cost": "$0.002500", "prompt": 12, "completion": 20, "milliseconds": 900,
    }  # fmt: skip
    assert signed_in(adam).get("/playground/bill?request=r1").status_code == 404
    assert signed_in(alice).get("/playground/bill").status_code == 404


@pytest.mark.parametrize("count", [10, 60])
def test_the_queries_do_not_grow_with_keys_and_models(alice: User, count: int) -> None:
    for number in range(count):
        create_token(user_id=alice.pk, name=f"key {number}", unlimited_quota=True)
    client = signed_in(alice)
    client.get("/playground")

    with CaptureQueriesContext(connection) as queries:
        client.get("/playground")

    assert len(queries) == 8
