"""REDIS_CONN_STRING as a value that hands out clients: one server, a set watched by sentinels, or a cluster.

redis://user:pw@host:6379/0   rediss://…             one server (rediss: TLS)
host:26379,host:26379  with REDIS_MASTER_NAME        sentinels; REDIS_PASSWORD is the servers' password
redis://h1:6379,redis://h2:6379                      a cluster; also redis+cluster://h1:6379,h2:6379
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    import redis
    import redis.asyncio

SCHEMES = ("redis", "rediss", "unix")
SENTINEL_PORT = 26379
# Seconds. What Redis holds may be missing for a moment, so nobody waits long for it, and nobody waits twice.
TIMEOUTS: dict[str, Any] = {"socket_connect_timeout": 0.5, "socket_timeout": 0.5, "health_check_interval": 30}
AWAY = 5.0  # seconds for which a server that did not answer is not asked again


@dataclass(frozen=True)
class Redis:
    """`urls`: one for a single server, the starting nodes of a cluster, or nothing; `sentinels`: (host, port)."""

    urls: tuple[str, ...] = field(default=(), repr=False)
    cluster: bool = False
    sentinels: tuple[tuple[str, int], ...] = ()
    master: str = ""
    password: str = field(default="", repr=False)

    def client(self) -> redis.Redis:
        """A blocking client, one a process, usable from all threads; connects when it is first used."""
        return _client(self)

    def let_go(self) -> None:
        """Before a fork: the processes that come of it make clients of their own."""
        self.client().close()
        _client.cache_clear()

    def async_client(self) -> redis.asyncio.Redis:
        """A client of its own for one event loop; the caller closes it."""
        import redis.asyncio as aio

        if self.sentinels:
            watch = aio.sentinel.Sentinel(list(self.sentinels), sentinel_kwargs=TIMEOUTS)
            found: redis.asyncio.Redis = watch.master_for(self.master, password=self.password or None, **TIMEOUTS)
            return found
        if self.cluster:
            others = [aio.cluster.ClusterNode(*_node(url)) for url in self.urls]
            clustered: Any = aio.RedisCluster(startup_nodes=others, **_cluster_arguments(self.urls[0]))
            return clustered  # type: ignore[no-any-return]
        return aio.Redis.from_url(self.urls[0], **TIMEOUTS)


@cache
def _client(servers: Redis) -> redis.Redis:
    import redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    from config.redis_clients import Cluster, Server

    # A connection that was closed meanwhile is made anew once; a server that is silent is not asked twice.
    once = Retry(NoBackoff(), 1, supported_errors=(redis.ConnectionError,))
    if servers.sentinels:
        watch = redis.Sentinel(list(servers.sentinels), sentinel_kwargs=TIMEOUTS)
        password = servers.password or None
        found: redis.Redis = watch.master_for(servers.master, Server, password=password, retry=once, **TIMEOUTS)
        return found
    if servers.cluster:
        nodes = [redis.cluster.ClusterNode(*_node(url)) for url in servers.urls]
        clustered: Any = Cluster(startup_nodes=nodes, retry=once, **_cluster_arguments(servers.urls[0]))
        return clustered  # type: ignore[no-any-return]
    return Server.from_url(servers.urls[0], retry=once, **TIMEOUTS)


def parse(value: str, master: str, password: str) -> Redis:
    """Raises ValueError; its text does not repeat the address, which may hold a password."""
    if master:
        nodes = tuple(_sentinel(part.strip()) for part in value.split(",") if part.strip())
        if not nodes:
            raise ValueError("REDIS_MASTER_NAME is set, so it must list the sentinels (host:26379,host:26379)")
        return Redis(sentinels=nodes, master=master, password=password)
    cluster = value.startswith(("redis+cluster://", "rediss+cluster://"))
    value = value.replace("+cluster://", "://")
    parts = [part.strip() for part in value.split(",") if part.strip()]
    scheme = value.partition("://")[0]
    credentials = urlsplit(parts[0]).netloc.rpartition("@")[0] if parts and "://" in parts[0] else ""
    front = f"{scheme}://{credentials}@" if credentials else f"{scheme}://"
    urls = tuple(part if "://" in part else front + part for part in parts)
    for url in urls:
        _check(url)
    if not urls:
        raise ValueError("it names no server")
    return Redis(urls=urls, cluster=cluster or len(urls) > 1)


def _check(url: str) -> None:
    try:
        address = urlsplit(url)
        host, _port = address.hostname, address.port
    except ValueError:
        raise ValueError("it is not a valid address (is a @ / ? # in the password not percent-encoded?)") from None
    if address.scheme not in SCHEMES:
        raise ValueError("it must begin with redis:// or rediss://")
    if address.scheme != "unix" and not host:
        raise ValueError("it names no host")
    database = address.path.strip("/")
    if address.scheme != "unix" and database and not database.isdigit():
        raise ValueError("behind the host may only stand the number of a database (…:6379/0)")


def _sentinel(part: str) -> tuple[str, int]:
    try:
        address = urlsplit(part if "://" in part else f"redis://{part}")
        host, port = address.hostname, address.port or SENTINEL_PORT
    except ValueError:
        host, port = None, 0
    if not host:
        raise ValueError("REDIS_MASTER_NAME is set, so it must list the sentinels (host:26379,host:26379)")
    return host, port


def _node(url: str) -> tuple[str, int]:
    address = urlsplit(url)
    return address.hostname or "", address.port or 6379


def _cluster_arguments(url: str) -> dict[str, Any]:
    """User, password and TLS are the same on all nodes of a cluster; the first address says them."""
    import redis.connection

    parsed: dict[str, Any] = redis.connection.parse_url(url)
    taken: dict[str, Any] = {name: parsed[name] for name in ("username", "password") if name in parsed}
    return {**taken, "ssl": url.startswith("rediss://"), **TIMEOUTS}
