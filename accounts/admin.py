"""People and their keys as raw tables. Every write goes through `accounts.services`."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _

from accounts import refusals, services
from accounts.http import actor_of
from accounts.models import Role, Token, User, UserStatus
from accounts.names import PASSWORD_LENGTHS
from accounts.tokens import delete_token, set_token_status, update_token
from audit.services import record
from billing.services import QuotaOutOfRange
from console.formats import masked
from console.http import signed_in
from console.raw_tables import RefusedError, SecretInput, ServiceAdmin, ServiceForm, moment_column, reveal_page
from options.registry import MAX_QUOTA

# What a person at a form should read instead of the API's literal, and the box it belongs to.
WORDS: dict[type[refusals.Refused], tuple[Any, str]] = {
    refusals.BadName: (_("This cannot be a user name."), "username"),
    refusals.NameTaken: (_("This user name is taken."), "username"),
    refusals.EmailTaken: (_("This e-mail address belongs to another account."), "email"),
    refusals.BadPassword: (_("The password must have 8 to 128 characters."), "new_password"),
    refusals.IdentityTaken: (_("This identity is bound to another account."), ""),
    refusals.NotFound: (_("This row has been deleted meanwhile."), ""),
}


def refused(error: refusals.Refused) -> RefusedError:
    text, field = WORDS.get(type(error), (str(error), ""))
    return RefusedError(str(text), field)


class UserForm(ServiceForm):
    new_password = forms.CharField(
        label=_("New password"),
        required=False,
        strip=False,
        min_length=PASSWORD_LENGTHS[0],
        max_length=PASSWORD_LENGTHS[1],
        widget=SecretInput(),
    )

    class Meta:
        model = User
        fields = ("username", "display_name", "email", "role", "status", "group", "quota")
        labels = {
            "username": _("User name"),
            "display_name": _("Display name"),
            "email": _("E-mail address"),
            "role": _("Role"),
            "status": _("Status"),
            "group": _("Group"),
            "quota": _("Quota"),
        }
        help_texts = {"quota": _("Points. A change is an entry of the ledger.")}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        stored = self.instance.pk is not None
        if "quota" in self.fields:
            self.fields["quota"] = forms.IntegerField(
                label=self.fields["quota"].label,
                help_text=self.fields["quota"].help_text,
                min_value=0,
                max_value=MAX_QUOTA,
            )
            self.watch("quota")
        if "role" in self.fields:
            self.fields["role"].choices = [  # type: ignore[attr-defined]
                choice for choice in Role.choices if choice[0] in (Role.COMMON, Role.ADMIN)
            ]
        if "status" in self.fields:
            self.fields["status"].choices = [  # type: ignore[attr-defined]
                choice for choice in UserStatus.choices if choice[0] != UserStatus.DELETED
            ]
        if "new_password" in self.fields:
            self.fields["new_password"].required = not stored
            if stored:
                self.fields["new_password"].help_text = _(
                    "Leave it empty to keep the present one. A new one ends every session."
                )

    def validate_unique(self) -> None:
        """The service compares names the way sign-in does, and says so itself."""


@admin.register(User)
class UserAdmin(ServiceAdmin):
    form = UserForm
    list_display = (
        "id",
        "username",
        "display_name",
        "role",
        "status",
        "group",
        "quota",
        "held",
        "used_quota",
        "request_count",
    )
    list_display_links = ("id", "username")
    list_filter = ("role", "status")
    search_fields = ("=id", "username", "display_name", "email")
    ordering = ("-id",)
    readonly_fields = (
        "held",
        "used_quota",
        "request_count",
        "aff_code",
        "inviter_id",
        "must_change_password",
        "last_login",
        "created",
    )
    created = moment_column("created_time", _("created (UTC)"))

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> tuple[str, ...]:
        """Root can be neither demoted nor disabled, so that somebody always can get in."""
        locked = ("role", "status") if obj is not None and obj.role >= Role.ROOT else ()
        return (*self.readonly_fields, *locked)

    def get_fieldsets(self, request: HttpRequest, obj: User | None = None) -> Any:
        if obj is None:
            return [(None, {"fields": ["username", "display_name", "email", "role", "group", "new_password"]})]
        fields = ["username", "display_name", "email", "role", "status", "group", "quota"]
        if obj.pk != request.user.pk:  # one's own is changed at /setting/password, which asks for the present one
            fields.append("new_password")
        return [(None, {"fields": fields}), (_("State"), {"fields": list(self.readonly_fields)})]

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change, **kwargs)
        if obj is not None and obj.pk == request.user.pk:
            form.base_fields.pop("new_password", None)
        return form

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        return super().get_queryset(request).exclude(status=UserStatus.DELETED)

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return super().has_delete_permission(request, obj) and (obj is None or obj.role < Role.ROOT)

    def save_model(self, request: HttpRequest, obj: User, form: UserForm, change: bool) -> None:
        actor, typed = actor_of(request), form.cleaned_data
        try:
            if change:
                changes = {name: typed[name] for name in form.changed_data if name != "new_password"}
                if typed.get("new_password"):
                    changes["password"] = typed["new_password"]
                services.update_user(signed_in(request), actor, obj.pk, changes)
                return
            made = services.create_user(
                username=typed["username"],
                password=typed["new_password"],
                display_name=typed["display_name"],
                email=typed["email"],
                role=typed["role"],
                group=typed["group"],
                must_change_password=True,
                actor=actor,
            )
        except refusals.Refused as error:
            raise refused(error) from error
        except QuotaOutOfRange as error:
            raise RefusedError(str(_("The quota is out of range.")), "quota") from error
        obj.pk = made.pk

    def delete_model(self, request: HttpRequest, obj: User) -> None:
        services.delete_user(signed_in(request), actor_of(request), obj.pk)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        """Root accounts among the chosen ones stay."""
        for user in queryset.filter(role__lt=Role.ROOT):
            self.delete_model(request, user)


class TokenForm(ServiceForm):
    class Meta:
        model = Token
        fields = ("user", "name", "status", "expired_time", "remain_quota", "unlimited_quota", "model_names", "subnet")
        labels = {
            "user": _("User"),
            "name": _("Name"),
            "status": _("Status"),
            "expired_time": _("Expires"),
            "remain_quota": _("Remaining quota"),
            "unlimited_quota": _("Unlimited quota"),
            "model_names": _("Models"),
            "subnet": _("Networks"),
        }
        help_texts = {
            "expired_time": _("Unix seconds; -1 is never."),
            "remain_quota": _("Points."),
            "model_names": _("Comma separated; empty allows every model."),
            "subnet": _("Comma separated networks such as 192.0.2.0/24; empty allows every address."),
        }
        widgets = {
            "model_names": forms.Textarea(attrs={"rows": 3, "class": "vLargeTextField"}),
            "subnet": forms.TextInput(attrs={"class": "vTextField"}),
        }


@admin.register(Token)
class TokenAdmin(ServiceAdmin):
    form = TokenForm
    list_display = (
        "id",
        "name",
        "user",
        "masked_key",
        "status",
        "remain_quota",
        "unlimited_quota",
        "used_quota",
        "expires",
        "accessed",
    )
    list_display_links = ("id", "name")
    list_filter = ("status", "unlimited_quota")
    list_select_related = ("user",)
    search_fields = ("=id", "name", "user__username")
    ordering = ("-id",)
    raw_id_fields = ("user",)
    actions = ("reveal",)
    readonly_fields = ("masked_key", "held", "used_quota", "created", "accessed")
    created = moment_column("created_time", _("created (UTC)"))
    accessed = moment_column("accessed_time", _("last used (UTC)"))
    expires = moment_column("expired_time", _("expires (UTC)"))

    def get_readonly_fields(self, request: HttpRequest, obj: Token | None = None) -> tuple[str, ...]:
        return self.readonly_fields if obj is None else (*self.readonly_fields, "user")

    def get_fieldsets(self, request: HttpRequest, obj: Token | None = None) -> Any:
        fields = ["user", "name", "status", "expired_time", "remain_quota", "unlimited_quota", "model_names", "subnet"]
        if obj is None:
            return [(None, {"fields": [name for name in fields if name != "status"]})]
        return [(None, {"fields": fields}), (_("State"), {"fields": list(self.readonly_fields)})]

    @admin.display(description=_("key"))
    def masked_key(self, token: Token) -> str:
        return masked(token.key)

    def save_model(self, request: HttpRequest, obj: Token, form: TokenForm, change: bool) -> None:
        typed = dict(form.cleaned_data)
        try:
            if change:
                changes = {name: typed[name] for name in form.changed_data}
                status = changes.pop("status", None)
                if changes:
                    update_token(obj.user_id, obj.pk, changes)
                if status is not None:
                    set_token_status(obj.user_id, obj.pk, status)
                record(actor_of(request), "token.update", f"token:{obj.pk}", fields=sorted(form.changed_data))
                return
            user = typed.pop("user")
            made = services.create_token(user_id=user.pk, **typed)
            record(actor_of(request), "token.create", f"token:{made.pk}", user_id=user.pk)
        except refusals.Refused as error:
            raise refused(error) from error
        obj.pk = made.pk

    def delete_model(self, request: HttpRequest, obj: Token) -> None:
        delete_token(obj.user_id, obj.pk)
        record(actor_of(request), "token.delete", f"token:{obj.pk}", user_id=obj.user_id)

    @admin.action(description=_("Show the keys of the selected tokens once"))
    def reveal(self, request: HttpRequest, chosen: QuerySet[Token]) -> HttpResponse:
        tokens = list(chosen)
        record(actor_of(request), "token.reveal", "tokens", ids=[token.pk for token in tokens])
        rows = [(f"{token.user} / {token.name}", f"sk-{token.key}") for token in tokens]
        return reveal_page(self, request, _("Keys"), rows)
