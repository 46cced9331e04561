"""Which channels a call may be sent to, best first, none twice (relay contract, section 3)."""

from __future__ import annotations

import random
from collections.abc import Callable

from accounts.callers import Caller
from channels_app.snapshot import Availability, Route, Snapshot, Tier, available, choose
from relay.errors import BadRequest, Forbidden, GatewayError, ModelNotFound, NoChannel, RelayError
from relay.health import Health
from relay.worker import Worker


class Plan:
    """The channels of one call. A channel named by the key's suffix is the only one, and is not tried twice."""

    def __init__(self, snapshot: Snapshot, caller: Caller, model: str, suffix: str, health: Health) -> None:
        """Raises BadRequest, Forbidden, ModelNotFound, NoChannel."""
        self._health = health
        self._tried: frozenset[int] = frozenset()
        self._named = named(snapshot, suffix) if suffix else None
        self._tiers = snapshot.tiers(caller.group, model)
        if self._named is None and not self._tiers:
            match available(snapshot, caller.group, model):
                case Availability.NOT_CARRIED:
                    raise ModelNotFound(
                        f"The model '{model}' does not exist or no channel of group {caller.group} has it"
                    )
                case Availability.OUT_OF_SERVICE:
                    raise NoChannel(f"当前分组 {caller.group} 下对于模型 {model} 无可用渠道")
        self.retries = 0 if self._named else snapshot.options["RetryTimes"]

    def keep(self, fits: Callable[[Route], bool]) -> bool:
        """Leave out the channels that do not fit; whether any is left. Before the first `next`."""
        if self._named is not None:
            self._named = self._named if fits(self._named) else None
            self._tiers = ()
            return self._named is not None
        left = [Tier(tier.priority, tuple(filter(fits, tier.routes))) for tier in self._tiers]
        self._tiers = tuple(tier for tier in left if tier.routes)
        return bool(self._tiers)

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


async def plan_for(worker: Worker, caller: Caller, model: str, suffix: str) -> tuple[Snapshot, Plan]:
    """The channels of a call. What is refused is looked up once more: its channel may have been made a moment ago."""
    try:
        snapshot = current(worker)
        return snapshot, Plan(snapshot, caller, model, suffix, worker.health)
    except RelayError:
        await worker.look_again()
        snapshot = current(worker)
        return snapshot, Plan(snapshot, caller, model, suffix, worker.health)


async def channel_for(worker: Worker, suffix: str) -> Route:
    """The channel that is named. One that is not there is looked up once more, too."""
    try:
        return named(current(worker), suffix)
    except RelayError:
        await worker.look_again()
        return named(current(worker), suffix)


def current(worker: Worker) -> Snapshot:
    """The snapshot to route by. Raises GatewayError while none could be loaded."""
    if worker.snapshot is None:
        raise GatewayError("the gateway is starting or its database is away", status=503, code="not_ready")
    return worker.snapshot
