"""What the bodies sent to /api may hold, as JSON Schema. Other members are ignored, null ones count as left out."""

from __future__ import annotations

from api.schema_parts import ID, INTEGER, QUOTA, TEXT, between, either, members, needed, one_of
from channels_app.providers import PROVIDERS
from options.registry import MAX_QUOTA, SPECS

NULLABLE = {
    "weight": either(INTEGER, "null"),
    "base_url": either(TEXT, "null"),
    "model_mapping": either(TEXT, "null"),
    "priority": either(INTEGER, "null"),
    "system_prompt": either(TEXT, "null"),
}

USER_TEXTS = "username:s password:s display_name:s email:s github_id:s wechat_id:s lark_id:s oidc_id:s group:s"
ROLE = one_of(INTEGER, 0, 1, 10, 100)
NAME = between(TEXT, 1, 64)
PASSWORD = between(TEXT, 8, 128)
SIGN_IN = needed(members("username:s password:s code:s"), "username password")
REGISTRATION = needed(
    members("email:s verification_code:s aff_code:s", {"username": NAME, "password": PASSWORD}), "username password"
)
RESET = needed(members("email:s token:s"), "email token")
OWN_ACCOUNT = members("username:s display_name:s password:s original_password:s")
REDEEMED = needed(members("key:s"), "key")
NEW_USER = needed(
    members("display_name:s", {"username": NAME, "password": PASSWORD, "role": ROLE}), "username password"
)
USER_CHANGES = needed(
    members(
        USER_TEXTS,
        {"id": ID, "role": ROLE, "status": one_of(INTEGER, 0, 1, 2), "quota": between(QUOTA, 0, MAX_QUOTA)},
    ),
    "id",
)
MANAGED = needed(
    members("username:s", {"action": one_of(TEXT, "enable", "disable", "delete", "promote", "demote")}),
    "username action",
)
TOP_UP = needed(members("remark:s", {"user_id": ID, "quota": between(QUOTA, 0, MAX_QUOTA)}), "user_id quota")
TOKEN = members(
    "expired_time:t unlimited_quota:b",
    {
        "name": between(TEXT, 0, 30),
        "remain_quota": between(QUOTA, 0, MAX_QUOTA),
        "models": either(TEXT, "null"),
        "subnet": {**either(TEXT, "null"), "description": "networks, by commas"},
    },
)
TOKEN_CHANGES = needed(members("", {"id": ID, "status": one_of(INTEGER, 1, 2, 3, 4), **TOKEN["properties"]}), "id")
OPTION = needed(members("value:s", {"key": one_of(TEXT, *SPECS)}), "key value")
CHANNEL_TYPE = one_of(INTEGER, *sorted(PROVIDERS))
CHANNEL = needed(
    members(
        "key:s name:s other:s models:s group:s config:s",
        {"type": CHANNEL_TYPE, "status": one_of(INTEGER, 1, 2, 3), **NULLABLE},
    ),
    "type key",
)
CHANNEL_CHANGES = needed(members("", {"id": ID, **CHANNEL["properties"]}), "id")
DRAFT = needed(members("base_url:s key:s config:s", {"type": CHANNEL_TYPE}), "type")
CODE = {"name": between(TEXT, 1, 20), "quota": between(QUOTA, 1, MAX_QUOTA)}
CODES = members("", {**CODE, "count": between(INTEGER, 1, 100)}, all_given=True)
CODE_CHANGES = needed(members("", {"id": ID, "status": one_of(INTEGER, 1, 2), **CODE}), "id")
