"""Every route, asked by every kind of caller, answers as the served document says; and so it does to hostile calls."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from accounts.services import create_user
from accounts.tokens import create_token
from api import throttling
from api.schema_shapes import OPERATIONS
from api.windows import Limit
from audit.services import SYSTEM
from channels_app.services import create_channels
from jobs import running
from options.registry import SPECS
from redemptions.models import Redemption
from redemptions.services import create_codes
from tests.api.answers import check, operation
from tests.api.conftest import Caller
from tests.fake_upstream import FakeUpstream

pytestmark = pytest.mark.django_db

PASSWORD = "a password of the walk"
BODIES: dict[str, dict[str, Any]] = {
    "POST user/login": {"username": "{name}", "password": PASSWORD},
    "POST user/register": {"username": "{name} again", "password": PASSWORD},
    "POST user/reset": {"email": "a@example.com", "token": "none"},
    "PUT user/self": {"display_name": "Somebody"},
    "POST user/topup": {"key": "{code_key}"},
    "POST user": {"username": "{name} made", "password": PASSWORD},
    "PUT user": {"id": "{user_id}", "display_name": "Changed", "quota": 7},
    "POST user/manage": {"username": "{name}", "action": "disable"},
    "POST topup": {"user_id": "{user_id}", "quota": 5, "remark": "a gift"},
    "POST token": {"name": "made"},
    "PUT token": {"id": "{token_id}", "name": "changed", "models": "gpt-4o", "remain_quota": 5},
    "PUT option": {"key": "Notice", "value": "hello"},
    "POST channel": {"type": 1, "key": "sk-1\nsk-2", "name": "made", "models": "gpt-4o", "group": "default"},
    "PUT channel": {"id": "{channel_id}", "name": "changed", "weight": 3, "priority": 2},
    "POST channel/fetch_models": {"type": 1, "key": "sk-1", "base_url": "{upstream}"},
    "POST redemption": {"name": "made", "count": 2, "quota": 5},
    "PUT redemption": {"id": "{code_id}", "name": "changed", "quota": 9},
}
QUERIES = {"DELETE log": "?target_timestamp=1", "GET verification": "?email=a@example.com"}
LAST = ("GET user/logout", "GET user/token", "DELETE user/self")  # they end what the caller is known by

# What even root is refused here: mail is not set up, root may not delete itself, no such code was mailed, and the
# scripted upstream tells no balance. No third party is set up.
EXTERNAL = ("github", "lark", "oidc", "wechat")
REFUSED = {
    "GET verification", "GET reset_password", "POST user/reset", "GET oauth/email/bind", "DELETE user/self",
    "GET channel/update_balance/{channel_id}", *(f"GET oauth/{name}" for name in EXTERNAL), "GET oauth/wechat/bind",
}  # fmt: skip


@pytest.fixture(autouse=True)
def runs_are_somebody_elses(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run's thread would outlive the test."""
    monkeypatch.setattr(running, "start", lambda *args: True)
    monkeypatch.setattr(throttling, "CRITICAL", Limit("CT", 0, 1200))


def things(asking: Caller, upstream: str) -> dict[str, Any]:
    """What the caller's calls name: rows of this caller's own, and another person."""
    mine = asking.user.pk if asking.user else create_user(username="nobody's", password=PASSWORD).pk
    name = f"victim{mine}"
    (code_key, _) = create_codes(SYSTEM, name="code", count=2, quota=5)
    fields = {"name": "gpt", "base_url": upstream, "models": "gpt-4o-mini", "group": "default"}
    return {
        "name": name,
        "user_id": create_user(username=name, password=PASSWORD).pk,
        "token_id": create_token(user_id=mine, name="mine").pk,
        "channel_id": create_channels(SYSTEM, fields, ["sk-upstream"])[0],
        "code_id": Redemption.objects.exclude(key=code_key).latest("id").pk,
        "code_key": code_key,
        "upstream": upstream,
    }


def filled(value: Any, known: dict[str, Any]) -> Any:
    """`{name}` stands for a thing; a text that is nothing else becomes the thing itself."""
    if isinstance(value, dict):
        return {key: filled(each, known) for key, each in value.items()}
    if not isinstance(value, str):
        return value
    whole = re.fullmatch(r"{(\w+)}", value)
    return known.get(whole[1], 1) if whole else re.sub(r"{(\w+)}", lambda found: str(known.get(found[1], 1)), value)


