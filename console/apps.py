from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig


class ConsoleConfig(AppConfig):
    name = "console"


class RawTablesConfig(AdminConfig):
    """Stands in INSTALLED_APPS where `django.contrib.admin` would; same app, our site class."""

    default_site = "console.raw_tables.RawTables"
