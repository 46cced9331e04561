"""What an administrator does about how somebody gets in: ending their sign-ins, sending them a link."""

from __future__ import annotations

from django.db import transaction

from accounts import levels
from accounts.models import User, UserStatus
from accounts.refusals import NotFound, Refused
from accounts.sessions import end_sessions
from audit.services import Actor, record
from notices import mail
from notices import services as notices
from options import services as option_services


class NoAddress(Refused):
    """The account has no e-mail address."""


class MailNotSetUp(Refused):
    """No SMTP server is set up."""


@transaction.atomic
def sign_out_everywhere(by: User, actor: Actor, user_id: int) -> int:
    """End every session of theirs; returns how many were alive. Keys go on working. Raises NotFound, NotPermitted."""
    target = _other(by, user_id)
    ended = end_sessions(target.pk)
    record(actor, "user.sign_out", f"user:{target.pk}", sessions=ended)
    return ended


@transaction.atomic
def mail_reset_link(by: User, actor: Actor, user_id: int) -> str:
    """Mail them a link by which they choose a new password; returns the address.

    Raises NotFound, NotPermitted, NoAddress, MailNotSetUp.
    """
    target = _other(by, user_id)
    if not target.email:
        raise NoAddress
    if not mail.configured(option_services.load()):
        raise MailNotSetUp
    notices.password_reset(target.email)
    record(actor, "user.reset_link", f"user:{target.pk}")
    return target.email


def _other(by: User, user_id: int) -> User:
    target = User.objects.filter(pk=user_id).exclude(status=UserStatus.DELETED).first()
    if target is None:
        raise NotFound
    levels.may_update(by, target)
    return target
