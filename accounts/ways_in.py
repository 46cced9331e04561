"""By what an account can sign in under given options, so that a change of them locks nobody out unawares."""

from __future__ import annotations

from allauth.mfa.models import Authenticator
from django.db.models import Q

from accounts.external.methods import METHODS
from accounts.models import Role, User, UserStatus
from options.registry import Options


def ways_in(user: User, options: Options, *, provider: str = "", passkey: int = 0) -> list[str]:
    """Names of the methods that would let this person in ("password", "github", …, "passkey"), this provider's identity
    and this passkey not counted.

    A password counts where the operator lets people use it, an identity where its provider is switched on.
    """
    found = ["password"] if options["PasswordLoginEnabled"] and user.has_usable_password() else []
    for name, method in METHODS.items():
        if name != provider and getattr(user, method.column) and method.enabled(options):
            found.append(name)
    keys = Authenticator.objects.filter(user_id=user.pk, type=Authenticator.Type.WEBAUTHN).exclude(pk=passkey)
    if keys.exists():
        found.append("passkey")
    return found


def locked_out(now: Options, then: Options) -> list[str]:
    """Names of enabled root accounts that can sign in now, and could not any more."""
    roots = User.objects.filter(role=Role.ROOT, status=UserStatus.ENABLED).order_by("pk")
    return [user.username for user in roots if ways_in(user, now) and not ways_in(user, then)]


def only_by_password(options: Options) -> int:
    """How many enabled people have bound nothing else that is switched on."""
    bound = Q()
    for method in METHODS.values():
        if method.enabled(options):
            bound |= Q(**{f"{method.column}__isnull": False})
    holders = Authenticator.objects.filter(type=Authenticator.Type.WEBAUTHN).values("user_id")
    people = User.objects.filter(status=UserStatus.ENABLED).exclude(pk__in=holders)
    return (people.exclude(bound) if bound else people).count()
