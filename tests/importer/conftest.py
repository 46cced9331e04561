"""An old database to import from, and the import itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from importer import plan
from importer.report import Report
from importer.source import opened
from tests.importer import one_api
from tests.importer.one_api import OldDatabase

Import = Callable[..., Report]


@pytest.fixture
def old(tmp_path: Path) -> Iterator[OldDatabase]:
    """The reference's database with empty tables."""
    with one_api.made(tmp_path / "old") as made:
        yield made


@pytest.fixture
def small(old: OldDatabase) -> OldDatabase:
    """root and 4 users, 10 tokens, 3 channels, 6 options, 3 codes, 20 consume logs of 7 points."""
    one_api.fill(old, users=5, tokens=10, channels=3, logs=20)
    return old


@pytest.fixture
def bring(db: None) -> Import:
    """`bring(old, **options)` imports and returns the report."""

    def run(old: OldDatabase, **options: Any) -> Report:
        with opened(old.address) as source:
            return plan.run(source, **options)

    return run
