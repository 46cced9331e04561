"""OpenID Connect beyond the plain code: discovery by the server, ID tokens, nonce, PKCE (S11)."""

from __future__ import annotations

import base64
import hashlib
import json
import time
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from django.contrib.sessions.backends.db import SessionStore
from django.test import Client

from accounts.external import methods, states
from accounts.external.identity import Proof
from accounts.models import User
from accounts.refusals import NoIdentity
from audit.services import SYSTEM
from options.services import set_option
from tests.accounts.conftest import go
from tests.accounts.providers import Provider, say

NO_IDENTITY = {"success": False, "message": "返回值非法，用户字段为空，请稍后重试！"}
UNREACHABLE = {"success": False, "message": "无法连接至 OIDC 服务器，请稍后重试！"}
PERSON = {"sub": "s-1", "preferred_username": "mona"}


@pytest.fixture
def discovering(provider: Provider) -> Provider:
    """Only the address of the discovery document is typed; ID tokens come along."""
    provider.gives_id_token = True
    set_option(SYSTEM, "OidcTokenEndpoint", "")
    set_option(SYSTEM, "OidcUserinfoEndpoint", "")
    set_option(SYSTEM, "OidcWellKnown", f"{provider.url}/.well-known/openid-configuration")
    return provider


def test_the_server_reads_the_discovery_document_and_keeps_it(discovering: Provider) -> None:
    assert go(Client(), discovering, "oidc")["data"]["username"] == "mona"
    assert go(Client(), discovering, "oidc")["success"]

    first, second = discovering.paths()[:4], discovering.paths()[4:]
    assert first == ["/.well-known/openid-configuration", "/oidc/token", "/oidc/userinfo", "/oidc/keys"]
    assert second == ["/oidc/token", "/oidc/userinfo"]


def test_a_document_that_cannot_be_had_or_lacks_what_is_needed_stops_the_sign_in(discovering: Provider) -> None:
    path = "/.well-known/openid-configuration"
    for status, body in ((500, b"{}"), (200, b"<html>"), (200, b"{}"), (200, b'{"token_endpoint": 5}')):
        discovering.instead[path] = lambda handler, status=status, body=body: say(handler, status, body)  # type: ignore[misc]
        assert go(Client(), discovering, "oidc") == UNREACHABLE
    assert set(discovering.paths()) == {path}


def test_a_client_that_may_only_use_basic_authentication_does(discovering: Provider) -> None:
    discovering.basic_only = True

    answer = go(Client(), discovering, "oidc")

    sent = next(asked for asked in discovering.asked if asked.path == "/oidc/token")
    given = base64.b64decode(sent.headers["Authorization"].removeprefix("Basic ")).decode()
    assert given == "the+client:the+secret"
    assert b"client_secret" not in sent.body
    assert answer["success"]


AN_HOUR_AGO, IN_AN_HOUR = timedelta(hours=-1), timedelta(hours=1)  # from when the test runs, not from its collection


def repr_of(claims: dict[str, Any]) -> str:
    return str(claims).replace(repr(AN_HOUR_AGO), "an hour ago").replace(repr(IN_AN_HOUR), "in an hour")


def from_now(claims: dict[str, Any]) -> dict[str, Any]:
    """With moments where there were spans of time."""
    now = int(time.time())
    return {name: now + int(one.total_seconds()) if isinstance(one, timedelta) else one for name, one in claims.items()}


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "another client"},
        {"aud": ["the client", "another"], "azp": "another"},
        {"iss": "https://another.example"},
        {"exp": AN_HOUR_AGO},
        {"iat": IN_AN_HOUR},
        {"sub": "s-2"},
        {"sub": ""},
        {"exp": None},
        {"aud": None},
        {"iss": None},
        {"sub": None},
    ],
    ids=repr_of,
)
def test_an_id_token_that_is_not_for_us_now_and_this_person_is_refused(
    discovering: Provider, claims: dict[str, Any]
) -> None:
    discovering.claims = from_now(claims)

    assert go(Client(), discovering, "oidc") == NO_IDENTITY
    assert User.objects.count() == 0


