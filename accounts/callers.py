"""Who is calling: what the relay needs to know of a token and its owner, read in one query.

Identity may be cached by whoever asks (until the IDENTITIES version moves); the balances here are hints and bills,
never decisions.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from accounts.models import NEVER, Role, Token, TokenStatus, UserStatus
from options import versions
from vault.keys import digest

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class Caller:
    """A token and its owner as stored. `model_names` None is every model; `networks` empty is anywhere.

    `networks` holds only what could be parsed: a restriction none of which parses matches nobody.
    """

    token_id: int
    token_name: str
    token_status: int
    expired_time: int
    unlimited: bool
    remain_quota: int
    token_used_quota: int
    model_names: tuple[str, ...] | None
    subnet: str
    networks: tuple[Network, ...]
    user_id: int
    username: str
    user_status: int
    role: int
    group: str
    spendable: int
    user_quota: int
    user_used_quota: int
    unrestricted: bool = False  # whoever has the key may use it, whenever and from wherever

    @property
    def is_admin(self) -> bool:
        return self.role >= Role.ADMIN

    @property
    def user_enabled(self) -> bool:
        return self.user_status == UserStatus.ENABLED


def parse_networks(subnet: str) -> tuple[Network, ...]:
    """Comma separated networks of either family; what does not parse is left out."""
    networks: list[Network] = []
    for item in subnet.split(","):
        try:
            networks.append(ipaddress.ip_network(item.strip(), strict=False))
        except ValueError:
            continue
    return tuple(networks)


def find(key: str) -> Caller | None:
    """The caller behind a token key (without `sk-` and suffix), or None. One query."""
    token = Token.objects.select_related("user").filter(key_digest=digest("token", key)).first()
    if token is None:
        return None
    names = tuple(name.strip() for name in token.model_names.split(",") if name.strip())
    user = token.user
    return Caller(
        token_id=token.pk,
        token_name=token.name,
        token_status=token.status,
        expired_time=token.expired_time,
        unlimited=token.unlimited_quota,
        remain_quota=token.remain_quota,
        token_used_quota=token.used_quota,
        model_names=names or None,
        subnet=token.subnet,
        networks=parse_networks(token.subnet),
        user_id=user.pk,
        username=user.username,
        user_status=user.status,
        role=user.role,
        group=user.group,
        spendable=user.quota - user.held,
        user_quota=user.quota,
        user_used_quota=user.used_quota,
        unrestricted=(
            token.status == TokenStatus.ENABLED
            and token.expired_time == NEVER
            and not token.subnet
            and user.status == UserStatus.ENABLED
        ),
    )


def mark(token_id: int, status: TokenStatus) -> None:
    """Note on the row what a refused call has found out: the token is expired or exhausted."""
    if Token.objects.filter(pk=token_id, status=TokenStatus.ENABLED).update(status=status):
        versions.bump(versions.IDENTITIES)
