"""Every run-time option: its type, its default, and what a value must be before it is stored.

Values are text in the database and over the API, whatever their type (management-api contract, section 4).
`Options` is the parsed, immutable form the rest of the program reads.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

from django.utils.translation import gettext as _

MAX_QUOTA = 10**15  # points; the bound of every quota that a person can type (relay reference, 13.1 row 50)
MOST_DECIMALS = 400  # of a ratio: no double has more. Written out digit by digit, 1e-999999999 would fill the memory
THEMES = ("default", "berry", "air")
EMAIL_DOMAINS = (
    "gmail.com,163.com,126.com,qq.com,outlook.com,hotmail.com,icloud.com,yahoo.com,foxmail.com"  # the contract's list
)


class BadOption(ValueError):
    """The value cannot be stored; the message is shown to the operator as it is."""


Check = Callable[[str], None]


def _integer(low: int, high: int) -> Check:
    def check(value: str) -> None:
        try:
            number = int(value)
        except ValueError:
            raise BadOption(_("not a whole number: %r") % value) from None
        if not low <= number <= high:
            raise BadOption(_("must be between %(low)s and %(high)s") % {"low": low, "high": high})

    return check


def _number(low: float, high: float) -> Check:
    def check(value: str) -> None:
        try:
            number = float(value)
            Decimal(value)  # what it is read as, whose exponents end where a float is 0 all the same
        except (ValueError, InvalidOperation):
            raise BadOption(_("not a number: %r") % value) from None
        if not (math.isfinite(number) and low <= number <= high):
            raise BadOption(_("must be between %(low)s and %(high)s") % {"low": low, "high": high})

    return check


def _boolean(value: str) -> None:
    if value not in ("true", "false"):
        raise BadOption(_("must be true or false"))


def _theme(value: str) -> None:
    if value not in THEMES:
        raise BadOption("无效的主题")


def _one_of(*words: str) -> Check:
    def check(value: str) -> None:
        if value not in words:
            raise BadOption(f"must be one of {', '.join(words)}")

    return check


def _ratios(value: str) -> None:
    parse_ratios(value)


def _web_address(value: str) -> None:
    if not value:
        return
    try:
        parts = urlsplit(value)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        usable = False
    if not usable or "\x00" in value:
        raise BadOption(_("must be an http:// or https:// address"))


def _text(value: str) -> None:
    if "\x00" in value:
        raise BadOption(_("must not contain a NUL character"))


def parse_ratios(value: str) -> dict[str, Decimal]:
    """A JSON object name → number, as decimals. Raises BadOption; a ratio is never negative and never absurd."""
    try:
        table = json.loads(value, parse_float=Decimal, parse_int=Decimal)
    except (ValueError, InvalidOperation, RecursionError) as error:
        raise BadOption(_("not valid JSON: %s") % error) from None
    if not isinstance(table, dict):
        raise BadOption(_("must be a JSON object of name and number"))
    for name, ratio in table.items():
        if not isinstance(ratio, Decimal) or not ratio.is_finite():
            raise BadOption(_("the ratio of %r is not a number") % name)
        if "\x00" in name or any("\ud800" <= letter <= "\udfff" for letter in name):
            raise BadOption(_("%r holds a character that no text can hold") % name)
        if not 0 <= ratio <= 10**6:
            raise BadOption(_("the ratio of %r must be between 0 and 1000000") % name)
        if ratio.as_tuple().exponent < -MOST_DECIMALS:  # type: ignore[operator]  # finite, so a number
            raise BadOption(_("the ratio of %r is not a number") % name)
    return table


def ratios_text(table: Mapping[str, Decimal]) -> str:
    """The JSON object that `parse_ratios` reads back, digit by digit; sorted by name."""
    rows = (f"{json.dumps(name, ensure_ascii=False)}:{table[name]:f}" for name in sorted(table))
    return "{" + ",".join(rows) + "}"


@dataclass(frozen=True)
class Spec:
    """`kind`: str, int, float, bool, csv or json. `needs`: keys that must be non-empty before this can be `true`."""

    key: str
    kind: str
    default: str
    group: str
    check: Check
    secret: bool = False
    needs: tuple[str, ...] = ()
    refusal: str = ""  # shown when `needs` is not met


def _rows() -> list[Spec]:
    def text(key: str, group: str, default: str = "", check: Check = _text) -> Spec:
        return Spec(key, "str", default, group, check)

    def secret(key: str, group: str) -> Spec:
        return Spec(key, "str", "", group, _text, secret=True)

    def flag(key: str, group: str, default: bool, needs: tuple[str, ...] = (), refusal: str = "") -> Spec:
        return Spec(key, "bool", "true" if default else "false", group, _boolean, needs=needs, refusal=refusal)

    def quota(key: str, default: int) -> Spec:
        return Spec(key, "int", str(default), "quota", _integer(0, MAX_QUOTA))

    return [
        text("SystemName", "general", "One API"),
        text("ServerAddress", "general", check=_web_address),
        text("Logo", "general"),
        text("Footer", "general"),
        text("Notice", "general"),
        text("About", "general"),
        text("HomePageContent", "general"),
        Spec("Theme", "str", "default", "general", _theme),
        text("ChatLink", "general"),
        text("TopUpLink", "general"),
        text("Contact", "general"),
        Spec("ModelsPagePublic", "str", "signed-in", "display", _one_of("private", "signed-in", "public")),
        flag("PasswordLoginEnabled", "login", True),
        flag("PasswordRegisterEnabled", "login", True),
        flag("RegisterEnabled", "login", True),
        flag("EmailVerificationEnabled", "login", False),
        flag("AdminMfaRequired", "login", False),
        flag(
            "EmailDomainRestrictionEnabled",
            "login",
            False,
            ("EmailDomainWhitelist",),
            "无法启用邮箱域名限制，请先填入限制的邮箱域名！",
        ),
        Spec("EmailDomainWhitelist", "csv", EMAIL_DOMAINS, "login", _text),
        flag(
            "GitHubOAuthEnabled",
            "oauth-github",
            False,
            ("GitHubClientId", "GitHubClientSecret"),
            "无法启用 GitHub OAuth，请先填入 GitHub Client Id 以及 GitHub Client Secret！",
        ),
        text("GitHubClientId", "oauth-github"),
        secret("GitHubClientSecret", "oauth-github"),
        text("LarkClientId", "oauth-lark"),
        secret("LarkClientSecret", "oauth-lark"),
        flag("OidcEnabled", "oauth-oidc", False),
        text("OidcClientId", "oauth-oidc"),
        secret("OidcClientSecret", "oauth-oidc"),
        text("OidcWellKnown", "oauth-oidc", check=_web_address),
        text("OidcAuthorizationEndpoint", "oauth-oidc", check=_web_address),
        text("OidcTokenEndpoint", "oauth-oidc", check=_web_address),
        text("OidcUserinfoEndpoint", "oauth-oidc", check=_web_address),
        flag(
            "WeChatAuthEnabled",
            "oauth-wechat",
            False,
            ("WeChatServerAddress",),
            "无法启用微信登录，请先填入微信登录相关配置信息！",
        ),
        text("WeChatServerAddress", "oauth-wechat", check=_web_address),
        secret("WeChatServerToken", "oauth-wechat"),
        text("WeChatAccountQRCodeImageURL", "oauth-wechat"),
        flag(
            "TurnstileCheckEnabled",
            "turnstile",
            False,
            ("TurnstileSiteKey", "TurnstileSecretKey"),
            "无法启用 Turnstile 校验，请先填入 Turnstile 校验相关配置信息！",
        ),
        text("TurnstileSiteKey", "turnstile"),
        secret("TurnstileSecretKey", "turnstile"),
        text("SMTPServer", "mail"),
        Spec("SMTPPort", "int", "587", "mail", _integer(1, 65535)),
        text("SMTPAccount", "mail"),
        text("SMTPFrom", "mail"),
        secret("SMTPToken", "mail"),
        text("MessagePusherAddress", "notification", check=_web_address),
        secret("MessagePusherToken", "notification"),
        quota("QuotaForNewUser", 0),
        quota("QuotaForInviter", 0),
        quota("QuotaForInvitee", 0),
        quota("QuotaRemindThreshold", 1000),
        quota("PreConsumedQuota", 500),
        Spec("QuotaPerUnit", "float", "500000", "quota", _number(1, 1e12)),
        flag("DisplayInCurrencyEnabled", "display", True),
        flag("DisplayTokenStatEnabled", "display", True),
        flag("LogConsumeEnabled", "log", True),
        flag("ApproximateTokenEnabled", "quota", False),
        Spec("ModelRatio", "json", "{}", "ratio", _ratios),
        Spec("CompletionRatio", "json", "{}", "ratio", _ratios),
        Spec("CacheRatio", "json", "{}", "ratio", _ratios),
        Spec("CacheWriteRatio", "json", "{}", "ratio", _ratios),
        Spec("CacheWriteLongRatio", "json", "{}", "ratio", _ratios),
        Spec("ReasoningRatio", "json", "{}", "ratio", _ratios),
        Spec("AudioRatio", "json", "{}", "ratio", _ratios),
        Spec("AudioCompletionRatio", "json", "{}", "ratio", _ratios),
        Spec("ImageRatio", "json", "{}", "ratio", _ratios),
        Spec("ImageCompletionRatio", "json", "{}", "ratio", _ratios),
        Spec("GroupRatio", "json", '{"default":1,"svip":1,"vip":1}', "ratio", _ratios),
        Spec("ChannelDisableThreshold", "float", "5", "channel", _number(0, 10_000)),
        flag("AutomaticDisableChannelEnabled", "channel", False),
        flag("AutomaticEnableChannelEnabled", "channel", False),
        Spec("RetryTimes", "int", "0", "channel", _integer(0, 100)),
    ]


SPECS: Mapping[str, Spec] = {spec.key: spec for spec in _rows()}

_PARSERS: dict[str, Callable[[str], Any]] = {
    "str": str,
    "int": int,
    "float": Decimal,
    "bool": lambda text: text == "true",
    "csv": lambda text: tuple(part.strip() for part in text.split(",") if part.strip()),
    "json": lambda text: MappingProxyType(parse_ratios(text)),
}


def as_table(spec: Spec, text: str | None) -> Mapping[str, Decimal]:
    """A table option's text as decimals; its default's where there is none, or one that cannot be used."""
    try:
        return parse_ratios(spec.default if text is None else text)
    except BadOption:
        return parse_ratios(spec.default)


class Options:
    """All options parsed, read by name: `options["RetryTimes"]` is an int. Immutable; replaced whole on a change.

    `stored` holds the rows that were ever set, already decrypted. A stored value its own check refuses (written by
    another program or an older version) counts as unset, and is named in `rejected`, so that one bad row cannot
    stop the gateway.
    """

    def __init__(self, stored: Mapping[str, str], defaults: Mapping[str, str] | None = None) -> None:
        self.rejected: list[str] = []
        texts: dict[str, str] = {}
        values: dict[str, Any] = {}
        for key, spec in SPECS.items():
            text = stored.get(key, (defaults or {}).get(key, spec.default))
            try:
                spec.check(text)
            except BadOption:
                self.rejected.append(key)
                text = spec.default
            texts[key] = text
            values[key] = _PARSERS[spec.kind](text)
        self.texts: Mapping[str, str] = MappingProxyType(texts)
        self._values: Mapping[str, Any] = MappingProxyType(values)

    def __getitem__(self, key: str) -> Any:
        return self._values[key]
