"""The code, .env.example and docs/configuration.md name the same variables, and none of the reference's is missing."""

import re

from django.conf import settings

from config import env

LOWER = {"http_proxy", "https_proxy", "no_proxy"}  # the other spelling of three variables
REFERENCE = """
PORT SESSION_SECRET THEME FRONTEND_BASE_URL NODE_TYPE DEBUG DEBUG_SQL GIN_MODE ONLY_ONE_LOG_FILE TZ
GLOBAL_API_RATE_LIMIT GLOBAL_WEB_RATE_LIMIT SQL_DSN LOG_SQL_DSN SQLITE_PATH SQLITE_BUSY_TIMEOUT SQL_MAX_IDLE_CONNS
SQL_MAX_OPEN_CONNS SQL_MAX_LIFETIME SQL_CONN_MAX_LIFETIME INITIAL_ROOT_TOKEN INITIAL_ROOT_ACCESS_TOKEN
MEMORY_CACHE_ENABLED SYNC_FREQUENCY REDIS_CONN_STRING REDIS_MASTER_NAME REDIS_PASSWORD BATCH_UPDATE_ENABLED
BATCH_UPDATE_INTERVAL CHANNEL_TEST_FREQUENCY CHANNEL_UPDATE_FREQUENCY POLLING_INTERVAL ENABLE_METRIC
METRIC_QUEUE_SIZE METRIC_SUCCESS_RATE_THRESHOLD METRIC_SUCCESS_CHAN_SIZE METRIC_FAIL_CHAN_SIZE TEST_PROMPT
RELAY_TIMEOUT RELAY_PROXY USER_CONTENT_REQUEST_PROXY USER_CONTENT_REQUEST_TIMEOUT GEMINI_SAFETY_SETTING
GEMINI_VERSION ENFORCE_INCLUDE_USAGE TIKTOKEN_CACHE_DIR DATA_GYM_CACHE_DIR HTTP_PROXY HTTPS_PROXY NO_PROXY
"""


def read() -> set[str]:
    assert settings.configured
    return set(env.NAMES) - LOWER


def test_every_variable_of_the_reference_is_read():
    assert read() >= set(REFERENCE.split())


def test_env_example_lists_exactly_what_is_read():
    text = (settings.BASE_DIR / ".env.example").read_text()
    assert set(re.findall(r"^#([A-Z_]+)=", text, re.MULTILINE)) == read()


def test_the_documentation_lists_exactly_what_is_read():
    text = (settings.BASE_DIR / "docs" / "configuration.md").read_text()
    assert set(re.findall(r"^\| `([A-Z_]+)`", text, re.MULTILINE)) == read()


def test_the_documentation_marks_exactly_the_variables_that_may_come_from_a_file():
    text = (settings.BASE_DIR / "docs" / "configuration.md").read_text()
    assert set(re.findall(r"^\| `([A-Z_]+)` ᶠ", text, re.MULTILINE)) == env.SECRETS


def test_settings_carry_what_the_rest_of_the_program_reads():
    names = """VERSION START_TIME IS_MASTER TRUSTED_PROXIES REDIS DATA_DIR LOG_DATABASE_ALIAS SECRET_KEY
    SECRET_KEY_FALLBACKS RELAY_MAX_BODY RELAY_MAX_ANSWER HOLD_TTL HOLD_WAIT"""
    assert [name for name in names.split() if not hasattr(settings, name)] == []
    assert [name for name in REFERENCE.split() if not hasattr(settings, name)] == []
