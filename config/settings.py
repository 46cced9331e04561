"""Settings of all environments. What differs between them is a variable, read here once.

docs/configuration.md describes them. Every variable keeps its name. DEBUG is the exception: Django's own debug mode
shows secrets to strangers and is never on; the variable only makes the log talkative (DEBUG_LOG).
"""

from __future__ import annotations

import os.path
import sys
import time
from pathlib import Path
from typing import Any
from zoneinfo import available_timezones

from config import client_ip, dsn, env, redis, unused, version
from config.allowed_hosts import AllowedHosts
from config.logging import Written, configuration
from config.secret import PLACEHOLDER, CannotKeepSecret, load_or_create

BASE_DIR = Path(__file__).resolve().parent.parent
VERSION = version.VERSION

env.load_file()
unused.keep_out()

# --- process ----------------------------------------------------------------------------------------------------------

PORT = env.optional_integer("PORT", low=1, high=65535, example="3000")
WORKERS = env.optional_integer("WORKERS", low=1, high=256, example="4")
GRACEFUL_TIMEOUT = env.integer("GRACEFUL_TIMEOUT", 30, high=86400, example="30")  # seconds
DRAIN_TIMEOUT = env.integer("DRAIN_TIMEOUT", 0, high=3600, example="5")  # seconds
HEAD_TIMEOUT = env.number("HEAD_TIMEOUT", 30, low=0.1, high=3600, example="30")  # seconds
BODY_TIMEOUT = env.number("BODY_TIMEOUT", 30, low=0.1, high=3600, example="30")  # seconds
NODE_TYPE = env.text("NODE_TYPE", "master", example="slave").lower()
if NODE_TYPE not in ("master", "slave"):
    raise env.BadVariable("NODE_TYPE", f"{NODE_TYPE!r} is neither master nor slave", "slave")
IS_MASTER = NODE_TYPE == "master"
FRONTEND_BASE_URL = env.address("FRONTEND_BASE_URL", schemes=("http", "https"), example="https://one.example").rstrip(
    "/"
)
TRUSTED_PROXIES = env.parsed("TRUSTED_PROXIES", client_ip.networks, example="127.0.0.1,10.0.0.0/8") or ()
THEME = env.text("THEME", "default", example="berry")
START_TIME = int(time.time())  # the same in all workers of one start, which are forked later

# --- log --------------------------------------------------------------------------------------------------------------

DEBUG = False
DEBUG_LOG = env.flag("DEBUG")
GIN_MODE = env.text("GIN_MODE", "release", example="debug")
DEBUG_LOG = DEBUG_LOG or GIN_MODE.lower() == "debug"
DEBUG_SQL = env.flag("DEBUG_SQL")
LOG_WRITTEN = Written.configured()
ONLY_ONE_LOG_FILE = LOG_WRITTEN.one_file
LOG_DIR = env.text("LOG_DIR", example="./logs")
TZ = env.text("TZ", example="Asia/Shanghai").removeprefix(":")
if TZ and TZ not in available_timezones():
    raise env.BadVariable("TZ", f"{TZ!r} is not a time zone of the IANA database", "Asia/Shanghai")
TIME_ZONE = TZ or "UTC"
LOGGING_CONFIG = "config.logging.configure"
LOGGING = configuration(folder=LOG_DIR, written=LOG_WRITTEN, debug=DEBUG_LOG, sql=DEBUG_SQL)

# --- seeing what goes on ----------------------------------------------------------------------------------------------

METRICS_TOKEN = env.secret("METRICS_TOKEN", example="a-long-random-text-for-Prometheus")
SENTRY_DSN = env.address("SENTRY_DSN", schemes=("http", "https"), example="https://key@sentry.example/1", hidden=True)
SENTRY_ENVIRONMENT = env.text("SENTRY_ENVIRONMENT", "production", example="staging")
_COLLECTORS = (
    env.address("OTEL_EXPORTER_OTLP_ENDPOINT", schemes=("http", "https"), example="http://127.0.0.1:4318"),
    env.address(
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", schemes=("http", "https"), example="http://127.0.0.1:4318/v1/traces"
    ),
)
_NO_TRACES = env.flag("OTEL_SDK_DISABLED")
OTEL_ENABLED = any(_COLLECTORS) and not _NO_TRACES
OTEL_SERVICE_NAME = env.text("OTEL_SERVICE_NAME", example="one-api")
METRICS_ALLOWED = env.parsed("METRICS_ALLOWED", client_ip.networks, example="127.0.0.1,10.0.0.0/8") or ()

