"""The menu: which pages there are, for whom, and which one this is (console reference, 11.3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.http import HttpRequest
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from accounts.models import Role, User
from options.registry import Options


@dataclass(frozen=True)
class Entry:
    """`name` is that of the address; `path`, where the menu shows itself as being at this entry. `key`: g, then it."""

    name: str
    label: str | Promise
    icon: str
    path: str
    role: Role
    key: str = ""
    option: str = ""  # shown only while this option says something
    private: str = ""  # while this option says "private", only administrators see it
    bottom: bool = False  # also in the bar at the bottom of a phone


@dataclass(frozen=True)
class Section:
    label: str | Promise
    entries: tuple[Entry, ...]


@dataclass(frozen=True)
class Shown:
    entry: Entry
    address: str
    current: bool


@dataclass(frozen=True)
class ShownSection:
    label: str | Promise
    entries: Sequence[Shown]


GUEST, COMMON, ADMIN, ROOT = Role.GUEST, Role.COMMON, Role.ADMIN, Role.ROOT

SECTIONS: tuple[Section, ...] = (
    Section(
        pgettext_lazy("section of the menu", "Use"),
        (
            Entry("dashboard", _("Dashboard"), "layout-dashboard", "/dashboard", COMMON, "d", bottom=True),
            Entry("keys", _("API keys"), "key-round", "/token", COMMON, "k", bottom=True),
            Entry("models", _("Models"), "boxes", "/models", COMMON, "m", private="ModelsPagePublic"),
            Entry("playground", _("Playground"), "message-square-code", "/playground", COMMON, "p"),
            Entry("chat", _("Chat"), "messages-square", "/chat", COMMON, option="ChatLink"),
            Entry("logs", _("Logs"), "scroll-text", "/log", COMMON, "l", bottom=True),
            Entry("top-up", _("Top up"), "wallet", "/topup", COMMON, "t"),
        ),
    ),
    Section(
        _("Operate"),
        (
            Entry("channels", _("Channels"), "route", "/channel", ADMIN, "c", bottom=True),
            Entry("test-runs", _("Test runs"), "stethoscope", "/test-runs", ADMIN),
            Entry("users", _("Users"), "users", "/user", ADMIN, "u"),
            Entry("codes", _("Redemption codes"), "ticket", "/redemption", ADMIN, "r"),
            Entry("analytics", _("Analytics"), "chart-column", "/analytics", ADMIN, "a"),
            Entry("audit", _("Audit"), "shield-check", "/audit", ADMIN),
        ),
    ),
    Section(
        _("System"),
        (
            Entry("prices", _("Prices"), "badge-dollar-sign", "/prices", ROOT),
            Entry("groups", _("Groups"), "layers", "/groups", ROOT),
            Entry("options", _("Settings"), "settings", "/setting", ROOT, "s"),
            Entry("runtime", _("Runtime"), "activity", "/runtime", ROOT),
            Entry("admin:index", _("Raw tables"), "database", "/django-admin", ROOT),
        ),
    ),
)


def menu(request: HttpRequest, options: Options) -> list[ShownSection]:
    """What this person may open; sections with nothing in them are left out."""
    user = request.user
    role = user.role if isinstance(user, User) and user.is_active else GUEST
    best = _current(request.path)
    sections = []
    for section in SECTIONS:
        entries = [
            Shown(entry, reverse(entry.name), entry.name == best)
            for entry in section.entries
            if _shows(entry, role, options)
        ]
        if entries:
            sections.append(ShownSection(section.label, entries))
    return sections


def _shows(entry: Entry, role: int, options: Options) -> bool:
    if entry.role > role or (entry.option and not options[entry.option]):
        return False
    return not entry.private or role >= ADMIN or options[entry.private] != "private"


def _current(path: str) -> str:
    """The entry whose path this page lies under: the longest one."""
    under = [
        entry
        for section in SECTIONS
        for entry in section.entries
        if path == entry.path or path.startswith(entry.path.rstrip("/") + "/")
    ]
    return max(under, key=lambda entry: len(entry.path)).name if under else ""
