"""One server with two workers for all tests of this folder, and its page of figures read as Prometheus reads it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests import databases, server
from tests.server import Gateway
from tests.telemetry.receiver import Receiver, receiving

Figures = dict[tuple[str, tuple[tuple[str, str], ...]], float]


SETTINGS = {"OTEL_BSP_SCHEDULE_DELAY": "200", "LOG_FORMAT": "json", "LOG_ROTATE_MB": "1"}


@pytest.fixture(scope="session")
def receiver() -> Iterator[Receiver]:
    with receiving() as made:
        yield made


@pytest.fixture(scope="session")
def node(tmp_path_factory: pytest.TempPathFactory, receiver: Receiver) -> Iterator[Gateway]:
    """Two workers with everything switched on."""
    folder = tmp_path_factory.mktemp("node")
    settings = {**SETTINGS, "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url}
    with databases.fresh("sqlite", folder) as database, server.running(database, 2, folder, settings) as gateway:
        yield gateway


def figures(base_url: str, **headers: str) -> Figures:
    """Every sample, by name and labels; labels in the order of their names."""
    answer = httpx.get(f"{base_url}/metrics", headers=headers, timeout=30)
    assert answer.status_code == 200, answer.text
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def value(told: Figures, name: str, **labels: str) -> float:
    """0 where there is no such sample."""
    return told.get((name, tuple(sorted(labels.items()))), 0.0)


def until(fact: Callable[[], bool], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not fact():
        assert time.monotonic() < end, f"not so after {seconds} s"
        time.sleep(0.1)