@pytest.mark.parametrize("who", ["root", "admin", "user", "disabled", "anonymous"])
def test_every_route_answers_every_caller_as_the_document_says(
    who: str, request: pytest.FixtureRequest, upstream: FakeUpstream
) -> None:
    asking: Caller = request.getfixturevalue(who)
    known = things(asking, upstream.url)
    done = set()
    for name in sorted(OPERATIONS, key=turn):
        method, route = name.split()
        body = None if method == "GET" else filled(BODIES.get(name, {}), known)
        answer = asking.send(method, filled(route, known) + QUERIES.get(name, ""), body)
        asking.client.cookies.clear()  # of a sign-in: a session would go before the token
        check(method, route, answer)
        if answer.status_code == 200 and answer.json().get("success", True):
            done.add(name)
    if who == "root":
        assert set(OPERATIONS) - done == REFUSED


def turn(name: str) -> tuple[int, bool]:
    """First what leaves things where they are, then what deletes, then what ends the caller."""
    return LAST.index(name) + 1 if name in LAST else 0, name.startswith("DELETE")


# What has no place in a text, or in a column, or in this decoder.
HOSTILE: list[Any] = [
    "\x00", "a\x00b", "\u202e", "9" * 5000, "x" * 100_000, "NaN", "[" * 5000, '{"a": ' * 3000,
    '{"\\ud800": "\\ud800"}', '{"\\ud800": 1}', '{"region": "\\ud800"}', '{"\\u0000": "\\u0000"}', '{"a": 1e999}', "{}",
    10**30, -(10**30), 2**63, 2**63 - 1, -(2**63), 1.5, 0, -1, True, [], {}, [[[]]], {"a": {"\x00": None}},
]  # fmt: skip
RAW = [
    b"", b"{", b"[]", b"null", b'"a"', b"\xff\xfe", b'{"name": "\xed\xa0\x80"}', b"[" * 100_000, b'{"a":' * 100_000,
    b'{"key": "\\ud800", "name": "\\ud800", "username": "\\ud800"}', b'{"id": 1e999}', b'{"id": NaN}',
    b'{"id": ' + b"9" * 5000 + b"}", b'{"id": 1, "id": "2"}',
]  # fmt: skip
TEXTS = [
    "%00", "a%00b", "%ED%A0%80", "%FF", "%F0%9F%98%80", "-1", "0", "9" * 5000, str(2**63 - 1), str(2**63),
    str(-(2**63)), "1e308", "1e999", "NaN", "inf", "-inf", "1_0", "%D9%A3", "%C2%B2", "2026-02-30", "x" * 20_000,
    "%25_%5C", "%20", "..",
]  # fmt: skip


def hostile(name: str, known: dict[str, Any]) -> Iterator[tuple[str, bytes | None]]:
    """(address, body) of calls of one operation: each member, parameter and id in turn is what it should not be."""
    method, route = name.split()
    described = operation(method, route)
    ids = [parameter["name"] for parameter in described["parameters"] if parameter["in"] == "path"]
    path = str(filled(route, known))
    if ids:
        yield from ((re.sub(r"{\w+}", text, route), None) for text in TEXTS)
    for parameter in described["parameters"]:
        if parameter["in"] == "query":
            yield from ((f"{path}?{parameter['name']}={text}", None) for text in TEXTS)
    if "requestBody" in described:
        yield from ((path, raw) for raw in RAW)
        members = described["requestBody"]["content"]["application/json"]["schema"]["properties"]
        good = filled(BODIES.get(name, {}), known)
        for member in members:
            yield from ((path, json.dumps({**good, member: value}).encode()) for value in HOSTILE)


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_a_hostile_call_is_answered_as_the_document_says(name: str, root: Caller) -> None:
    method, route = name.split()
    root.client.raise_request_exception = False
    for path, body in hostile(name, things(root, "http://127.0.0.1:9")):
        answer = root.client.generic(
            method, f"/api/{path}", body or b"", content_type="application/json", headers=root.headers
        )
        root.client.cookies.clear()
        check(method, route, answer)


SHOWING = ("status", "notice", "about", "home_page_content", "group", "option", "models", "user/available_models")


# One of the plain texts stands for all.
READ = ["SystemName", *(spec.key for spec in SPECS.values() if spec.kind != "str")]


@pytest.mark.parametrize("key", READ)
def test_a_hostile_option_is_refused_or_shown_like_any_other(key: str, root: Caller) -> None:
    """JSON within a text may escape half a character, which UTF-8 has no form for, and no answer could hold."""
    root.client.raise_request_exception = False
    for value in [each for each in HOSTILE if isinstance(each, str)]:
        stored = root.send("PUT", "option", {"key": key, "value": value})
        check("PUT", "option", stored)
        if stored.json()["success"]:
            for route in SHOWING:
                check("GET", route, root.send("GET", route))
