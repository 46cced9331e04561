"""English for the contract's literals. Scripts compare texts, so only a caller who asks for English gets it (A11).

`{}` stands for whatever a text carries along. The three texts of contract 1.13 keep their own rule (api/messages.py).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

from django.http import HttpRequest

ENGLISH: Mapping[str, str] = {
    # signing in and permissions
    "无权进行此操作，未登录且未提供 access token": "Not allowed: not signed in, and no access token was given",
    "无权进行此操作，access token 无效": "Not allowed: the access token is not valid",
    "无权进行此操作，权限不足": "Not allowed: your role does not permit this",
    "无权进行此操作，请求来自其他网站": "Not allowed: the request comes from another site",
    "用户已被封禁": "This account is disabled",
    "管理员要求启用两步验证，请先在网页上完成设置": "Administrators need a second factor: set one up on the pages",
    "该账户已启用两步验证，请在登录页面登录，或在 code 中提供验证码": (
        "This account has a second factor: sign in on the page, or give its code as `code`"
    ),
    "两步验证码错误或已过期": "The code of the second step is wrong, used or too old",
    "两步验证方式已存在": "There is such a factor already",
    "无法移除最后一种登录方式": "The last way to sign in cannot be removed",
    "管理员关闭了密码登录": "Signing in by password is switched off",
    "管理员关闭了新用户注册": "Registration is switched off",
    "管理员关闭了通过密码进行注册，请使用第三方账户验证的形式进行注册": (
        "Registration by password is switched off; register with a third-party account"
    ),
    "管理员开启了邮箱验证，请输入邮箱地址和验证码": "Enter your e-mail address and the code mailed to it",
    "管理员启用了邮箱域名白名单，您的邮箱地址的域名不在白名单中": "E-mail addresses of this domain are not accepted",
    "用户名或密码错误，或用户已被封禁": "Wrong user name or password, or the account is disabled",
    "验证码错误或已过期": "The code is wrong or has expired",
    "重置链接非法或已过期": "The reset link is not valid or has expired",
    "Turnstile token 为空": "The Turnstile token is missing",
    "Turnstile 校验失败，请刷新重试！": "The Turnstile check failed; reload the page and try again",
    "SMTP 服务器未配置": "No SMTP server is set up",
    "无法保存会话信息，请重试": "The session cannot be kept; try again",
    "管理员未开启通过 GitHub 登录以及注册": "Signing in with GitHub is switched off",
    "管理员未开启通过飞书登录以及注册": "Signing in with Lark is switched off",
    "管理员未开启通过 OIDC 登录以及注册": "Signing in with OIDC is switched off",
    "管理员未开启通过微信登录以及注册": "Signing in with WeChat is switched off",
    "返回值非法，用户字段为空，请稍后重试！": "The provider does not say who you are; try again later",
    "无法连接至 GitHub 服务器，请稍后重试！": "GitHub cannot be reached; try again later",
    "无法连接至飞书服务器，请稍后重试！": "Lark cannot be reached; try again later",
    "无法连接至 OIDC 服务器，请稍后重试！": "The OIDC server cannot be reached; try again later",
    "无法连接至微信服务器，请稍后重试！": "The WeChat server cannot be reached; try again later",
    "该 GitHub 账户已被绑定": "That GitHub account belongs to another account",
    "该飞书账户已被绑定": "That Lark account belongs to another account",
    "该 OIDC 账户已被绑定": "That OIDC account belongs to another account",
    "该微信账号已被绑定": "That WeChat account belongs to another account",
    # fields
    "无效的参数": "invalid parameter",
    "请求体过大": "The request body is too large",
    "输入不合法 {}: 用户名已被占用": "Not accepted: {}: the name is taken",
    "输入不合法 {}": "Not accepted: {}",
    "邮箱地址已被占用": "The e-mail address belongs to another account",
    "该账户已被绑定": "That identity belongs to another account",
    "用户不存在": "There is no such user",
    "id 为空！": "The id is missing",
    "id 或 userId 为空！": "The id or the user's id is missing",
    "Idempotency-Key 已用于另一次充值": "This Idempotency-Key was used for another top-up",
    "额度超出允许的范围": "The quota is out of range",
    "quota 不能为负数！": "The quota cannot be negative",
    # users
    "无权更新同权限等级或更高权限等级的用户信息": "You cannot change an account of your own level or above",
    "无权获取同级或更高等级用户的信息": "You cannot see an account of your own level or above",
    "无权将其他用户权限等级提升到大于等于自己的权限等级": "You cannot raise an account to your own level or above",
    "无权删除同权限等级或更高权限等级的用户": "You cannot delete an account of your own level or above",
    "不能删除超级管理员账户": "The root account cannot be deleted",
    "无法创建权限大于等于自己的用户": "You cannot create an account of your own level or above",
    "无法禁用超级管理员用户": "The root account cannot be disabled",
    "无法删除超级管理员用户": "The root account cannot be deleted",
    "普通管理员用户无法提升其他用户为管理员": "Only root can make an account an administrator",
    "该用户已经是管理员": "The account is an administrator already",
    "无法降级超级管理员用户": "The root account cannot be demoted",
    "该用户已经是普通用户": "The account is a common user already",
    # tokens
    "令牌已过期，无法启用，请先修改令牌过期时间，或者设置为永不过期": (
        "The token has expired: first set a later expiry, or none"
    ),
    "令牌可用额度已用尽，无法启用，请先修改令牌剩余额度，或者设置为无限额度": (
        "The token's quota is used up: first raise it, or make it unlimited"
    ),
    "参数错误：令牌名称过长": "Wrong parameter: the token's name is too long",
    "参数错误：无效的网段：{}": "Wrong parameter: not a subnet: {}",
    "参数错误：{}": "Wrong parameter: {}",
    # codes
    "兑换失败，无效的兑换码": "Not redeemed: there is no such code",
    "兑换失败，该兑换码已被使用": "Not redeemed: the code has been used",
    "兑换失败，该兑换码已过期": "Not redeemed: the code has expired",
    "兑换失败，您已兑换过该批次的兑换码": "Not redeemed: you have redeemed a code of this batch before",
    "该兑换码已被使用": "The code has been used",
    "未提供兑换码": "No code was given",
    "兑换码个数必须大于0": "The number of codes must be above 0",
    "一次兑换码批量生成的个数不能大于 {}": "No more than {} codes can be made at once",
    "兑换码名称长度必须在1-20之间": "The code's name must have 1 to 20 characters",
    "兑换码额度必须在1-{}之间": "The code's quota must be between 1 and {}",
    # options
    "无效的主题": "There is no such theme",
    "无法启用邮箱域名限制，请先填入限制的邮箱域名！": "First enter the e-mail domains to accept",
    "无法启用 GitHub OAuth，请先填入 GitHub Client Id 以及 GitHub Client Secret！": (
        "First enter the GitHub client id and client secret"
    ),
    "无法启用微信登录，请先填入微信登录相关配置信息！": "First enter the settings of the WeChat sign-in",
    "无法启用 Turnstile 校验，请先填入 Turnstile 校验相关配置信息！": "First enter the settings of Turnstile",
    # channels
    "测试已在运行中": "A test is running already",
    "余额更新已在运行中": "An update of the balances is running already",
    "尚未实现": "Not available for this type",
    "余额不足": "The balance is used up",
    "响应时间 {}s 超过阈值 {}s": "Answered after {} s; the threshold is {} s",
    "最近 {} 次调用的成功率为 {}，低于 {}": "Of the last {} calls {} succeeded, fewer than {}",
}


def wants_english(request: HttpRequest) -> bool:
    return asks_for_english(request.headers.get("Accept-Language", ""))


def asks_for_english(accept_language: str) -> bool:
    """Only where Accept-Language begins with `en`; no header means the contract's literals."""
    return accept_language.strip().lower().startswith("en")


def english(text: str) -> str:
    """The English of a contract literal; any other text, an upstream's words for example, comes back as it is."""
    if text.isascii():
        return text
    if text in ENGLISH:
        return ENGLISH[text]
    for pattern, template in _patterns():
        if match := pattern.fullmatch(text):
            return template.format(*match.groups())
    return text


@lru_cache(maxsize=1)
def _patterns() -> tuple[tuple[re.Pattern[str], str], ...]:
    """Texts that carry something, in the table's order: the special before the general."""
    return tuple(
        (re.compile("(.*)".join(re.escape(part) for part in literal.split("{}")), re.DOTALL), template)
        for literal, template in ENGLISH.items()
        if "{}" in literal
    )
