"""Groups, the names in option GroupRatio, each a factor on every price: who is in one, and what may change.

A group that users or channels name, but the option does not, counts as 1 (billing.tables); it is listed as unknown.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from django.db import transaction
from django.db.models import Count

from accounts.models import User, UserStatus
from audit.services import Actor
from channels_app.served import channels_of_groups
from options import services as option_services
from options import versions
from options.registry import Options, ratios_text

DEFAULT = "default"  # of new users and channels; it cannot go
LONGEST = 64  # characters, as the columns of users and abilities
OPTION = "GroupRatio"


class GroupInUse(Exception):
    """Somebody is in it, so it cannot be deleted."""

    def __init__(self, users: int, channels: int) -> None:
        super().__init__(f"{users} users, {channels} channels")
        self.users = users
        self.channels = channels


class NoSuchGroup(Exception):
    """The option does not name it (any more)."""


class NameTaken(Exception):
    """There is a group of this name already."""


class BadName(ValueError):
    """Not a group's name: empty, too long, with a comma (which parts a channel's groups) or invisible parts."""


@dataclass(frozen=True)
class Group:
    """`ratio` None: in use, but the option does not name it."""

    name: str
    ratio: Decimal | None
    users: int
    channels: int


def groups(options: Options) -> list[Group]:
    """All of them, by name (two queries)."""
    ratios: Mapping[str, Decimal] = options[OPTION]
    users, channels = _users(), channels_of_groups()
    names = sorted({*ratios, *users, *channels})
    return [Group(name, ratios.get(name), users[name], channels[name]) for name in names]


def one(options: Options, name: str) -> Group:
    """Raises NoSuchGroup for a name that is neither in the option nor in use."""
    for group in groups(options):
        if group.name == name:
            return group
    raise NoSuchGroup(name)


@transaction.atomic
def add(actor: Actor, name: str, ratio: Decimal) -> None:
    """Raises BadName, NameTaken, options.BadOptions."""
    if not 0 < len(name) <= LONGEST or name != name.strip() or "," in name or not name.isprintable():
        raise BadName(name)
    ratios = _locked()
    if name in ratios:
        raise NameTaken(name)
    _store(actor, {**ratios, name: ratio})


@transaction.atomic
def change(actor: Actor, name: str, ratio: Decimal) -> None:
    """The factor of a group; one that was only in use becomes known by it. Raises NoSuchGroup, options.BadOptions."""
    ratios = _locked()
    if name not in ratios:
        one(option_services.load(), name)
    _store(actor, {**ratios, name: ratio})


@transaction.atomic
def delete(actor: Actor, name: str) -> None:
    """Raises NoSuchGroup; GroupInUse for the default group and one that users (deleted ones aside) or channels have."""
    ratios = _locked()
    if name not in ratios:
        raise NoSuchGroup(name)
    users, channels = _users()[name], channels_of_groups()[name]
    if users or channels or name == DEFAULT:
        raise GroupInUse(users, channels)
    _store(actor, {key: ratio for key, ratio in ratios.items() if key != name})


def _users() -> Counter[str]:
    people = User.objects.exclude(status=UserStatus.DELETED)
    return Counter(dict(people.values_list("group").annotate(users=Count("pk")).order_by()))


def _locked() -> dict[str, Decimal]:
    """The table as nobody else changes it until commit."""
    versions.lock(versions.ROUTING)
    return dict(option_services.load()[OPTION])


def _store(actor: Actor, ratios: Mapping[str, Decimal]) -> None:
    option_services.set_options(actor, {OPTION: ratios_text(ratios)}, note="groups")
