"""Callers of /api by level, as its own tests have them."""

from tests.api.conftest import _fresh_counters, admin, anonymous, browser, root, user
from tests.api.test_verification import box

__all__ = ["_fresh_counters", "admin", "anonymous", "box", "browser", "root", "user"]  # fixtures
