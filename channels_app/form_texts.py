"""What the form of channels says of a type, beside its row in providers.toml: labels, hints, tips.

A type that is not named here is said in the words of its row and in those common to all.
"""

from __future__ import annotations

from collections.abc import Mapping

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

Text = str | Promise

GROUPS: Mapping[str, Text] = {
    "general": _("General"),
    "international": _("International"),
    "china": _("China"),
    "clouds": _("Clouds"),
    "self_hosted": _("Self-hosted"),
    "resellers": _("Resellers"),
}

# Beside the name, in the selector.
DESCRIPTIONS: Mapping[int, Text] = {
    8: _("not recommended"),
    40: _("formerly Doubao"),
    50: _("OpenAI-compatible, with a base URL of your own"),
    51: _("Gemini through its OpenAI-compatible interface"),
}

# Under the selector once the type is chosen: where to get a key, or which other type may be meant.
TIPS: Mapping[int, Text] = {
    8: _("Prefer the type “OpenAI Compatible”, which is the same with fewer surprises."),
    15: _(
        "Create the API key and secret key in Baidu's console, under the applications of Qianfan. For the V2 interface"
        " choose the type “Baidu V2”."
    ),
    17: _("For the models of Bailian choose the type “Ali Bailian”."),
    18: _("This is the WebSocket version. For the HTTP interface choose the type “Xunfei V2”."),
    47: _("Create the key in Baidu's console for identity and access management. Models of the V2 interface only."),
    48: _("This is the HTTP version. The APIPassword of each model stands in the console of the Spark platform."),
}

# What must be done at the provider before a channel can work.
NOTICES: Mapping[int, Text] = {
    3: _("The name of the deployment must be the name of the model; dots in the model's name are taken out."),
    34: _("The name of a model is the id of a bot, and may be written bot-<id>."),
    40: _("Create an inference endpoint in the provider's console first; its name (ep-…) is the name of the model."),
}

# (type, name of the box) -> label and help; type 0 is any.
LABELS: Mapping[tuple[int, str], Text] = {
    (0, "base_url"): _("Base URL"),
    (0, "region"): _("Region"),
    (0, "ak"): _("Access key (AK)"),
    (0, "sk"): _("Secret key (SK)"),
    (0, "user_id"): _("User id"),
    (0, "api_version"): _("API version"),
    (0, "library_id"): _("Library id"),
    (0, "plugin"): _("Plugin"),
    (0, "vertex_ai_project_id"): _("Project id"),
    (0, "vertex_ai_adc"): _("Application default credentials (JSON)"),
    (0, "proxy"): _("Proxy for this channel alone"),
    (3, "base_url"): _("Endpoint"),
    (3, "api_version"): _("Default API version"),
    (17, "plugin"): _("Plugin parameter"),
    (18, "api_version"): _("Version"),
    (21, "library_id"): _("Knowledge base id"),
    (22, "base_url"): _("Address of a private deployment"),
    (37, "user_id"): _("Account id"),
}
HELPS: Mapping[tuple[int, str], Text] = {
    (0, "base_url"): _("Empty: the address of the provider itself. Without a slash at its end."),
    (0, "proxy"): _("http://, https://, socks5:// or socks5h://; may hold a user name and a password."),
    (3, "api_version"): _("A call that names another version in its address is sent with that one."),
    (8, "base_url"): _("With all that comes before the path of the call."),
    (17, "plugin"): _("Sent as the header X-DashScope-Plugin."),
    (24, "api_version"): _("Empty: the version set for the whole gateway."),
    (33, "api_version"): _("converse, which an empty box means, or invoke."),
    (34, "user_id"): _("The id of the person who made the key."),
    (35, "api_version"): _("v2, which an empty box means, or v1."),
    (42, "vertex_ai_adc"): _("The JSON document of a service account, as Google gave it."),
    (43, "base_url"): _("Calls under /v1/oneapi/proxy/ are sent there as they are."),
    (50, "base_url"): _("As a program made for OpenAI wants it, often ending in /v1."),
}

KEY_HELP: Mapping[int, Text] = {
    22: _("The key and the id of the application, with a hyphen between them: fastgpt-…-<app>."),
    43: _("The whole value of the header Authorization."),
}
