"""How this language writes moments; what is not named here is as in Django's own formats of the language."""

DATETIME_FORMAT = "d/m/Y H:i:s"
DATE_FORMAT = "d/m/Y"