# --- databases --------------------------------------------------------------------------------------------------------

SQLITE_PATH = env.text("SQLITE_PATH", "one-api.db", example="/data/one-api.db")
SQLITE_BUSY_TIMEOUT = env.integer("SQLITE_BUSY_TIMEOUT", 3000, high=600_000, example="3000")  # milliseconds
SQL_MAX_IDLE_CONNS = env.integer("SQL_MAX_IDLE_CONNS", 100, example="100")
SQL_MAX_OPEN_CONNS = env.integer("SQL_MAX_OPEN_CONNS", 1000, example="1000")
SQL_CONN_MAX_LIFETIME = env.optional_integer("SQL_CONN_MAX_LIFETIME", high=1_000_000, example="1")  # minutes
SQL_MAX_LIFETIME = env.integer(  # seconds
    "SQL_MAX_LIFETIME", 60 if SQL_CONN_MAX_LIFETIME is None else SQL_CONN_MAX_LIFETIME * 60, example="60"
)
_POOL = dsn.Pool(SQL_MAX_IDLE_CONNS, SQL_MAX_OPEN_CONNS, SQL_MAX_LIFETIME, SQLITE_BUSY_TIMEOUT)


_DSN = "postgres://oneapi:password@127.0.0.1:5432/oneapi"
SQL_DSN = env.secret("SQL_DSN", example=_DSN)
LOG_SQL_DSN = env.secret("LOG_SQL_DSN", example=_DSN)


def _database(name: str) -> dict[str, Any] | None:
    entry = env.parsed(name, lambda value: dsn.database(value, _POOL), example=_DSN, hidden=True)
    if entry is not None and entry["ENGINE"].endswith("sqlite3"):
        entry["NAME"] = os.path.abspath(entry["NAME"])
    return entry


# The reference passes parameters behind the file name to its driver; there are none here.
_SQLITE_FILE = Path(SQLITE_PATH.partition("?")[0]).absolute()
DATABASES = {"default": _database("SQL_DSN") or dsn.sqlite.entry(_SQLITE_FILE, _POOL)}
_LOGS = _database("LOG_SQL_DSN")
if _LOGS is not None:
    DATABASES["logs"] = _LOGS
LOG_DATABASE_ALIAS = "logs" if _LOGS is not None else "default"
DATABASE_ROUTERS = ["config.routers.LogRouter"]
if any(entry["ENGINE"].endswith("mysql") for entry in DATABASES.values()):
    import pymysql

    pymysql.install_as_MySQLdb()
_IS_FILE = DATABASES["default"]["ENGINE"].endswith("sqlite3")
DATA_DIR = Path(DATABASES["default"]["NAME"]).parent if _IS_FILE else _SQLITE_FILE.parent
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- the secret -------------------------------------------------------------------------------------------------------

SESSION_SECRET = env.secret("SESSION_SECRET", example="a-long-random-text-equal-on-all-nodes")
if SESSION_SECRET == PLACEHOLDER:
    print(f"SESSION_SECRET is {PLACEHOLDER}, which everybody knows; it counts as not set.", file=sys.stderr)
    SESSION_SECRET = ""
try:
    SECRET_KEY = SESSION_SECRET or load_or_create(DATA_DIR)
except CannotKeepSecret as _error:
    raise env.BadVariable("SESSION_SECRET", str(_error), "a-long-random-text-equal-on-all-nodes") from None
SESSION_SECRET_FALLBACKS = env.secret("SESSION_SECRET_FALLBACKS", example="the-secret-before,the-one-before-that")
SECRET_KEY_FALLBACKS = [part.strip() for part in SESSION_SECRET_FALLBACKS.split(",") if part.strip()]

# --- first start ------------------------------------------------------------------------------------------------------

