"""GitHub (https://docs.github.com/apps/oauth-apps/building-oauth-apps/authorizing-oauth-apps).

The identity is the number of the account, which stays; a login can be given up and taken by somebody else (remedy
S10). The reference stored logins: who comes with one is recognised by it once, see `linking`.
"""

from __future__ import annotations

from django.conf import settings

from accounts.external.exchange import Party, access_token, ask, bearer
from accounts.external.identity import Identity, Method, Proof, text_of
from accounts.refusals import NoIdentity
from options.registry import Options

GITHUB = Party("GitHub", "无法连接至 GitHub 服务器，请稍后重试！")


def identify(options: Options, proof: Proof) -> Identity:
    """Raises Unreachable, NoIdentity."""
    wanted = {
        "client_id": options["GitHubClientId"],
        "client_secret": options["GitHubClientSecret"],
        "code": proof.code,
    }
    if proof.verifier:
        wanted["code_verifier"] = proof.verifier
    answer = ask(GITHUB, "POST", f"{settings.GITHUB_URL}/login/oauth/access_token", document=wanted)
    token = access_token(answer)
    person = ask(GITHUB, "GET", f"{settings.GITHUB_API_URL}/user", headers=bearer(token))
    number = person.get("id")
    if type(number) is not int or number <= 0:
        raise NoIdentity
    login = text_of(person.get("login"))
    return Identity(
        subject=str(number),
        display_name=text_of(person.get("name")),
        former=former(login),
    )


def former(login: str) -> tuple[str, ...]:
    """What the importer may have stored of this login. One of digits alone would pass for a number, so it is marked."""
    if not login:
        return ()
    return (marked(login),)


def marked(login: str) -> str:
    return f"login:{login}" if login.isdecimal() else login


METHOD = Method(
    name="github",
    column="github_id",
    default_name="GitHub User",
    enabled=lambda options: bool(
        options["GitHubOAuthEnabled"] and options["GitHubClientId"] and options["GitHubClientSecret"]
    ),
    identify=identify,
    off="管理员未开启通过 GitHub 登录以及注册",
    taken="该 GitHub 账户已被绑定",
)
