"""OpenID Connect (https://openid.net/specs/openid-connect-core-1_0.html), authorization code flow (remedy S11)."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote_plus

from accounts.external.exchange import access_token, ask, bearer
from accounts.external.id_token import claims_of
from accounts.external.identity import Identity, Method, Proof, subject_of, text_of
from accounts.external.issuer import OIDC, Issuer, issuer
from accounts.external.redirects import callback
from accounts.refusals import NoIdentity
from options.registry import Options


def identify(options: Options, proof: Proof) -> Identity:
    """Who the userinfo endpoint says it is, and the ID token too where one came. Raises Unreachable, NoIdentity."""
    at = issuer(options)
    answer = _exchange(options, proof, at)
    person = ask(OIDC, "GET", at.userinfo, headers=bearer(access_token(answer)))
    subject = subject_of(person.get("sub"), "oidc_id")
    if subject is None:
        raise NoIdentity
    if "id_token" in answer or proof.nonce:
        claims = claims_of(answer.get("id_token"), at, options["OidcClientId"], proof.nonce)
        if claims["sub"] != subject:  # Core 5.3.2: else the userinfo must not be used
            raise NoIdentity
    return Identity(
        subject=subject,
        username=text_of(person.get("preferred_username")),
        display_name=text_of(person.get("name")),
        email=text_of(person.get("email")) if person.get("email_verified") is True else "",
    )


def _exchange(options: Options, proof: Proof, at: Issuer) -> dict[str, Any]:
    """The token endpoint's answer to the code, asked with a form (RFC 6749, 4.1.3)."""
    form = {
        "grant_type": "authorization_code",
        "code": proof.code,
        "redirect_uri": callback(options, "oidc"),
    }
    if proof.verifier:
        form["code_verifier"] = proof.verifier
    client, secret = options["OidcClientId"], options["OidcClientSecret"]
    if at.wants_basic:  # RFC 6749, 2.3.1: both encoded first
        return ask(OIDC, "POST", at.token, form=form, auth=(quote_plus(client), quote_plus(secret)))
    return ask(OIDC, "POST", at.token, form={**form, "client_id": client, "client_secret": secret})


METHOD = Method(
    name="oidc",
    column="oidc_id",
    default_name="OIDC User",
    enabled=lambda options: bool(
        options["OidcEnabled"]
        and options["OidcClientId"]
        and options["OidcClientSecret"]
        and (options["OidcWellKnown"] or (options["OidcTokenEndpoint"] and options["OidcUserinfoEndpoint"]))
    ),
    identify=identify,
    off="管理员未开启通过 OIDC 登录以及注册",
    taken="该 OIDC 账户已被绑定",
)