INITIAL_ROOT_PASSWORD = env.secret("INITIAL_ROOT_PASSWORD", example="a-password-of-8-to-128-characters")
INITIAL_ROOT_TOKEN = env.secret("INITIAL_ROOT_TOKEN", example="a48characterkeywithoutskanddashes")
INITIAL_ROOT_ACCESS_TOKEN = env.secret("INITIAL_ROOT_ACCESS_TOKEN", example="atmost32characters")

# --- Redis, caches, background work -----------------------------------------------------------------------------------

SYNC_FREQUENCY = env.integer("SYNC_FREQUENCY", 600, low=1, example="600")  # seconds
MEMORY_CACHE_ENABLED = env.flag("MEMORY_CACHE_ENABLED")
BATCH_UPDATE_ENABLED = env.flag("BATCH_UPDATE_ENABLED")
BATCH_UPDATE_INTERVAL = env.integer("BATCH_UPDATE_INTERVAL", 5, example="5")  # seconds
REDIS_MASTER_NAME = env.text("REDIS_MASTER_NAME", example="mymaster")
REDIS_PASSWORD = env.secret("REDIS_PASSWORD", example="password")
REDIS = env.parsed(
    "REDIS_CONN_STRING",
    lambda value: redis.parse(value, REDIS_MASTER_NAME, REDIS_PASSWORD),
    example="redis://:password@127.0.0.1:6379/0",
    hidden=True,
)
REDIS_CONN_STRING = env.secret("REDIS_CONN_STRING", example="redis://:password@127.0.0.1:6379/0")
CACHES: dict[str, dict[str, Any]]
if REDIS is None:
    CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
else:
    DJANGO_REDIS_CONNECTION_FACTORY = "config.caches.ConnectionFactory"
    CACHES = {
        "default": {
            "BACKEND": "django_redis.cache.RedisCache",
            "LOCATION": REDIS.urls[0] if REDIS.urls else "redis://",
            "KEY_PREFIX": "one-api",
            # What is cached may always be missing; Redis away must not become an error of ours.
            "OPTIONS": {"IGNORE_EXCEPTIONS": True},
        }
    }

# --- limits -----------------------------------------------------------------------------------------------------------

GLOBAL_API_RATE_LIMIT = env.integer("GLOBAL_API_RATE_LIMIT", 480, example="480")  # per 180 s and address; 0 is none
GLOBAL_WEB_RATE_LIMIT = env.integer("GLOBAL_WEB_RATE_LIMIT", 240, example="240")

# --- mail, Turnstile, sign-in elsewhere -------------------------------------------------------------------------------

SMTP_CA_FILE = env.text("SMTP_CA_FILE", example="/etc/ssl/our-ca.pem")
if SMTP_CA_FILE and not Path(SMTP_CA_FILE).is_file():
    raise env.BadVariable("SMTP_CA_FILE", "there is no such file", "/etc/ssl/our-ca.pem")
TURNSTILE_VERIFY_URL = "https://challenges.cloudflare.com/turnstile/v0/siteverify"
GITHUB_URL = "https://github.com"
GITHUB_API_URL = "https://api.github.com"
LARK_URL = "https://open.feishu.cn"
LARK_ACCOUNTS_URL = "https://accounts.feishu.cn"
LARK_PASSPORT_URL = "https://passport.feishu.cn"

# --- channels ---------------------------------------------------------------------------------------------------------

CHANNEL_TEST_FREQUENCY = env.optional_integer("CHANNEL_TEST_FREQUENCY", example="60") or None  # minutes
CHANNEL_UPDATE_FREQUENCY = env.optional_integer("CHANNEL_UPDATE_FREQUENCY", example="60") or None  # minutes
POLLING_INTERVAL = env.integer("POLLING_INTERVAL", 0, example="5")  # seconds
ENABLE_METRIC = env.flag("ENABLE_METRIC")
METRIC_QUEUE_SIZE = env.integer("METRIC_QUEUE_SIZE", 10, low=1, high=100_000, example="10")  # requests
METRIC_SUCCESS_RATE_THRESHOLD = env.number("METRIC_SUCCESS_RATE_THRESHOLD", 0.8, low=0, high=1, example="0.8")
METRIC_SUCCESS_CHAN_SIZE = env.integer("METRIC_SUCCESS_CHAN_SIZE", 1024, low=1, example="1024")
METRIC_FAIL_CHAN_SIZE = env.integer("METRIC_FAIL_CHAN_SIZE", 128, low=1, example="128")
TEST_PROMPT = env.text(
    "TEST_PROMPT", "Output only your specific model name with no additional text.", example="Say hello."
)

