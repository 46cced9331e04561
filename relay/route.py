"""Which channels a call may be sent to, best first, none twice (relay contract, section 3)."""

from __future__ import annotations

import random

from accounts.callers import Caller
from channels_app.snapshot import Availability, Route, Snapshot, available, choose
from relay.errors import BadRequest, Forbidden, ModelNotFound, NoChannel
from relay.health import Health


class Plan:
    """The channels of one call. A channel named by the key's suffix is the only one, and is not tried twice."""

    def __init__(self, snapshot: Snapshot, caller: Caller, model: str, suffix: str, health: Health) -> None:
        """Raises BadRequest, Forbidden, ModelNotFound, NoChannel."""
        self._health = health
        self._tried: frozenset[int] = frozenset()
        self._named = named(snapshot, suffix) if suffix else None
        self._tiers = snapshot.tiers(caller.group, model)
        if self._named is None:
            match available(snapshot, caller.group, model):
                case Availability.NOT_CARRIED:
                    raise ModelNotFound(
                        f"The model '{model}' does not exist or no channel of group {caller.group} has it"
                    )
                case Availability.OUT_OF_SERVICE:
                    raise NoChannel(f"当前分组 {caller.group} 下对于模型 {model} 无可用渠道")
        self.retries = 0 if self._named else snapshot.options["RetryTimes"]

    def next(self) -> Route | None:
        """The channel to try now, None when all were tried. Those to be left alone come last, the least bad first."""
        route = self._next()
        if route is not None:
            self._tried |= {route.channel_id}
            self._health.chosen(route)
        return route

    def _next(self) -> Route | None:
        if self._named is not None:
            only, self._named = self._named, None
            return only
        avoided = self._health.avoided()
        route = choose(self._tiers, self._tried | avoided, random.random)
        if route is None and avoided:
            left = (route for tier in self._tiers for route in tier.routes if route.channel_id not in self._tried)
            return min(left, key=lambda one: self._health.back_at(one.channel_id), default=None)
        return route


def named(snapshot: Snapshot, suffix: str) -> Route:
    """The channel an admin names with `sk-KEY-7`: whatever its group, models and priority, but enabled."""
    route = snapshot.channels.get(int(suffix)) if suffix.isascii() and suffix.isdigit() else None
    if route is None:
        raise BadRequest("无效的渠道 Id")
    if not route.enabled:
        raise Forbidden("该渠道已被禁用")
    return route
