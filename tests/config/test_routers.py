import pytest

from billing.models import LedgerEntry, Log
from config.routers import LogRouter

ROUTER = LogRouter()


@pytest.fixture
def split(settings):
    settings.LOG_DATABASE_ALIAS = "logs"


def test_the_log_table_alone_moves(split):
    assert ROUTER.db_for_read(Log) == ROUTER.db_for_write(Log) == "logs"
    assert ROUTER.db_for_read(LedgerEntry) is None


def test_each_table_is_migrated_in_one_database(split):
    assert ROUTER.allow_migrate("logs", "billing", "log") is True
    assert ROUTER.allow_migrate("default", "billing", "Log") is False
    assert ROUTER.allow_migrate("logs", "billing", "logoutbox") is False
    assert ROUTER.allow_migrate("default", "billing", "logoutbox") is True
    assert ROUTER.allow_migrate("logs", "options") is False


def test_with_one_database_the_router_has_no_say():
    assert ROUTER.db_for_read(Log) == "default"
    assert ROUTER.allow_migrate("default", "billing", "log") is None