# --- relay ------------------------------------------------------------------------------------------------------------

PROXIES = ("http", "https", "socks5", "socks5h")
RELAY_TIMEOUT = env.integer("RELAY_TIMEOUT", 0, example="600")  # seconds, all of one upstream call; 0 is none
RELAY_CONNECT_TIMEOUT = env.integer("RELAY_CONNECT_TIMEOUT", 10, low=1, example="10")  # seconds
RELAY_FIRST_BYTE_TIMEOUT = env.integer("RELAY_FIRST_BYTE_TIMEOUT", 300, low=1, example="300")  # seconds
RELAY_IDLE_TIMEOUT = env.integer("RELAY_IDLE_TIMEOUT", 120, low=1, example="120")  # seconds between two bytes
RELAY_MAX_BODY = env.integer("RELAY_MAX_BODY_MB", 64, low=1, high=4096, example="64") * 1024 * 1024  # bytes
RELAY_MAX_ANSWER = env.integer("RELAY_MAX_ANSWER_MB", 64, low=1, high=4096, example="64") * 1024 * 1024  # bytes
RELAY_PROXY = env.address("RELAY_PROXY", schemes=PROXIES, example="http://127.0.0.1:7890", hidden=True)
USER_CONTENT_REQUEST_PROXY = env.address(
    "USER_CONTENT_REQUEST_PROXY", schemes=PROXIES, example="http://127.0.0.1:7890", hidden=True
)
USER_CONTENT_REQUEST_TIMEOUT = env.integer("USER_CONTENT_REQUEST_TIMEOUT", 30, low=1, example="30")  # seconds
USER_CONTENT_MAX = env.integer("USER_CONTENT_MAX_MB", 20, low=1, high=1024, example="20") * 1024 * 1024  # bytes
USER_CONTENT_ALLOWED_HOSTS = env.parsed(
    "USER_CONTENT_ALLOWED_HOSTS", AllowedHosts.parse, example="media.corp,.pictures.corp,10.1.0.0/16"
)
HTTP_PROXY = env.text("HTTP_PROXY", example="http://127.0.0.1:7890") or env.text("http_proxy", example="")
HTTPS_PROXY = env.text("HTTPS_PROXY", example="http://127.0.0.1:7890") or env.text("https_proxy", example="")
NO_PROXY = env.text("NO_PROXY", example="localhost,127.0.0.1") or env.text("no_proxy", example="")
GEMINI_SAFETY_SETTING = env.text("GEMINI_SAFETY_SETTING", "BLOCK_NONE", example="BLOCK_ONLY_HIGH")
GEMINI_VERSION = env.text("GEMINI_VERSION", "v1beta", example="v1")
ENFORCE_INCLUDE_USAGE = env.flag("ENFORCE_INCLUDE_USAGE")
TIKTOKEN_CACHE_DIR = env.text("TIKTOKEN_CACHE_DIR", example="/data/tokenizers")
DATA_GYM_CACHE_DIR = env.text("DATA_GYM_CACHE_DIR", example="/data/tokenizers")

# --- books ------------------------------------------------------------------------------------------------------------

HOLD_TTL = env.integer("HOLD_TTL", 60, low=5, high=86400, example="60")  # seconds a dead worker's hold stands
HOLD_WAIT = env.integer(
    "HOLD_WAIT", 30, low=0, high=600, example="30"
)  # seconds a call waits for other calls of its user
IDEMPOTENCY_HOURS = env.integer("IDEMPOTENCY_HOURS", 24, high=720, example="24")  # 0: the header is not looked at
IDEMPOTENCY_MAX_BYTES = env.integer("IDEMPOTENCY_MAX_BYTES", 4 * 2**20, high=8 * 2**20, example="4194304")  # one answer
IDEMPOTENCY_WAIT = env.integer("IDEMPOTENCY_WAIT", 30, high=600, example="30")  # seconds a repeat waits for the first
LOG_RETENTION_DAYS = env.integer("LOG_RETENTION_DAYS", 0, high=36_500, example="90")  # 0: log lines stay for ever

