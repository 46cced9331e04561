"""A mail server per test, options that point at it, and a job's context."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from audit.services import SYSTEM
from notices import delivery
from options.services import set_option
from tests.certificates import Authority
from tests.notices import mailbox
from tests.notices.mailbox import Mailbox


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def trusted(authority: Authority, settings: Any) -> Authority:
    """The authority of the tests, trusted."""
    settings.SMTP_CA_FILE = str(authority.path)
    return authority


@pytest.fixture
def configure(db: None) -> Callable[..., None]:
    """`configure(SMTPServer=…)` stores options."""

    def store(**options: object) -> None:
        for key, value in options.items():
            set_option(SYSTEM, key, str(value))

    return store


@pytest.fixture
def box(configure: Callable[..., None]) -> Iterator[Mailbox]:
    """A plain server on loopback without accounts, and options that point at it."""
    with mailbox.serving() as serving:
        configure(SMTPServer="127.0.0.1", SMTPPort=serving.port, SMTPFrom="robot@one.example")
        yield serving


@pytest.fixture
def deliver() -> Callable[[], int]:
    return lambda: delivery.deliver(lambda: False)
