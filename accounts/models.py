"""WHO: people and the tokens they call with.

`quota` is the settled balance in points and always equals the sum of the user's ledger entries; `held` is what
open holds have set aside of it, so `quota - held` is what may still be spent. The same holds for a limited token.
Column names follow the reference's schema where it has the column.
"""

from __future__ import annotations

import time
import unicodedata
from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.db import models
from django.utils.translation import gettext_lazy as _

from vault.fields import EncryptedTextField


def now() -> int:
    """Unix seconds, the unit of every time in the schema."""
    return int(time.time())


def fold(name: str) -> str:
    """The form in which user names and e-mail addresses are compared: NFKC, no case, no outer blanks."""
    return unicodedata.normalize("NFKC", name).strip().casefold()


class Role(models.IntegerChoices):
    GUEST = 0, _("guest")
    COMMON = 1, _("user")
    ADMIN = 10, _("admin")
    ROOT = 100, _("root")


class UserStatus(models.IntegerChoices):
    ENABLED = 1, _("enabled")
    DISABLED = 2, _("disabled")
    DELETED = 3, _("deleted")


class UserManager(BaseUserManager["User"]):
    def get_by_natural_key(self, username: str | None) -> User:
        return self.get(username_key=fold(username or ""))


class User(AbstractBaseUser):
    """A person. Created through `accounts.services`, which also writes the opening ledger entry."""

    username = models.CharField(max_length=64, unique=True)
    username_key = models.CharField(max_length=192, unique=True, editable=False)
    display_name = models.CharField(max_length=64, default="", blank=True)
    role = models.IntegerField(choices=Role.choices, default=Role.COMMON)
    status = models.IntegerField(choices=UserStatus.choices, default=UserStatus.ENABLED)
    email = models.CharField(max_length=254, default="", blank=True)
    email_key = models.CharField(max_length=254, unique=True, null=True, editable=False)
    github_id = models.CharField(max_length=64, unique=True, null=True, blank=True)
    wechat_id = models.CharField(max_length=128, unique=True, null=True, blank=True)
    lark_id = models.CharField(max_length=128, unique=True, null=True, blank=True)
    oidc_id = models.CharField(max_length=255, unique=True, null=True, blank=True)
    access_token_digest = models.CharField(max_length=64, unique=True, null=True, editable=False)
    access_token_created = models.BigIntegerField(default=0, db_default=0, editable=False)  # 0 is not known
    access_token_used = models.BigIntegerField(default=0, db_default=0, editable=False)  # to a few minutes; 0 is never
    totp_counter = models.BigIntegerField(default=0, db_default=0, editable=False)  # of the newest code that was taken
    quota = models.BigIntegerField(default=0)
    held = models.BigIntegerField(default=0, editable=False)
    used_quota = models.BigIntegerField(default=0)
    request_count = models.BigIntegerField(default=0)
    group = models.CharField(max_length=64, default="default")
    aff_code = models.CharField(max_length=32, unique=True, null=True, blank=True)
    inviter_id = models.BigIntegerField(default=0, db_index=True)
    must_change_password = models.BooleanField(default=False)
    created_time = models.BigIntegerField(default=now)
    remind_below = models.BigIntegerField(null=True, blank=True, editable=False)  # points; null: as the operator's
    last_active = models.BigIntegerField(default=0, db_default=0, editable=False)  # to a few minutes; 0 is never

    objects = UserManager()

    USERNAME_FIELD = "username"
    REQUIRED_FIELDS = []

    class Meta:
        db_table = "users"
        verbose_name = _("user")
        verbose_name_plural = _("users")
        constraints = [
            models.CheckConstraint(condition=models.Q(quota__gte=0), name="user_quota_not_negative"),
            models.CheckConstraint(condition=models.Q(held__gte=0), name="user_held_not_negative"),
        ]

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Keep the comparison keys true to the names they stand for."""
        self.username_key = fold(self.username)
        self.email_key = fold(self.email) or None
        fields = kwargs.get("update_fields")
        if fields is not None:
            kwargs["update_fields"] = {*fields, "username_key", "email_key"}
        super().save(*args, **kwargs)

    def __str__(self) -> str:
        return self.username

    # Django's admin asks these; raw tables are for root only.
    @property
    def is_staff(self) -> bool:
        return self.role >= Role.ROOT

    @property
    def is_superuser(self) -> bool:
        return self.role >= Role.ROOT

    @property
    def is_active(self) -> bool:  # type: ignore[override]
        return self.status == UserStatus.ENABLED

    def has_perm(self, perm: str, obj: object = None) -> bool:
        return self.is_active and self.is_superuser

    def has_module_perms(self, app_label: str) -> bool:
        return self.is_active and self.is_superuser


class UserSession(models.Model):
    """What is known of a sign-in beside its row in Django's session table, which alone decides whether it is alive.

    `method` is how somebody signed in ("password", "github", "passkey", "password+totp"); "" where that is not known.
    """

    session_key = models.CharField(max_length=40, unique=True, editable=False)
    user_id = models.BigIntegerField(db_index=True)
    created_at = models.BigIntegerField(default=now)
    seen_at = models.BigIntegerField(default=now)  # to a few minutes
    address = models.CharField(max_length=45, default="", blank=True)
    user_agent = models.CharField(max_length=255, default="", blank=True)
    method = models.CharField(max_length=32, default="", blank=True)

    class Meta:
        db_table = "user_sessions"
        verbose_name = _("sign-in")
        verbose_name_plural = _("sign-ins")

    def __str__(self) -> str:
        return f"#{self.pk} of user {self.user_id}"


class Wishes(models.Model):
    """How somebody wants the console: short texts by name, in the form the console's cookies have (accounts.wishes)."""

    user = models.OneToOneField(User, on_delete=models.CASCADE, primary_key=True, db_constraint=False)
    texts = models.JSONField(default=dict)

    class Meta:
        db_table = "user_wishes"
        verbose_name = _("wishes")
        verbose_name_plural = _("wishes")

    def __str__(self) -> str:
        return f"of user {self.pk}"


