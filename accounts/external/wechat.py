"""WeChat through WeChat Server (https://github.com/songquanpeng/wechat-server), as a backend class of social-auth.

A person sends a word to the operator's WeChat account and gets a code; the server tells once who got it. That is no
OAuth: there is neither a redirect nor a state.
"""

from __future__ import annotations

from typing import Any

from social_core.backends.base import BaseAuth
from social_core.strategy import BaseStrategy

from accounts.external.exchange import Party, ask
from accounts.external.identity import Identity, Method, Proof, subject_of, text_of
from accounts.refusals import NoIdentity, Unreachable, WrongCode
from options.registry import Options

WECHAT_SERVER = Party("WeChat Server", "无法连接至微信服务器，请稍后重试！")
MOST_WORDS = 200  # characters of the server's own message that are passed on


class OptionsStrategy(BaseStrategy[Any]):
    """The backend's settings are our run-time options; the only thing it is sent is the code."""

    def __init__(self, options: Options, code: str) -> None:
        super().__init__()
        self._options, self._code = options, code

    def get_setting(self, name: str) -> Any:
        return self._options[name]

    def request_data(self, merge: bool = True) -> dict[str, Any]:
        return {"code": self._code}

    def absolute_uri(self, path: str | None = None) -> str:
        return path or ""


class WeChatServer(BaseAuth[Any]):
    name = "wechat"
    ID_KEY = "data"

    def auth_complete(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """The server's answer. Asked with our own bounded exchange; the base's bounds no size. Raises as `identify`."""
        answer = ask(
            WECHAT_SERVER,
            "GET",
            f"{self.strategy.get_setting('WeChatServerAddress').rstrip('/')}/api/wechat/user",
            headers={"Authorization": self.strategy.get_setting("WeChatServerToken")},
            params={"code": self.data["code"]},
        )
        if answer.get("success") is not True:
            raise WrongCode(text_of(answer.get("message"))[:MOST_WORDS])
        return answer


def identify(options: Options, proof: Proof) -> Identity:
    """Raises Unreachable; WrongCode with the server's own words, or the contract's where it has none."""
    backend = WeChatServer(OptionsStrategy(options, proof.code))
    try:
        answer = backend.auth_complete()
    except NoIdentity:
        raise WrongCode from None
    subject = subject_of(backend.get_user_id({}, answer), "wechat_id")  # type: ignore[no-untyped-call]
    if subject is None:
        raise WrongCode
    return Identity(subject=subject)


METHOD = Method(
    name="wechat",
    column="wechat_id",
    default_name="WeChat User",
    enabled=lambda options: bool(options["WeChatAuthEnabled"] and options["WeChatServerAddress"]),
    identify=identify,
    off="管理员未开启通过微信登录以及注册",
    taken="该微信账号已被绑定",
)


def reach(options: Options) -> None:
    """Ask WeChat Server about a code nobody got. Raises Unreachable where no server of that kind answers, NoIdentity
    where it does not know our token."""
    address = f"{options['WeChatServerAddress'].rstrip('/')}/api/wechat/user"
    headers = {"Authorization": options["WeChatServerToken"]}
    answer = ask(WECHAT_SERVER, "GET", address, headers=headers, params={"code": "on-trial"})
    if "success" not in answer:
        raise Unreachable(WECHAT_SERVER.unreachable)
