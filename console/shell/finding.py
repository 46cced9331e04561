"""What is called like the words typed into the palette: own keys; for administrators, what they operate."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.db.models import Model, Q, QuerySet
from django.urls import NoReverseMatch, reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from accounts.matching import holds
from accounts.models import Role, Token, User, UserStatus
from channels_app.models import Channel
from console.formats import masked
from redemptions.models import Redemption

MOST = 5  # of each kind

Detail = Callable[[Any], str | Promise]


@dataclass(frozen=True)
class Kind:
    """`names`: the columns that are searched. `page`: the address's name, which takes an id."""

    label: str | Promise
    icon: str
    names: tuple[str, ...]
    page: str
    detail: Detail


@dataclass(frozen=True)
class Found:
    address: str
    text: str
    detail: str | Promise


@dataclass(frozen=True)
class Group:
    label: str | Promise
    icon: str
    things: list[Found]


KEYS = Kind(_("API keys"), "key-round", ("name",), "key-edit", lambda token: masked(token.key))
CHANNELS = Kind(_("Channels"), "route", ("name",), "channel", lambda channel: f"#{channel.pk}")
USERS = Kind(
    _("Users"),
    "user-round",
    ("username", "display_name", "email"),
    "user",
    lambda user: f"#{user.pk} {user.email}".strip(),
)
CODES = Kind(_("Redemption codes"), "ticket", ("name",), "code-edit", lambda code: code.get_status_display())


def things(user: User, words: str) -> list[Group]:
    """In groups, each in the order of their ids, newest first. Nothing is looked for without words."""
    if not words:
        return []
    searches: list[tuple[Kind, QuerySet[Any]]] = [(KEYS, Token.objects.filter(user_id=user.pk))]
    if user.role >= Role.ADMIN:
        searches += [
            (CHANNELS, Channel.objects.only("name")),
            (USERS, User.objects.exclude(status=UserStatus.DELETED)),
            (CODES, Redemption.objects.defer("key")),
        ]
    found = [Group(kind.label, kind.icon, _found(kind, rows, words)) for kind, rows in searches]
    return [group for group in found if group.things]


def _found(kind: Kind, rows: QuerySet[Any], words: str) -> list[Found]:
    if not _page(kind, 1):
        return []
    wanted = Q()
    for name in kind.names:
        wanted |= holds(name, words)
    number = words.removeprefix("#")
    if number.isdecimal() and len(number) < 19:
        wanted |= Q(pk=int(number))
    return [
        Found(_page(kind, row.pk), str(_title(row)), kind.detail(row))
        for row in rows.filter(wanted).order_by("-pk")[:MOST]
    ]


def _title(row: Model) -> str:
    return str(getattr(row, "username", "") or getattr(row, "name", "") or f"#{row.pk}")


def _page(kind: Kind, pk: int) -> str:
    try:
        return reverse(kind.page, args=[pk])
    except NoReverseMatch:  # a page under construction
        return ""
