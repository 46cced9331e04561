"""Lark, in China Feishu (https://open.feishu.cn/document/authentication-management/access-token/get-user-access-token).

There is no switch: it is on where id and secret of the app are there (remedy S9).
"""

from __future__ import annotations

from django.conf import settings

from accounts.external.exchange import Party, access_token, ask, bearer
from accounts.external.identity import Identity, Method, Proof, subject_of, text_of
from accounts.external.redirects import callback
from accounts.refusals import NoIdentity
from options.registry import Options

LARK = Party("Lark", "无法连接至飞书服务器，请稍后重试！")


def identify(options: Options, proof: Proof) -> Identity:
    """Raises Unreachable, NoIdentity."""
    wanted = {
        "grant_type": "authorization_code",
        "client_id": options["LarkClientId"],
        "client_secret": options["LarkClientSecret"],
        "code": proof.code,
        "redirect_uri": callback(options, "lark"),
    }
    if proof.verifier:
        wanted["code_verifier"] = proof.verifier
    answer = ask(LARK, "POST", f"{settings.LARK_URL}/open-apis/authen/v2/oauth/token", document=wanted)
    token = access_token(answer)
    person = ask(LARK, "GET", f"{settings.LARK_PASSPORT_URL}/suite/passport/oauth/userinfo", headers=bearer(token))
    subject = subject_of(person.get("open_id"), "lark_id")
    if subject is None:
        raise NoIdentity
    return Identity(subject=subject, display_name=text_of(person.get("name")))


METHOD = Method(
    name="lark",
    column="lark_id",
    default_name="Lark User",
    enabled=lambda options: bool(options["LarkClientId"] and options["LarkClientSecret"]),
    identify=identify,
    off="管理员未开启通过飞书登录以及注册",
    taken="该飞书账户已被绑定",
)
