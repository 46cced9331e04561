"""Every address of the console that a browser may open, read from the URL configuration so that none is forgotten."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from inspect import getclosurevars
from typing import Any

from django.urls import URLPattern, URLResolver, reverse

from accounts.models import Role
from console import urls
from tests.browser.sample import Sample

# Addresses that answer GET and are no pages, with what they are instead.
NOT_PAGES = {
    "": "redirects of the reference's addresses",
    "own-profile": "redirect to the personal settings",
    "content": "the operator's own HTML, framed by home and about",
    "landing": "where a provider of identities sends people back to",
    "second-step": "only after a first step; test_second_step has it",
    "playground-bill": "a part: what a call cost",
    "channel-row": "a part: one row",
    "test-runs-current": "redirect to the run under way",
    "options-group": "redirect to the tab",
    "set_language": "redirect back",
}
DOWNLOADS = ("-csv", "-export")  # names of addresses that are files end so
# What stands in an address or after it: by its name, made from the sample.
PARTS: dict[str, Callable[[Sample], Mapping[str, Any]]] = {
    "audit-entry": lambda sample: {"pk": sample.entry},
    "channel": lambda sample: {"pk": sample.channel},
    "code": lambda sample: {"pk": sample.code},
    "codes-clear": lambda _: {"state": "used"},
    "content": lambda _: {"name": "nobodys"},
    "landing": lambda _: {"name": "nobodys"},
    "options-group": lambda _: {"group_name": "quota"},
    "key": lambda sample: {"pk": sample.key},
    "log": lambda sample: {"pk": sample.log},
    "remove-factor": lambda _: {"pk": 0},
    "test-run": lambda sample: {"pk": sample.run},
    "user": lambda sample: {"pk": sample.alice.id},
    "user-manage": lambda sample: {"pk": sample.alice.id, "action": "delete"},
}
OTHER_ROLES = {"models": Role.COMMON, "audit-entry": Role.ROOT}  # by option, or since it is an entry of root's
QUERIES = {
    "channels-tag": "?tag=europe",
    "choose-password": "?email=a@example.com&token=0",
    "group-delete": "?name=vip",
    "group-edit": "?name=vip",
    "price-edit": "?model=gpt-4o",
}


@dataclass(frozen=True, slots=True)
class Address:
    name: str
    role: int
    parameters: frozenset[str]
    only_post: bool

    def of(self, sample: Sample) -> str:
        """With ids of the sample filled in. Raises KeyError for parameters that PARTS does not know: add them there."""
        return reverse(self.name, kwargs=self._parts(sample)) + QUERIES.get(self.name, "")

    def _parts(self, sample: Sample) -> dict[str, Any]:
        if not self.parameters:
            return {}
        key = max((one for one in PARTS if self.name.startswith(one)), key=len)
        return {name: value for name, value in PARTS[key](sample).items() if name in self.parameters}


def all_addresses() -> Iterator[Address]:
    for pattern in _patterns(urls.urlpatterns):
        yield Address(
            pattern.name or "",
            OTHER_ROLES.get(pattern.name or "", getattr(pattern.callback, "console_role", Role.GUEST)),
            frozenset(pattern.pattern.converters),
            _only_post(pattern.callback),
        )


def pages() -> list[Address]:
    return [one for one in all_addresses() if not one.only_post and not is_no_page(one)]


def is_no_page(address: Address) -> bool:
    return address.name in NOT_PAGES or address.name.endswith(DOWNLOADS)


def _patterns(entries: Iterable[URLPattern | URLResolver]) -> Iterator[URLPattern]:
    for entry in entries:
        if isinstance(entry, URLPattern):
            yield entry
        elif str(entry.pattern) != "django-admin/":
            yield from _patterns(entry.url_patterns)


def _only_post(view: Any) -> bool:
    """Whether one of the decorators around the view lets only POST through (`require_POST` leaves no other trace)."""
    while view is not None:
        methods = getclosurevars(view).nonlocals.get("request_method_list") if hasattr(view, "__closure__") else None
        if methods is not None and "GET" not in methods:
            return True
        view = getattr(view, "__wrapped__", None)
    return False
