"""A server on loopback that is GitHub, Lark, an OpenID provider and WeChat Server at once, each in its own protocol.

It hands out codes for people, takes each code once, and checks what the protocol says the client must send.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, parse_qsl, unquote_plus, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import ec

HOME = "https://gateway.example"
REDIRECTS = {"lark": "/oauth/lark", "oidc": "/oauth/oidc"}  # GitHub is not told
AUTHORIZE = {"/login/oauth/authorize": "github", "/open-apis/authen/v1/authorize": "lark", "/oidc/authorize": "oidc"}
TOKEN_PATHS = {
    "/login/oauth/access_token": "github",
    "/open-apis/authen/v2/oauth/token": "lark",
    "/oidc/token": "oidc",
}
PERSON_PATHS = {"/user": "github", "/suite/passport/oauth/userinfo": "lark", "/oidc/userinfo": "oidc"}


@dataclass
class Asked:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Grant:
    provider: str
    person: dict[str, Any]
    challenge: str = ""
    nonce: str = ""


@dataclass
class Provider:
    """`instead` maps a path to a function that answers in place of the protocol."""

    url: str = ""
    home: str = HOME  # of the gateway
    people: dict[str, dict[str, Any]] = field(default_factory=dict)  # provider → who sits before the browser
    asked: list[Asked] = field(default_factory=list)
    codes: dict[str, Grant] = field(default_factory=dict)
    tokens: dict[str, Grant] = field(default_factory=dict)
    instead: dict[str, Callable[[Any], None]] = field(default_factory=dict)
    key: Any = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    key_id: str = "k1"
    gives_id_token: bool = False
    basic_only: bool = False
    claims: dict[str, Any] = field(default_factory=dict)  # in place of the right ones
    signed_with: Any = None  # in place of the right key

    def code(self, provider: str, person: dict[str, Any], **more: str) -> str:
        """What the browser of somebody who has just agreed there brings back."""
        code = secrets.token_hex(8)
        self.codes[code] = Grant(provider, person, **more)
        return code

    def paths(self) -> list[str]:
        return [urlsplit(asked.path).path for asked in self.asked]

    def authorize(self, provider: str, query: dict[str, str]) -> str:
        """The page on which a person agrees: a link back, as the protocol says, to an address that was registered."""
        back = f"{self.home}/oauth/{provider}"
        assert query["client_id"] == "the client"
        assert query.get("redirect_uri", back) == back
        assert query["code_challenge_method"] == "S256"
        assert (len(query["state"]), len(query["code_challenge"])) == (12, 43)
        if provider == "oidc":
            assert (query["response_type"], query["scope"]) == ("code", "openid profile email")
            assert len(query["nonce"]) >= 32
        code = self.code(
            provider, self.people[provider], challenge=query["code_challenge"], nonce=query.get("nonce", "")
        )
        return f"{back}?{urlencode({'code': code, 'state': query['state']})}"

    def answer(self, handler: Any) -> tuple[int, Any]:
        asked = self.asked[-1]
        parts = urlsplit(asked.path)
        if parts.path in TOKEN_PATHS:
            return self._token(TOKEN_PATHS[parts.path], asked)
        if parts.path in PERSON_PATHS:
            grant = self.tokens.get(asked.headers.get("Authorization", "").removeprefix("Bearer "))
            if grant is None or grant.provider != PERSON_PATHS[parts.path]:
                return 401, {"message": "Bad credentials"}
            return 200, grant.person
        if parts.path == "/.well-known/openid-configuration":
            return 200, self.document()
        if parts.path == "/oidc/keys":
            public = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(self.key.public_key()))
            return 200, {"keys": [{**public, "kid": self.key_id, "use": "sig", "alg": "ES256"}]}
        if parts.path == "/api/wechat/user":
            return 200, self._wechat(asked, parse_qs(parts.query))
        return 404, {"message": "Not Found"}

    def document(self) -> dict[str, Any]:
        return {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/oidc/authorize",
            "token_endpoint": f"{self.url}/oidc/token",
            "userinfo_endpoint": f"{self.url}/oidc/userinfo",
            "jwks_uri": f"{self.url}/oidc/keys",
            "token_endpoint_auth_methods_supported": [
                "client_secret_basic" if self.basic_only else "client_secret_post"
            ],
        }

    def _token(self, provider: str, asked: Asked) -> tuple[int, Any]:
        kind = asked.headers.get("Content-Type", "")
        sent = json.loads(asked.body) if provider != "oidc" else dict(parse_qsl(asked.body.decode()))
        assert kind == ("application/x-www-form-urlencoded" if provider == "oidc" else "application/json"), kind
        who = (sent.get("client_id"), sent.get("client_secret"))
        if self.basic_only and provider == "oidc":
            given = base64.b64decode(asked.headers.get("Authorization", "").removeprefix("Basic ")).decode()
            who = (unquote_plus(given.partition(":")[0]), unquote_plus(given.partition(":")[2]))
        grant = self.codes.pop(sent.get("code", ""), None)
        wrong = (
            grant is None
            or grant.provider != provider
            or who != ("the client", "the secret")
            or sent.get("redirect_uri") != (self.home + REDIRECTS[provider] if provider in REDIRECTS else None)
            or (provider != "github" and sent.get("grant_type") != "authorization_code")
            or (grant.challenge and _challenge(sent.get("code_verifier", "")) != grant.challenge)
        )
        if wrong or grant is None:
            error = {"error": "invalid_grant", "error_description": "no such code"}
            return (200 if provider == "github" else 400), error
        token = secrets.token_hex(8)
        self.tokens[token] = grant
        answer = {"access_token": token, "token_type": "bearer"}
        if provider == "oidc" and self.gives_id_token:
            answer["id_token"] = self._id_token(grant)
        return 200, answer

    def _id_token(self, grant: Grant) -> str:
        now = int(time.time())
        claims = {"iss": self.url, "aud": "the client", "sub": grant.person.get("sub"), "iat": now, "exp": now + 60}
        if grant.nonce:
            claims["nonce"] = grant.nonce
        claims = {name: value for name, value in {**claims, **self.claims}.items() if value is not None}
        return jwt.encode(claims, self.signed_with or self.key, algorithm="ES256", headers={"kid": self.key_id})

    def _wechat(self, asked: Asked, query: dict[str, list[str]]) -> dict[str, Any]:
        if asked.headers.get("Authorization") != "the wechat token":
            return {"success": False, "message": "无权进行此操作"}
        grant = self.codes.pop(query["code"][0], None)
        if grant is None or list(query) != ["code"]:
            return {"success": False, "message": "验证码不存在"}
        return {"success": True, "message": "", "data": grant.person["id"]}


def _challenge(verifier: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


@contextmanager
def providing(context: Any = None) -> Iterator[Provider]:
    """`context`: speak TLS with this."""
    provider = Provider()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            provider.asked.append(Asked(self.command, self.path, dict(self.headers), body))
            if special := provider.instead.get(urlsplit(self.path).path):
                special(self)
                return
            parts = urlsplit(self.path)
            if parts.path in AUTHORIZE:
                link = provider.authorize(AUTHORIZE[parts.path], dict(parse_qsl(parts.query)))
                page = f"<!DOCTYPE html><title>Provider</title><a id='agree' href='{escape(link)}'>Agree</a>"
                say(self, 200, page.encode(), Content_Type="text/html")
                return
            status, answer = provider.answer(self)
            say(self, status, json.dumps(answer).encode())

        do_POST = do_GET  # noqa: N815

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    provider.url = f"{'https' if context else 'http'}://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        server.server_close()


def say(handler: Any, status: int, body: bytes, **headers: str) -> None:
    handler.send_response(status)
    for name, value in {"Content-Type": "application/json", **headers}.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)
