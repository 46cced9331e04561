"""The connection django-redis uses: the one of settings.REDIS, so that all three ways to run Redis work alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.conf import settings
from django_redis.pool import ConnectionFactory as BaseFactory

if TYPE_CHECKING:
    import redis


class ConnectionFactory(BaseFactory):
    def connect(self, url: str) -> redis.Redis:
        assert settings.REDIS is not None  # else this is not the cache
        return settings.REDIS.client()

    def disconnect(self, connection: Any) -> None:
        """The client is shared by the process and stays open."""
