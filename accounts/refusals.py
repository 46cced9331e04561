"""What this app's services refuse, told apart by class.

`str(refusal)` is the contract's text, shown to API callers as it is.
"""

from __future__ import annotations


class Refused(ValueError):
    """A change to an account or token that is not made; nothing was written."""

    text = "无效的参数"

    def __init__(self, text: str = "") -> None:
        super().__init__(text or self.text)


class BadName(Refused):
    text = "输入不合法 username"


class BadPassword(Refused):
    text = "输入不合法 password"


class BadField(Refused):
    """A field other than name and password; the text names it."""


class NameTaken(Refused):
    text = "输入不合法 username: 用户名已被占用"


class EmailTaken(Refused):
    text = "邮箱地址已被占用"


class IdentityTaken(Refused):
    text = "该账户已被绑定"


class WrongPassword(Refused):
    """The current password, where it was given, is not this."""

    text = "用户名或密码错误，或用户已被封禁"


class WrongCode(Refused):
    """The code from the mail is not this, expired, used, or guessed at too often."""

    text = "验证码错误或已过期"


class WrongLink(Refused):
    """The token of a reset link, likewise."""

    text = "重置链接非法或已过期"


class WrongSecondFactor(Refused):
    """The code of the app, the recovery code or the passkey is not this account's, is used, or too old."""

    text = "两步验证码错误或已过期"


class SecondFactorNeeded(Refused):
    """The password is right, and this account asks for a second proof."""

    text = "该账户已启用两步验证，请在登录页面登录，或在 code 中提供验证码"


class FactorExists(Refused):
    """There is an app already, or as many passkeys as one account may have."""

    text = "两步验证方式已存在"


class LastMethod(Refused):
    """Without it nobody could sign in to the account any more."""

    text = "无法移除最后一种登录方式"


class DomainNotAllowed(Refused):
    """The operator takes addresses of some domains only."""

    text = "管理员启用了邮箱域名白名单，您的邮箱地址的域名不在白名单中"


class MailNotSetUp(Refused):
    text = "SMTP 服务器未配置"


class NotPermitted(Refused):
    """The actor's level does not allow it (management contract, 1.5)."""


class UnknownUser(Refused):
    text = "用户不存在"


class UnknownAction(Refused):
    pass


class ReferenceTaken(Refused):
    """This Idempotency-Key was sent with another user or amount before."""

    text = "Idempotency-Key 已用于另一次充值"


class NotFound(Refused):
    text = "record not found"


class NoId(Refused):
    text = "id 为空！"


class CannotEnable(Refused):
    """A token that is expired or exhausted is not enabled before that is changed."""


class BadRootToken(Refused):
    """INITIAL_ROOT_TOKEN cannot be used as a key."""


class MethodOff(Refused):
    """Signing in with this provider is switched off, or not set up; the text names the provider."""


class NoIdentity(Refused):
    """The provider knows no such code, or does not tell who got it."""

    text = "返回值非法，用户字段为空，请稍后重试！"


class Unreachable(Refused):
    """The provider gives no answer that could be read in time; the text names it."""


class AccountDisabled(Refused):
    """Or deleted."""

    text = "用户已被封禁"


class RegistrationClosed(Refused):
    text = "管理员关闭了新用户注册"
