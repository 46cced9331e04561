"""An OpenID provider's addresses: what the operator typed, else what its discovery document says.

https://openid.net/specs/openid-connect-discovery-1_0.html; the document is read by the server and kept for a while.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from accounts.external.exchange import Party, ask
from accounts.external.identity import text_of
from accounts.refusals import Unreachable
from options.registry import Options

OIDC = Party("OIDC", "无法连接至 OIDC 服务器，请稍后重试！")
KEPT = 600.0  # seconds

_documents: dict[str, tuple[float, dict[str, Any]]] = {}  # address → when it was read, what it said


@dataclass(frozen=True, slots=True)
class Issuer:
    """`name` and `keys` (the address of its public keys) are "" without a discovery document."""

    token: str
    userinfo: str
    name: str = ""
    keys: str = ""
    wants_basic: bool = False


def issuer(options: Options) -> Issuer:
    """Raises Unreachable where the document is wanted and cannot be had, or lacks an address nobody typed."""
    document = discovered(options["OidcWellKnown"]) if options["OidcWellKnown"] else {}
    token = options["OidcTokenEndpoint"] or text_of(document.get("token_endpoint"))
    userinfo = options["OidcUserinfoEndpoint"] or text_of(document.get("userinfo_endpoint"))
    name, keys = text_of(document.get("issuer")), text_of(document.get("jwks_uri"))
    if not token or not userinfo or (document and not (name and keys)):
        raise Unreachable(OIDC.unreachable)
    ways = document.get("token_endpoint_auth_methods_supported")
    basic = isinstance(ways, list) and "client_secret_post" not in ways and "client_secret_basic" in ways
    return Issuer(token, userinfo, name, keys, basic)


def authorization_address(options: Options) -> str:
    """Where browsers are sent: typed by the operator, else discovered. Raises Unreachable, NoIdentity."""
    address = options["OidcAuthorizationEndpoint"]
    if not address and options["OidcWellKnown"]:
        address = text_of(discovered(options["OidcWellKnown"]).get("authorization_endpoint"))
    if not address:
        raise Unreachable(OIDC.unreachable)
    return str(address)


def known_authorization_address(options: Options) -> str:
    """The same without asking anybody: "" where the discovery document was not read yet."""
    _read, document = _documents.get(options["OidcWellKnown"], (0.0, {}))
    return options["OidcAuthorizationEndpoint"] or text_of(document.get("authorization_endpoint"))


def discovered(address: str, *, fresh: bool = False) -> dict[str, Any]:
    """The JSON at `address`, also used for sets of keys. `fresh` reads it anew. Raises Unreachable, NoIdentity."""
    read, document = _documents.get(address, (0.0, {}))
    if fresh or not document or time.monotonic() - read > KEPT:
        document = ask(OIDC, "GET", address)
        if len(_documents) > 20:  # addresses the operator has tried since the process began
            _documents.clear()
        _documents[address] = (time.monotonic(), document)
    return document