class TokenStatus(models.IntegerChoices):
    ENABLED = 1, _("enabled")
    DISABLED = 2, _("disabled")
    EXPIRED = 3, _("expired")
    EXHAUSTED = 4, _("exhausted")


NEVER = -1  # expired_time of a token that does not expire


class Token(models.Model):
    """A key programs call with: 48 letters and digits, stored as a keyed digest to find it and encrypted to show it."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="tokens", db_constraint=False)
    key_digest = models.CharField(max_length=64, unique=True, editable=False)
    key = EncryptedTextField(db_column="key_encrypted")
    status = models.IntegerField(choices=TokenStatus.choices, default=TokenStatus.ENABLED)
    name = models.CharField(max_length=64, default="", db_index=True)
    created_time = models.BigIntegerField(default=now)
    accessed_time = models.BigIntegerField(default=now)
    expired_time = models.BigIntegerField(default=NEVER)
    remain_quota = models.BigIntegerField(default=0)
    held = models.BigIntegerField(default=0, editable=False)
    unlimited_quota = models.BooleanField(default=False)
    used_quota = models.BigIntegerField(default=0)
    model_names = models.TextField(db_column="models", default="", blank=True)  # comma separated; "" is all
    subnet = models.TextField(default="", blank=True)  # comma separated networks; "" is anywhere

    class Meta:
        db_table = "tokens"
        verbose_name = _("token")
        verbose_name_plural = _("tokens")
        constraints = [
            models.CheckConstraint(
                condition=models.Q(remain_quota__gte=0) | models.Q(unlimited_quota=True),
                name="token_remain_not_negative",
            ),
            models.CheckConstraint(condition=models.Q(held__gte=0), name="token_held_not_negative"),
        ]

    def __str__(self) -> str:
        return self.name or f"#{self.pk}"
