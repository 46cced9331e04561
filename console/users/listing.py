"""The list of people, and how one of them is shown in it."""

from __future__ import annotations

from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts import levels
from accounts.finding import with_inviters
from accounts.models import Role, User, UserStatus
from console.http import signed_in
from console.lists import Column, Listing
from console.users.forms import BINDING_NAMES, UsersFilter
from options import services as option_services

COLUMNS = (
    Column("name", gettext_lazy("User name"), ("username_key",), fixed=True),
    Column("number", gettext_lazy("ID"), ("pk",), number=True),
    Column("display_name", gettext_lazy("Display name"), ("display_name",), hidden=True),
    Column("email", gettext_lazy("E-mail"), ("email_key",), hidden=True),
    Column("role", gettext_lazy("Role"), ("role",)),
    Column("status", gettext_lazy("Status"), ("status",)),
    Column("group", gettext_lazy("Group"), ("group",)),
    Column("remaining", gettext_lazy("Balance"), ("quota",), number=True),
    Column("used", gettext_lazy("Used"), ("used_quota",), number=True),
    Column("requests", gettext_lazy("Requests"), ("request_count",), number=True),
    Column("active", gettext_lazy("Last active"), ("last_active",)),
    Column("bound", gettext_lazy("Bound"), hidden=True),
    Column("created", gettext_lazy("Created"), ("created_time",), hidden=True),
    Column("inviter", gettext_lazy("Invited by"), ("inviter_id",), hidden=True),
)
ROLE_KINDS = {Role.COMMON: "neutral", Role.ADMIN: "warning", Role.ROOT: "accent"}


def listing_of(request: HttpRequest) -> Listing:
    filters = UsersFilter(request.GET, options=option_services.load())
    rows = with_inviters(filters.wanted().rows())
    listing = Listing(request, "users", COLUMNS, rows, order="-number", filters=filters)
    for person in listing.rows:
        decorate(person, signed_in(request))
    return listing


def decorate(person: User, by: User) -> User:
    """`.bindings` in words, `.may` (actions of accounts.levels), `.changeable`, and how role and status look."""
    bound = {
        "email": person.email,
        "github": person.github_id,
        "wechat": person.wechat_id,
        "lark": person.lark_id,
        "oidc": person.oidc_id,
    }
    person.bindings = ", ".join(str(BINDING_NAMES[name]) for name, value in bound.items() if value)  # type: ignore[attr-defined]
    person.may = levels.allowed(by, person)  # type: ignore[attr-defined]
    person.changeable = levels.may_change(by, person)  # type: ignore[attr-defined]
    person.role_kind = ROLE_KINDS.get(Role(person.role), "neutral")  # type: ignore[attr-defined]
    enabled = person.status == UserStatus.ENABLED
    person.status_kind = "success" if enabled else "danger"  # type: ignore[attr-defined]
    person.spendable = max(person.quota - person.held, 0)  # type: ignore[attr-defined]
    return person


def title_of(person: User) -> str:
    return _("User “%s”") % person.username
