from django.apps import AppConfig


class OptionsConfig(AppConfig):
    name = "options"
    default_auto_field = "django.db.models.BigAutoField"
