"""An account made by an administrator: the new-user procedure, and what is chosen beyond it."""

from __future__ import annotations

from django.db import transaction

from accounts import levels
from accounts.adjusting import How, adjust_quota
from accounts.editing import update_user
from accounts.models import Role, User
from accounts.registration import register
from audit.services import Actor


@transaction.atomic
def create_for(
    by: User,
    actor: Actor,
    *,
    username: str,
    password: str,
    display_name: str = "",
    role: int = Role.COMMON,
    group: str = "default",
    quota: int = 0,
    reason: str = "",
    must_change_password: bool = False,
) -> User:
    """The new account, with the gifts and the key of every new one, and `quota` points beside.

    Raises NotPermitted, and as `register`; then there is no account.
    """
    levels.may_create(by, role)
    user = register(username=username, password=password, display_name=display_name, actor=actor)
    if must_change_password:
        User.objects.filter(pk=user.pk).update(must_change_password=True)
    changes = {"role": role, "group": group}
    update_user(by, actor, user.pk, {name: value for name, value in changes.items() if value != getattr(user, name)})
    if quota:
        adjust_quota(by, actor, user.pk, How.ADD, quota, reason)
    user.refresh_from_db()
    return user
