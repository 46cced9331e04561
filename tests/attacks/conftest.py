"""Callers of /api by level, as its own tests have them, and one server for all tests of the wire."""

from tests.api.conftest import _fresh_counters, admin, anonymous, browser, root, user
from tests.api.test_verification import box
from tests.attacks.wired import wired, wired_payer

__all__ = [
    "_fresh_counters",
    "admin",
    "anonymous",
    "box",
    "browser",
    "root",
    "user",
    "wired",
    "wired_payer",
]  # fixtures
