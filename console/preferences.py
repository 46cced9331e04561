"""How this person wants the console: kept in cookies, so that the server draws the page right the first time.

The account of whoever is signed in keeps the same texts (accounts.wishes), for the next browser.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo, available_timezones

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from accounts.models import User
from accounts.wishes import wish

YEAR = 366 * 24 * 3600  # seconds

THEMES = ("system", "light", "dark")
DENSITIES = ("normal", "compact")
PAGE_SIZES = ("10", "20", "50", "100")


@dataclass(frozen=True)
class Preferences:
    """`hidden_columns`: list → names of the columns that are not shown; a list that is absent shows its usual ones."""

    theme: str = "system"
    density: str = "normal"
    page_size: int = 20
    shortcuts: bool = True
    folded: bool = False  # the side bar shows icons only
    zone: str = "UTC"
    hidden_columns: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def hidden(self, name: str, usual: AbstractSet[str]) -> AbstractSet[str]:
        chosen = self.hidden_columns.get(name)
        return usual if chosen is None else set(chosen)

    @property
    def timezone(self) -> ZoneInfo:
        return ZoneInfo(self.zone)


def of(request: HttpRequest) -> Preferences:
    """What the cookies say, each by itself: one that makes no sense is as good as absent."""
    cached: Preferences | None = getattr(request, "_preferences", None)
    if cached is None:
        cached = _from_cookies(request.COOKIES)
        request._preferences = cached  # type: ignore[attr-defined]
    return cached


def keep(request: HttpRequest, response: HttpResponseBase, name: str, value: str) -> None:
    """Make it a cookie of this browser, under the name Django gives the language's."""
    cookie = settings.LANGUAGE_COOKIE_NAME if name == "language" else name
    response.set_cookie(cookie, value, max_age=YEAR, samesite="Lax", secure=request.is_secure())


def remember(request: HttpRequest, response: HttpResponseBase, changes: Mapping[str, str]) -> None:
    """Keep these wishes in this browser, and with the account of whoever is signed in."""
    for name, value in changes.items():
        keep(request, response, name, value)
    if isinstance(request.user, User):
        wish(request.user.pk, changes)


def _from_cookies(cookies: dict[str, str]) -> Preferences:
    columns = {}
    for name, value in cookies.items():
        if name.startswith("columns_"):
            columns[name.removeprefix("columns_")] = tuple(part for part in value.split(".") if part)
    zone = cookies.get("zone", "").replace("%2F", "/")
    return Preferences(
        theme=_one_of(THEMES, cookies.get("theme")),
        density=_one_of(DENSITIES, cookies.get("density")),
        page_size=int(_one_of(("20", *PAGE_SIZES), cookies.get("page_size"))),
        shortcuts=cookies.get("shortcuts") != "off",
        folded=cookies.get("sidebar") == "folded",
        zone=zone if zone in _zones() else "UTC",
        hidden_columns=columns,
    )


def _one_of(allowed: tuple[str, ...], value: str | None) -> str:
    return value if value in allowed else allowed[0]


_ZONES: set[str] = set()


def _zones() -> set[str]:
    if not _ZONES:
        _ZONES.update(available_timezones())
    return _ZONES
