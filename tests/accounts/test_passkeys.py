"""Passkeys: who holds one is let in by it alone; anything about it that is not right lets nobody in."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from fido2 import cbor
from fido2.utils import websafe_encode

from accounts.models import User
from audit.services import SYSTEM
from options.services import set_option
from tests.accounts.keys import SecurityKey

SignIn = Callable[[User], Client]
SET_UP = "/setting/second-factor/passkey"


def options(client: Client, purpose: str) -> dict[str, Any]:
    answer = client.post("/login/passkey/options", {"purpose": purpose})
    assert answer.status_code == 200, answer.content
    return answer.json()  # type: ignore[no-any-return]


def set_up(client: Client, key: SecurityKey, name: str = "Blue key") -> Any:
    return client.post(SET_UP, {"name": name, "credential": key.create(options(client, "register"))})


def enter(client: Client, key: SecurityKey, **more: str) -> Any:
    return client.post("/login/passkey", {"credential": key.get(options(client, "sign_in")), **more})


def who(client: Client) -> str:
    answer = client.get("/api/user/self")
    return str(answer.json()["data"]["username"]) if answer.status_code == 200 else "nobody"


@pytest.fixture
def key(alice: User, signed_in: SignIn) -> SecurityKey:
    made = SecurityKey()
    assert "recovery codes" in set_up(signed_in(alice), made).content.decode().lower()
    return made


def test_a_passkey_signs_in_without_name_and_password(key: SecurityKey) -> None:
    client = Client()

    answer = enter(client, key, next="/setting/password")

    assert (answer["Location"], who(client)) == ("/setting/password", "alice")


def test_it_is_the_second_step_after_a_password(key: SecurityKey) -> None:
    client = Client()
    answer = client.post("/login", {"username": "alice", "password": "alice's password"})
    assert answer["Location"] == "/login/verify"

    client.post("/login/verify", {"credential": key.get(options(client, "second_step"))})

    assert who(client) == "alice"


def test_the_key_of_somebody_else_is_no_second_step(key: SecurityKey, bob: User, signed_in: SignIn) -> None:
    bobs = SecurityKey()
    set_up(signed_in(bob), bobs)
    client = Client()
    client.post("/login", {"username": "alice", "password": "alice's password"})

    answer = client.post("/login/verify", {"credential": bobs.get(options(client, "second_step"))})

    assert (answer.status_code, who(client)) == (422, "nobody")


def test_an_answer_is_good_once(key: SecurityKey) -> None:
    client = Client()
    given = key.get(options(client, "sign_in"))
    assert client.post("/login/passkey", {"credential": given}).status_code == 302

    assert client.post("/login/passkey", {"credential": given}).status_code == 422  # in this very session


def test_the_challenge_of_another_session_or_purpose_counts_nothing(key: SecurityKey) -> None:
    asked, other = options(Client(), "sign_in"), Client()
    options(other, "sign_in")
    assert other.post("/login/passkey", {"credential": key.get(asked)}).status_code == 422

    client = Client()
    client.post("/login", {"username": "alice", "password": "alice's password"})
    given = key.get(options(client, "second_step"))
    assert client.post("/login/passkey", {"credential": given}).status_code == 422
    assert who(client) == "nobody"


@pytest.mark.parametrize("origin", ["https://testserver", "http://testserver:81", "http://evil.testserver", "null"])
def test_an_answer_made_for_another_origin_is_refused(key: SecurityKey, origin: str) -> None:
    key.origin = origin
    client = Client()

    assert enter(client, key).status_code == 422
    assert who(client) == "nobody"


def test_a_key_that_does_not_verify_its_holder_is_refused(key: SecurityKey) -> None:
    key.verifies = False

    assert enter(Client(), key).status_code == 422


def test_a_signature_by_another_key_is_refused(key: SecurityKey) -> None:
    forged = SecurityKey(id=key.id, user=key.user)

    assert enter(Client(), forged).status_code == 422


def test_a_disabled_account_is_not_opened(key: SecurityKey, alice: User) -> None:
    User.objects.filter(pk=alice.pk).update(status=2)

    assert enter(Client(), key).status_code == 422


@pytest.mark.parametrize(
    "given", ["", "null", "[]", "{}", '{"id": 1}', '{"response": {"userHandle": "x"}}', "[" * 9_999, "x" * 99_999]
)
def test_nonsense_is_refused_and_breaks_nothing(key: SecurityKey, given: str) -> None:
    client = Client()
    options(client, "sign_in")

    assert client.post("/login/passkey", {"credential": given}).status_code == 422


PRESENT = hashlib.sha256(b"testserver").digest() + b"\x05\x00\x00\x00\x00"
EXTENDED, ATTESTED = PRESENT.replace(b"\x05", b"\x85"), PRESENT.replace(b"\x05", b"\x45") + bytes(18)
DEEP = b"\x81" * 20_000


@pytest.mark.parametrize("data", [EXTENDED, EXTENDED + DEEP, ATTESTED], ids=["nothing", "depths", "no key"])
def test_an_answer_of_broken_parts_signs_nobody_in(key: SecurityKey, data: bytes) -> None:
    client = Client()
    answer = json.loads(key.get(options(client, "sign_in")))
    answer["response"]["authenticatorData"] = websafe_encode(data)

    assert client.post("/login/passkey", {"credential": json.dumps(answer)}).status_code == 422


@pytest.mark.parametrize(
    "made",
    [b"", DEEP, cbor.encode({"fmt": "none", "attStmt": {}, "authData": PRESENT})],
    ids=["nothing", "depths", "no key"],
)
def test_a_key_of_broken_parts_is_not_taken(alice: User, signed_in: SignIn, made: bytes) -> None:
    client, key = signed_in(alice), SecurityKey()
    answer = json.loads(key.create(options(client, "register")))
    answer["response"]["attestationObject"] = websafe_encode(made)

    assert client.post(SET_UP, {"name": "Blue key", "credential": json.dumps(answer)}).status_code == 422


def test_a_key_of_an_unknown_kind_signs_nobody_in(alice: User, signed_in: SignIn) -> None:
    client, key = signed_in(alice), SecurityKey(id=b"")
    answer = json.loads(key.create(options(client, "register")))
    unknown = cbor.encode({"fmt": "none", "attStmt": {}, "authData": ATTESTED + cbor.encode({1: 2, 3: -999})})
    answer["response"]["attestationObject"] = websafe_encode(unknown)
    client.post(SET_UP, {"name": "Blue key", "credential": json.dumps(answer)})

    assert enter(Client(), key).status_code == 422


def test_the_configured_address_is_what_keys_are_bound_to(alice: User, signed_in: SignIn) -> None:
    set_option(SYSTEM, "ServerAddress", "https://gateway.example:8443/")
    made = SecurityKey(origin="https://gateway.example:8443")
    client = signed_in(alice)

    assert options(client, "register")["rp"]["id"] == "gateway.example"
    set_up(client, made)

    fresh = Client()
    assert enter(fresh, made)["Location"] == "/dashboard"
    assert who(fresh) == "alice"


def test_a_key_is_offered_only_to_people_who_are_signed_in(db: None) -> None:
    for purpose in ("register", "confirm", "second_step", "", "x"):
        assert Client().post("/login/passkey/options", {"purpose": purpose}).status_code == 400, purpose
    assert Client().post(SET_UP)["Location"].startswith("/login?next=")


def test_a_passkey_confirms_who_somebody_is(key: SecurityKey, monkeypatch: pytest.MonkeyPatch) -> None:
    client = Client()
    enter(client, key)
    session = client.session
    session["confirmed_at"] = 0
    session.save()
    assert client.get("/setting/second-factor").status_code == 302

    client.post("/confirm", {"credential": key.get(options(client, "confirm")), "next": "/setting/second-factor"})

    page = client.get("/setting/second-factor")
    assert (page.status_code, "Blue key" in page.content.decode()) == (200, True)