@pytest.mark.parametrize("claims", [{"aud": "another client"}, {"exp": AN_HOUR_AGO}, {"sub": "s-2"}], ids=repr_of)
def test_without_a_discovery_document_the_claims_count_all_the_same(provider: Provider, claims: dict[str, Any]) -> None:
    provider.gives_id_token = True
    assert go(Client(), provider, "oidc")["success"]

    provider.claims = from_now(claims)
    assert go(Client(), provider, "oidc") == NO_IDENTITY


def test_an_id_token_signed_by_somebody_else_is_refused(discovering: Provider) -> None:
    discovering.signed_with = ec.generate_private_key(ec.SECP256R1())

    assert go(Client(), discovering, "oidc") == NO_IDENTITY


def test_a_new_key_of_the_issuer_is_fetched(discovering: Provider) -> None:
    assert go(Client(), discovering, "oidc")["success"]
    discovering.key, discovering.key_id = ec.generate_private_key(ec.SECP256R1()), "k2"

    assert go(Client(), discovering, "oidc")["success"]


@pytest.mark.parametrize("token", ["", "a.b.c", "x" * 1000, 5, None, {}, "eyJhbGciOiJub25lIn0.e30."], ids=str)
def test_what_is_no_id_token_is_refused(discovering: Provider, token: Any) -> None:
    def answer(handler: Any) -> None:
        (discovering.tokens["t"],) = discovering.codes.values()
        say(handler, 200, json.dumps({"access_token": "t", "id_token": token}).encode())

    discovering.instead["/oidc/token"] = answer

    assert go(Client(), discovering, "oidc") == NO_IDENTITY


# ---------------------------------------------------------------- journeys our own server starts


def started(db_session: SessionStore) -> tuple[states.Start, states.Expected]:
    start = states.begin(db_session, "oidc", ours=True)
    return start, states.spend(db_session, "oidc", start.state)


def test_a_journey_we_start_carries_pkce_and_a_nonce(discovering: Provider) -> None:
    start, expected = started(SessionStore())
    digest = hashlib.sha256(expected.verifier.encode()).digest()
    assert start.challenge == base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    assert (start.nonce, 43 <= len(expected.verifier) <= 128) == (expected.nonce, True)

    code = discovering.code("oidc", PERSON, challenge=start.challenge, nonce=start.nonce)
    identity = methods.identify(methods.METHODS["oidc"], Proof(code, expected.verifier, expected.nonce))
    assert identity.subject == "s-1"


def test_a_code_caught_on_its_way_is_of_no_use_in_another_journey(discovering: Provider) -> None:
    victim, _ = started(SessionStore())
    _, expected = started(SessionStore())
    oidc = methods.METHODS["oidc"]

    code = discovering.code("oidc", PERSON, challenge=victim.challenge, nonce=victim.nonce)
    with pytest.raises(NoIdentity):  # PKCE
        methods.identify(oidc, Proof(code, expected.verifier, expected.nonce))
    code = discovering.code("oidc", PERSON, nonce=victim.nonce)
    with pytest.raises(NoIdentity):  # the nonce
        methods.identify(oidc, Proof(code, "", expected.nonce))
    discovering.gives_id_token = False
    with pytest.raises(NoIdentity):  # a nonce that nothing answers to
        methods.identify(oidc, Proof(discovering.code("oidc", PERSON), "", expected.nonce))


@pytest.mark.parametrize("name", ["github", "lark"])
def test_github_and_lark_get_the_verifier_too(provider: Provider, name: str) -> None:
    start = states.begin(session := SessionStore(), name, ours=True)
    expected = states.spend(session, name, start.state)
    person = {"id": 5, "login": "o", "open_id": "ou_5"}

    def identify(verifier: str) -> str:
        code = provider.code(name, person, challenge=start.challenge)
        return methods.identify(methods.METHODS[name], Proof(code, verifier)).subject

    assert identify(expected.verifier) in ("5", "ou_5")
    with pytest.raises(NoIdentity):
        identify("")
