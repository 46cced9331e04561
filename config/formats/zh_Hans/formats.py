"""How this language writes moments; what is not named here is as in Django's own formats of the language."""

DATETIME_FORMAT = "Y-m-d H:i:s"
DATE_FORMAT = "Y-m-d"
