"""Who raises a version says so through Redis, once it is committed; who listens is told, whatever else Redis holds."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
import redis
from django.db import transaction

from config.redis import parse
from options import announcing, versions
from tests.nodes.services import Redis, redis_server

HEARD = 10  # seconds


class Ear:
    """Counts what is heard."""

    def __init__(self) -> None:
        self.times = 0
        self._more = threading.Condition()

    def __call__(self) -> None:
        with self._more:
            self.times += 1
            self._more.notify_all()

    def wait_for(self, times: int) -> bool:
        with self._more:
            return self._more.wait_for(lambda: self.times >= times, HEARD)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    with redis_server(tmp_path_factory.mktemp("redis"), "127.0.0.1") as started:
        yield started


@pytest.fixture
def ear(running: Redis, settings) -> Iterator[Ear]:
    settings.REDIS = parse(running.url, "", "")
    heard = Ear()
    listener = announcing.Listener(heard)
    listener.start()
    assert heard.wait_for(1)  # it listens
    yield heard
    listener.stop()


@pytest.mark.django_db(transaction=True)
def test_a_change_is_told_once_it_is_committed(ear: Ear) -> None:
    with transaction.atomic():
        versions.bump(versions.ROUTING)
        before = ear.times

    assert before == 1
    assert ear.wait_for(2)


@pytest.mark.django_db(transaction=True)
def test_a_change_that_is_taken_back_is_not_told(ear: Ear) -> None:
    with transaction.atomic():
        versions.bump(versions.ROUTING)
        transaction.set_rollback(True)
    announcing.announce()

    assert ear.wait_for(2)
    assert ear.times == 2


def test_garbage_under_our_name_is_a_word_like_any(ear: Ear, running: Redis) -> None:
    client = redis.Redis.from_url(running.url)
    client.set(announcing.CHANNEL, b"\xff of another program")
    client.publish(announcing.CHANNEL, b"\xff\x00 not ours")

    assert ear.wait_for(2)


def test_a_listener_comes_back_with_its_redis(ear: Ear, running: Redis) -> None:
    running.kill()
    running.start()
    assert ear.wait_for(2)  # it begins to listen again, and looks
    redis.Redis.from_url(running.url).publish(announcing.CHANNEL, "")
    assert ear.wait_for(3)
