"""Reading an ID token (OpenID Connect Core 3.1.3.7). It came straight from the token endpoint, never by a browser."""

from __future__ import annotations

from typing import Any

import jwt
from django.utils.crypto import constant_time_compare

from accounts.external.issuer import Issuer, discovered
from accounts.refusals import NoIdentity

ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
REQUIRED = ["sub", "aud", "exp", "iat", "iss"]
CLOCKS_APART = 60  # seconds


def claims_of(token: Any, at: Issuer, client: str, nonce: str) -> dict[str, Any]:
    """The claims of a token that is meant for us and still good; with `nonce`, for this very sign-in.

    Where the discovery document is known, issuer and signature are checked too; without one there are no keys, and
    TLS to the token endpoint stands for the signature, as 3.1.3.7 (6) allows. Raises NoIdentity, Unreachable.
    """
    if not isinstance(token, str):
        raise NoIdentity
    try:
        if at.keys:
            claims = jwt.decode(
                token,
                _key(token, at.keys),
                algorithms=ALGORITHMS,
                audience=client,
                issuer=at.name,
                leeway=CLOCKS_APART,
                options={"require": REQUIRED},
            )
        else:
            claims = jwt.decode(
                token,
                audience=client,
                leeway=CLOCKS_APART,
                options={"require": REQUIRED, "verify_signature": False, "verify_aud": True, "verify_exp": True},
            )
    except (jwt.PyJWTError, ValueError, RecursionError):
        raise NoIdentity from None
    if claims.get("azp", client) != client:
        raise NoIdentity
    if nonce and not constant_time_compare(str(claims.get("nonce", "")), nonce):
        raise NoIdentity
    return claims


def _key(token: str, address: str) -> jwt.PyJWK:
    """The key that signed; the set is read anew where it does not have it, since issuers change keys."""
    wanted = jwt.get_unverified_header(token).get("kid")
    for fresh in (False, True):
        for key in jwt.PyJWKSet.from_dict(discovered(address, fresh=fresh)).keys:
            if key.public_key_use in (None, "sig") and (wanted is None or key.key_id == wanted):
                return key
    raise jwt.InvalidTokenError("no key of the issuer has signed this")
