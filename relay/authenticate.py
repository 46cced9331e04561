"""Header to caller. Identity is remembered for a moment; balances never are (relay contract, section 2)."""

from __future__ import annotations

import asyncio
import ipaddress
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import TypeVar

from django.db import DatabaseError, InterfaceError, OperationalError, connections

from accounts import callers
from accounts.callers import Caller
from accounts.models import NEVER, TokenStatus
from billing import standing
from relay.errors import Forbidden, GatewayError, NotAuthenticated
from relay.types import Head

T = TypeVar("T")

LIFETIME = 5.0  # seconds an identity is remembered when no version moves; balances in it are hints only
MAX_REMEMBERED = 50_000
MAX_KEY = 200  # characters; a longer one is nobody's

KEY_HEADERS = ("authorization", "x-api-key", "api-key", "x-goog-api-key")


def read_key(head: Head) -> tuple[str, str]:
    """(key, channel suffix) from whichever header carries one: `Bearer sk-KEY-7` and every shorter form of it."""
    headers = head.headers
    for name in KEY_HEADERS:
        if name in headers and (value := headers[name].strip()):
            return _key_in(value)
    return "", ""


@lru_cache(maxsize=4096)
def _key_in(value: str) -> tuple[str, str]:
    if value[:7].lower() == "bearer ":
        value = value[7:].strip()
    parts = value.removeprefix("sk-").split("-")
    return parts[0][:MAX_KEY], parts[1] if len(parts) > 1 else ""


class Callers:
    """The identities one worker remembers. `forget` when the IDENTITIES version has moved."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[float, Caller]] = {}
        self._coming: dict[str, asyncio.Future[Caller | None]] = {}
        self._generation = 0
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="callers", initializer=standing.keep)

    def forget(self) -> None:
        """Called from the watching thread: replaces rather than empties, since the event loop may be reading."""
        self._generation += 1
        self._known = {}

    @property
    def remembered(self) -> int:
        return len(self._known)

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def authenticate(self, head: Head) -> tuple[Caller, str]:
        """The caller and the channel suffix of the key. Raises NotAuthenticated, Forbidden, GatewayError."""
        key, suffix = read_key(head)
        if not key:
            raise NotAuthenticated("未提供令牌")
        caller = await self._find(key)
        if caller is None:
            raise NotAuthenticated("无效的令牌")
        self._check(caller, head.ip)
        if suffix and not caller.is_admin:
            raise Forbidden("普通用户不支持指定渠道")
        return caller, suffix

    async def fresh(self, caller: Caller, key: str) -> Caller:
        """The caller as stored now, for answers that show a balance."""
        found = await asyncio.get_running_loop().run_in_executor(self._threads, _look_up, key)
        return found or caller

    async def _find(self, key: str) -> Caller | None:
        known = self._known.get(key)
        if known and known[0] > time.monotonic():
            return known[1]
        coming = self._coming.get(key)
        if coming is None:
            coming = asyncio.ensure_future(self._look_up(key))
            self._coming[key] = coming
            coming.add_done_callback(lambda _: self._coming.pop(key, None))
        return await asyncio.shield(coming)

    async def _look_up(self, key: str) -> Caller | None:
        generation = self._generation
        try:
            caller = await asyncio.get_running_loop().run_in_executor(self._threads, _look_up, key)
        except (DatabaseError, InterfaceError) as error:
            raise GatewayError("令牌验证失败", status=503, code="token_check_failed") from error
        if caller is not None and generation == self._generation:
            if len(self._known) >= MAX_REMEMBERED:
                self._known = {}
            self._known[key] = (time.monotonic() + LIFETIME, caller)
        return caller

    def _check(self, caller: Caller, ip: str) -> None:
        """In the contract's order (2.2)."""
        if caller.unrestricted:
            return
        match caller.token_status:
            case TokenStatus.EXHAUSTED:
                raise NotAuthenticated(f"令牌 {caller.token_name}（#{caller.token_id}）额度已用尽")
            case TokenStatus.EXPIRED:
                raise NotAuthenticated("该令牌已过期")
            case status if status != TokenStatus.ENABLED:
                raise NotAuthenticated("该令牌状态不可用")
        if caller.expired_time != NEVER and caller.expired_time < time.time():
            self._note(caller, TokenStatus.EXPIRED)
            raise NotAuthenticated("该令牌已过期")
        if caller.subnet and not _inside(caller, ip):
            raise Forbidden(f"该令牌只能在指定网段使用：{caller.subnet}，当前 ip：{ip}")
        if not caller.user_enabled:
            raise Forbidden("用户已被封禁")

    def _note(self, caller: Caller, status: TokenStatus) -> None:
        self._threads.submit(_with_connection, callers.mark, caller.token_id, status)

    def note_exhausted(self, caller: Caller) -> None:
        """A hold was refused because the token has nothing left: show that on its row."""
        self._note(caller, TokenStatus.EXHAUSTED)


def check_model(caller: Caller, model: str) -> None:
    """Raises Forbidden: the token is limited to other models."""
    if caller.model_names is not None and model not in caller.model_names:
        raise Forbidden(f"该令牌无权使用模型：{model}")


def _inside(caller: Caller, ip: str) -> bool:
    try:
        address = ipaddress.ip_address(ip)
    except ValueError:
        return False
    return any(address in network for network in caller.networks if network.version == address.version)


def _look_up(key: str) -> Caller | None:
    return _with_connection(callers.find, key)


def _with_connection(function: Callable[..., T], *args: object) -> T:
    """Run a query on this thread's connection, and once more on a new one if the old one has died."""
    try:
        with standing.answered():
            return function(*args)
    except (OperationalError, InterfaceError):
        connections.close_all()
        with standing.answered():
            return function(*args)
