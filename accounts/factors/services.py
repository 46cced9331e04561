"""Setting factors up and taking them away. Each function is one transaction, and audited without any secret."""

from __future__ import annotations

from dataclasses import dataclass

from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP
from django.db import transaction

from accounts.factors import totp
from accounts.factors.policy import has_factor
from accounts.methods import methods_left
from accounts.models import Role, User
from accounts.refusals import FactorExists, LastMethod, NotFound, NotPermitted, WrongSecondFactor
from audit.services import Actor, record


@dataclass(frozen=True)
class Factors:
    """What an account has. `codes_left`: recovery codes that are still good."""

    totp: Authenticator | None
    passkeys: list[Authenticator]
    codes_left: int


def factors_of(user_id: int) -> Factors:
    rows = list(Authenticator.objects.filter(user_id=user_id).order_by("pk"))
    codes = [row for row in rows if row.type == Authenticator.Type.RECOVERY_CODES]
    return Factors(
        totp=next((row for row in rows if row.type == Authenticator.Type.TOTP), None),
        passkeys=[row for row in rows if row.type == Authenticator.Type.WEBAUTHN],
        codes_left=len(codes[0].wrap().get_unused_codes()) if codes else 0,
    )


@transaction.atomic
def add_totp(user: User, actor: Actor, secret: str, code: str) -> list[str]:
    """Take the app as a factor, once it has shown a right code. Returns new recovery codes, [] where there are some.

    Raises WrongSecondFactor, FactorExists.
    """
    User.objects.select_for_update().get(pk=user.pk)  # MariaDB has no partial unique index to keep two at once apart
    if Authenticator.objects.filter(user_id=user.pk, type=Authenticator.Type.TOTP).exists():
        raise FactorExists
    if not totp.spend(user.pk, secret, code):
        raise WrongSecondFactor
    TOTP.activate(user, secret)
    record(actor, "user.factor.add", f"user:{user.pk}", kind="totp")
    return first_codes(user)


def first_codes(user: User) -> list[str]:
    """Recovery codes with the first factor; [] where the account has some. Call it inside a transaction."""
    if Authenticator.objects.filter(user_id=user.pk, type=Authenticator.Type.RECOVERY_CODES).exists():
        return []
    return list(RecoveryCodes.activate(user).get_unused_codes())


@transaction.atomic
def renew_codes(user: User, actor: Actor) -> list[str]:
    """Ten new recovery codes; the former ones are good no more. Raises NotFound for an account without a factor."""
    User.objects.select_for_update().get(pk=user.pk)
    if not has_factor(user.pk):
        raise NotFound
    Authenticator.objects.filter(user_id=user.pk, type=Authenticator.Type.RECOVERY_CODES).delete()
    record(actor, "user.factor.codes", f"user:{user.pk}")
    return first_codes(user)


@transaction.atomic
def remove(user: User, actor: Actor, factor_id: int) -> None:
    """An app or a passkey of one's own. Raises NotFound, LastMethod where nobody could sign in to the account then."""
    User.objects.select_for_update().get(pk=user.pk)
    rows = Authenticator.objects.filter(user_id=user.pk).exclude(type=Authenticator.Type.RECOVERY_CODES)
    row = rows.filter(pk=factor_id).first()
    if row is None:
        raise NotFound
    if row.type == Authenticator.Type.WEBAUTHN and not methods_left(user, passkey=row.pk):
        raise LastMethod
    row.delete()
    if not rows.exists():
        Authenticator.objects.filter(user_id=user.pk).delete()
    record(actor, "user.factor.remove", f"user:{user.pk}", kind=row.type)


@transaction.atomic
def reset(by: User, actor: Actor, user_id: int) -> int:
    """Root takes every factor from another account, whose owner has lost theirs; returns how many there were.

    Raises NotPermitted, NotFound.
    """
    if by.role < Role.ROOT:
        raise NotPermitted("无权进行此操作，权限不足")
    if not User.objects.filter(pk=user_id).exists():
        raise NotFound
    if by.pk == user_id:  # one's own are removed with the proofs that the settings page asks for
        raise NotPermitted("无权更新同权限等级或更高权限等级的用户信息")
    removed: int = Authenticator.objects.filter(user_id=user_id).exclude(type=Authenticator.Type.RECOVERY_CODES).count()
    Authenticator.objects.filter(user_id=user_id).delete()
    record(actor, "user.factor.reset", f"user:{user_id}", removed=removed)
    return removed
