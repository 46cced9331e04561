"""Refusals of accounts and billing, in the console's words. Their own texts are the API's contract."""

from __future__ import annotations

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from accounts.access import MailNotSetUp, NoAddress
from accounts.refusals import (
    BadField,
    BadName,
    BadPassword,
    EmailTaken,
    IdentityTaken,
    NameTaken,
    NotPermitted,
    Refused,
)
from billing.services import QuotaOutOfRange

CLASSES: dict[type[Exception], str | Promise] = {
    BadName: _("A name has 1 to 64 characters, no blanks around it, and the letters of one script."),
    BadPassword: _("A password has 8 to 128 characters."),
    NameTaken: _("This name is taken. Choose another one."),
    EmailTaken: _("This address belongs to another account."),
    IdentityTaken: _("This belongs to another account."),
    BadField: _("This cannot be stored."),
    QuotaOutOfRange: _("The balance would fall below what open calls hold, or rise above the largest possible one."),
    NoAddress: _("This account has no e-mail address, so no link can be sent."),
    MailNotSetUp: _("No mail can be sent: no SMTP server is set up in the settings."),
}
RULES: dict[str, str | Promise] = {
    "无权进行此操作，权限不足": _("Only root may do this."),
    "无权获取同级或更高等级用户的信息": _("You may not see accounts of your own role or a higher one."),
    "无权更新同权限等级或更高权限等级的用户信息": _("You may not change accounts of your own role or a higher one."),
    "无权将其他用户权限等级提升到大于等于自己的权限等级": _("You may not give somebody your own role or a higher one."),
    "无权删除同权限等级或更高权限等级的用户": _("You may not delete accounts of your own role or a higher one."),
    "不能删除超级管理员账户": _("The root account cannot be deleted."),
    "无法创建权限大于等于自己的用户": _("You may not create accounts of your own role or a higher one."),
    "无法禁用超级管理员用户": _("The root account cannot be disabled."),
    "无法删除超级管理员用户": _("The root account cannot be deleted."),
    "普通管理员用户无法提升其他用户为管理员": _("Only root may make somebody an admin."),
    "该用户已经是管理员": _("This account is an admin already."),
    "无法降级超级管理员用户": _("The root account cannot lose its role."),
    "该用户已经是普通用户": _("This account is a plain user already."),
}


def words(refusal: Refused | QuotaOutOfRange) -> str:
    """What happened, for people; the text itself where nothing better is known."""
    if isinstance(refusal, NotPermitted):
        return str(RULES.get(str(refusal), refusal))
    for kind in type(refusal).__mro__:
        if kind in CLASSES:
            return str(CLASSES[kind])
    return str(refusal)
