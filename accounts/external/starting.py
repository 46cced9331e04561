"""Where our own server sends a browser to sign in elsewhere: with state, PKCE (S256) and, for OIDC, a nonce."""

from __future__ import annotations

from urllib.parse import urlencode, urlsplit

from django.conf import settings

from accounts.external.issuer import authorization_address, known_authorization_address
from accounts.external.redirects import callback
from accounts.external.states import Start
from options.registry import Options


def address(name: str, options: Options, start: Start) -> str:
    """Of "github", "lark" or "oidc". Raises Unreachable, NoIdentity where the OIDC provider does not tell its own."""
    query = {"state": start.state, "code_challenge": start.challenge, "code_challenge_method": "S256"}
    match name:
        case "github":
            query |= {"client_id": options["GitHubClientId"], "scope": "user:email"}
            return f"{settings.GITHUB_URL}/login/oauth/authorize?{urlencode(query)}"
        case "lark":
            query |= {"client_id": options["LarkClientId"], "redirect_uri": callback(options, "lark")}
            query |= {"response_type": "code"}
            return f"{settings.LARK_ACCOUNTS_URL}/open-apis/authen/v1/authorize?{urlencode(query)}"
        case _:
            query |= {"client_id": options["OidcClientId"], "redirect_uri": callback(options, "oidc")}
            query |= {"response_type": "code", "scope": "openid profile email", "nonce": start.nonce}
            base = authorization_address(options)
            return f"{base}{'&' if urlsplit(base).query else '?'}{urlencode(query)}"


def form_target(name: str, options: Options) -> str:
    """The address whose origin a page must allow its forms to lead to, without asking anybody; "" is not known yet."""
    match name:
        case "github":
            return settings.GITHUB_URL
        case "lark":
            return settings.LARK_ACCOUNTS_URL
        case _:
            return known_authorization_address(options)