# --- Django -----------------------------------------------------------------------------------------------------------

ALLOWED_HOSTS = ["*"]  # links are built from option ServerAddress, never from the Host header
INSTALLED_APPS = [
    "console.apps.RawTablesConfig",  # django.contrib.admin with our site class
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "allauth",
    "allauth.account",  # allauth.mfa wants it; its pages and its addresses of people are not used
    "allauth.mfa",
    "django.forms",  # its templates, for FORM_RENDERER
    "django_htmx",
    "lucide",
    "config",
    "options",
    "audit",
    "jobs",
    "accounts",
    "channels_app",
    "billing",
    "idempotency",
    "redemptions",
    "importer",
    "backups",
    "notices",
    "api",
    "console.apps.ConsoleConfig",
]
MIDDLEWARE = [
    "api.middleware.Answers",
    "config.static.StaticFiles",
    "django.middleware.gzip.GZipMiddleware",
    "console.middleware.SecurityHeaders",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "accounts.origin.FormsOfOurs",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "accounts.middleware.SeenSessions",
    "allauth.account.middleware.AccountMiddleware",
    "console.middleware.PasswordChangeFirst",
    "accounts.middleware.SecondFactorFirst",
    "console.middleware.WishesOfAccount",
    "console.middleware.Zone",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "console.context.site",
            ]
        },
    }
]
FORM_RENDERER = "django.forms.renderers.TemplatesSetting"  # widgets may have templates of ours
ROOT_URLCONF = "config.urls"
ASGI_APPLICATION = "config.asgi.application"
APPEND_SLASH = False  # the contract's paths are exact, with and without a slash
AUTH_USER_MODEL = "accounts.User"
LOGIN_URL = "login"
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "importer.hashers.ImportedPasswordHasher",  # reads what the reference stored, once imported
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
MFA_ADAPTER = "accounts.factors.adapter.Adapter"
MFA_SUPPORTED_TYPES = ["totp", "recovery_codes", "webauthn"]
MFA_TOTP_TOLERANCE = 1  # steps of 30 seconds that a clock may be off
MFA_RECOVERY_CODE_DIGITS = 10
SESSION_COOKIE_NAME = "session"
SESSION_COOKIE_AGE = 30 * 24 * 3600  # seconds
SESSION_COOKIE_SAMESITE = "Lax"
SECURE_CONTENT_TYPE_NOSNIFF = True
X_FRAME_OPTIONS = "DENY"
USE_TZ = True
USE_I18N = True
LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("zh-hans", "简体中文"), ("ja", "日本語"), ("pt-br", "Português (Brasil)")]
FORMAT_MODULE_PATH = ["config.formats"]
LOCALE_PATHS = [BASE_DIR / "locale"]
STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = False
WHITENOISE_ALLOW_ALL_ORIGINS = False
WHITENOISE_MAX_AGE = 7 * 24 * 3600  # seconds; addresses made by templates change with the content
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "config.static.VersionedStorage"},
}
REST_FRAMEWORK = {"DEFAULT_SCHEMA_CLASS": "api.schema.Schema"}
SPECTACULAR_SETTINGS = {
    "TITLE": "One API: management",
    "DESCRIPTION": "See docs/management-api.md. Every route answers with and without a slash at its end.",
    "VERSION": VERSION,
    "OAS_VERSION": "3.1.0",
    "PREPROCESSING_HOOKS": ["api.schema.one_spelling"],
    "POSTPROCESSING_HOOKS": ["api.schema.add_components"],
    "SERVE_INCLUDE_SCHEMA": False,
}
DATA_UPLOAD_MAX_MEMORY_SIZE = 16 * 1024 * 1024  # bytes; /api bodies, batches of channel keys among them
