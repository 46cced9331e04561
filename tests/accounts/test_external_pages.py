"""Signing in elsewhere by the pages: out with state, PKCE and nonce, and back to where the exchange is made."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.test import Client

from accounts.external import github, linking
from accounts.external.identity import Identity
from accounts.factors import policy
from accounts.models import Role, User
from accounts.refusals import LastMethod
from audit.services import SYSTEM
from options.services import set_option
from tests.accounts.conftest import PEOPLE
from tests.accounts.providers import Provider

SignIn = Callable[[User], Client]
STARTED = ("github", "lark", "oidc")


@pytest.fixture(autouse=True)
def addresses(provider: Provider, settings: Any) -> None:
    settings.LARK_ACCOUNTS_URL = provider.url
    set_option(SYSTEM, "OidcAuthorizationEndpoint", f"{provider.url}/oidc/authorize")
    provider.gives_id_token = True


def out(client: Client, name: str, **fields: str) -> dict[str, str]:
    """What the browser takes to the provider."""
    answer = client.post(f"/oauth/{name}/start", fields)
    assert answer.status_code == 302, answer.content
    return {key: value[0] for key, value in parse_qs(urlsplit(answer["Location"]).query).items()}


def agree(provider: Provider, name: str, query: dict[str, str], **person: Any) -> str:
    """The code that the provider sends back for what it was asked with."""
    more = {"challenge": query["code_challenge"], "nonce": query.get("nonce", "")}
    return provider.code(name, {**PEOPLE[name][0], **person}, **more)


def journey(client: Client, provider: Provider, name: str, **fields: str) -> Any:
    query = out(client, name, **fields)
    return client.get(f"/oauth/{name}", {"code": agree(provider, name, query), "state": query["state"]})


def who(client: Client) -> str:
    answer = client.get("/api/user/self")
    return str(answer.json()["data"]["username"]) if answer.status_code == 200 else "nobody"


@pytest.mark.parametrize("name", STARTED)
def test_the_journey_ends_signed_in_where_one_wanted_to_go(provider: Provider, name: str) -> None:
    client = Client()

    answer = journey(client, provider, name, next="/setting")

    assert (answer.status_code, answer["Location"]) == (302, "/setting")
    column, subject = PEOPLE[name][1:]
    user = User.objects.get(**{column: subject})
    assert who(client) == user.username


@pytest.mark.parametrize("name", STARTED)
def test_each_provider_is_asked_with_state_and_pkce(provider: Provider, name: str) -> None:
    client = Client()
    query = out(client, name)

    assert (query["client_id"], query["code_challenge_method"], len(query["state"])) == ("the client", "S256", 12)
    client.get(f"/oauth/{name}", {"code": agree(provider, name, query), "state": query["state"]})

    (exchange,) = [asked for asked in provider.asked if b"code_verifier" in asked.body]
    verifier = provider_verifier(exchange.body)
    expected = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    assert expected == query["code_challenge"]


def provider_verifier(body: bytes) -> str:
    if body.startswith(b"{"):
        return str(json.loads(body)["code_verifier"])
    return parse_qs(body.decode())["code_verifier"][0]


def test_oidc_gets_a_nonce_and_another_one_is_refused(provider: Provider) -> None:
    client = Client()
    query = out(client, "oidc")
    assert (query["scope"], query["response_type"]) == ("openid profile email", "code")
    code = provider.code("oidc", PEOPLE["oidc"][0], challenge=query["code_challenge"], nonce="another")

    answer = client.get("/oauth/oidc", {"code": code, "state": query["state"]})

    assert (answer.status_code, who(client)) == (400, "nobody")


@pytest.mark.parametrize("state", ["", "x", "other session", "other provider", "used"])
def test_a_state_that_is_not_this_ones_is_403_and_asks_nobody(provider: Provider, state: str) -> None:
    client = Client()
    query = out(client, "github")
    code = agree(provider, "github", query)
    match state:
        case "other session":
            state = out(Client(), "github")["state"]
        case "other provider":
            state = out(client, "lark")["state"]
        case "used":
            client.get("/oauth/github", {"code": code, "state": query["state"]})
            client.get("/api/user/logout")
            provider.asked.clear()
            state = query["state"]

    answer = client.get("/oauth/github", {"code": code, "state": state})

    assert (answer.status_code, provider.asked, who(client)) == (403, [], "nobody")
    assert "Try again" in answer.content.decode()


def test_a_person_who_does_not_agree_is_told_and_offered_another_try(provider: Provider) -> None:
    client = Client()
    query = out(client, "github")

    answer = client.get("/oauth/github", {"error": "access_denied", "state": query["state"]})

    assert answer.status_code == 400
    assert "You did not agree there" in answer.content.decode()
    assert 'action="/oauth/github/start"' in answer.content.decode()
    assert provider.asked == []


def test_the_login_page_lets_its_forms_lead_to_the_providers_that_are_on(provider: Provider) -> None:
    answer = Client().get("/login")
    assert f"form-action 'self' {provider.url};" in answer["Content-Security-Policy"]
    page = answer.content.decode()
    assert [f"/oauth/{name}/start" in page for name in STARTED] == [True] * 3
    assert "/login/wechat" in page

    set_option(SYSTEM, "OidcEnabled", "false")
    assert "/oauth/oidc/start" not in Client().get("/login").content.decode()
    assert Client().post("/oauth/oidc/start").status_code == 400


def test_an_address_that_was_not_known_when_the_page_was_drawn_is_a_link(provider: Provider) -> None:
    set_option(SYSTEM, "OidcAuthorizationEndpoint", "")
    set_option(SYSTEM, "OidcWellKnown", f"{provider.url}/.well-known/openid-configuration")

    answer = Client().post("/oauth/oidc/start")

    assert answer.status_code == 200
    assert f'href="{provider.url}/oidc/authorize?' in answer.content.decode()


def test_nobody_leads_people_elsewhere_by_next(provider: Provider) -> None:
    assert journey(Client(), provider, "github", next="https://evil.example/")["Location"] == "/dashboard"


def test_binding_adds_the_identity_and_asks_who_it_is_first(provider: Provider, alice: User, signed_in: SignIn) -> None:
    client = signed_in(alice)
    session = client.session
    session["confirmed_at"] = 0
    session.save()
    late = client.post("/oauth/github/start", {"purpose": "bind"})
    assert late["Location"] == "/confirm?next=/setting"
    client.post("/confirm", {"password": "alice's password"})

    answer = journey(client, provider, "github", purpose="bind")

    assert answer["Location"] == "/setting"
    assert User.objects.get(pk=alice.pk).github_id == "583231"
    assert "Bound: 583231" in client.get("/setting").content.decode()  # D18


def test_an_identity_of_somebody_else_is_not_bound(
    provider: Provider, alice: User, bob: User, signed_in: SignIn
) -> None:
    linking.bind(bob.pk, github.METHOD, Identity("583231"), SYSTEM)

    answer = journey(signed_in(alice), provider, "github", purpose="bind")

    assert answer.status_code == 400
    assert "bound to another account" in answer.content.decode()


def test_binding_without_a_session_makes_no_account(provider: Provider, alice: User, signed_in: SignIn) -> None:
    client = signed_in(alice)
    query = out(client, "github", purpose="bind")
    code = agree(provider, "github", query)
    del client.cookies["sessionid" if "sessionid" in client.cookies else "session"]

    assert client.get("/oauth/github", {"code": code, "state": query["state"]}).status_code == 403
    assert User.objects.count() == 1


def test_unbinding_leaves_the_last_way_in(provider: Provider, alice: User, signed_in: SignIn) -> None:
    linking.bind(alice.pk, github.METHOD, Identity("583231"), SYSTEM)
    client = signed_in(alice)

    assert client.post("/setting/identities/github/unbind")["Location"] == "/setting"
    assert User.objects.get(pk=alice.pk).github_id is None

    linking.bind(alice.pk, github.METHOD, Identity("583231"), SYSTEM)
    User.objects.filter(pk=alice.pk).update(password="!")
    with pytest.raises(LastMethod):
        linking.unbind(alice, github.METHOD, SYSTEM)
    assert User.objects.get(pk=alice.pk).github_id == "583231"


def test_a_password_nobody_may_use_is_no_way_in(provider: Provider, alice: User) -> None:
    linking.bind(alice.pk, github.METHOD, Identity("583231"), SYSTEM)
    set_option(SYSTEM, "PasswordLoginEnabled", "false")

    with pytest.raises(LastMethod):
        linking.unbind(alice, github.METHOD, SYSTEM)


@pytest.mark.parametrize("known", [True, False])
def test_a_journey_to_confirm_counts_for_the_bound_identity_only(provider: Provider, bob: User, known: bool) -> None:
    if known:
        linking.bind(bob.pk, github.METHOD, Identity("999"), SYSTEM)
    client = Client()
    journey(client, provider, "github")
    session = client.session
    session["confirmed_at"] = 0
    session.save()
    assert client.get("/setting/second-factor")["Location"].startswith("/confirm")
    assert 'action="/oauth/github/start"' in client.get("/confirm").content.decode()

    query = out(client, "github", purpose="confirm", next="/setting/second-factor")
    other = agree(provider, "github", query, id=999)
    assert client.get("/oauth/github", {"code": other, "state": query["state"]}).status_code == 400
    assert client.get("/setting/second-factor").status_code == 302

    answer = journey(client, provider, "github", purpose="confirm", next="/setting/second-factor")
    assert answer["Location"] == "/setting/second-factor"
    assert client.get("/setting/second-factor").status_code == 200


def test_who_owes_a_second_factor_confirms_elsewhere_and_can_do_nothing_else_there(
    provider: Provider, bob: User, signed_in: SignIn
) -> None:
    linking.bind(bob.pk, github.METHOD, Identity("583231"), SYSTEM)
    User.objects.filter(pk=bob.pk).update(role=Role.ADMIN)
    client = signed_in(bob)
    begun = {purpose: out(client, "lark", purpose=purpose) for purpose in ("bind", "sign_in")}
    begun["by the api"] = {"state": str(client.get("/api/oauth/state").json()["data"]), "code_challenge": ""}
    set_option(SYSTEM, "AdminMfaRequired", "true")
    session = client.session
    session["confirmed_at"] = 0
    session.save()
    assert client.get("/setting/second-factor")["Location"].startswith("/confirm")

    answer = journey(client, provider, "github", purpose="confirm", next="/setting/second-factor")

    assert answer["Location"] == "/setting/second-factor"
    assert client.get("/setting/second-factor").status_code == 200
    for purpose in ("bind", "sign_in", ""):
        assert client.post("/oauth/lark/start", {"purpose": purpose})["Location"] == "/setting/second-factor"
    for query in begun.values():
        back = client.get("/oauth/lark", {"code": agree(provider, "lark", query), "state": query["state"]})
        assert (back.status_code, back["Location"]) == (302, "/setting/second-factor")
    assert list(User.objects.values_list("lark_id", flat=True)) == [None]
    assert policy.owes_factor(User.objects.get())
    assert client.get("/token")["Location"] == "/setting/second-factor"


def test_wechat_signs_in_by_a_code_and_shows_the_picture(provider: Provider) -> None:
    set_option(SYSTEM, "WeChatAccountQRCodeImageURL", "https://pictures.example/qr.png")
    client = Client()
    page = client.get("/login/wechat")
    assert "img-src 'self' data: https://pictures.example" in page["Content-Security-Policy"]

    wrong = client.post("/login/wechat", {"code": "nothis"})
    assert (wrong.status_code, who(client)) == (422, "nobody")
    code = provider.code("wechat", PEOPLE["wechat"][0])
    assert client.post("/login/wechat", {"code": code, "next": "/setting"})["Location"] == "/setting"

    assert User.objects.get().wechat_id == "wx-1"


def test_wechat_is_bound_from_the_settings(provider: Provider, alice: User, signed_in: SignIn) -> None:
    client = signed_in(alice)

    answer = client.post("/setting/wechat", {"code": provider.code("wechat", PEOPLE["wechat"][0])})

    assert answer["Location"] == "/setting"
    assert User.objects.get(pk=alice.pk).wechat_id == "wx-1"


def test_another_site_cannot_sign_people_in_by_its_own_code(provider: Provider) -> None:
    client = Client(enforce_csrf_checks=True)

    answer = client.post("/login/wechat", {"code": provider.code("wechat", PEOPLE["wechat"][0])})

    assert (answer.status_code, who(client)) == (403, "nobody")


def test_what_is_switched_off_is_not_there(db: None, provider: Provider) -> None:
    set_option(SYSTEM, "WeChatAuthEnabled", "false")

    assert Client().get("/login/wechat").status_code == 404
    assert Client().get("/oauth/nobody").status_code == 404
    assert Client().post("/oauth/wechat/start").status_code == 404
