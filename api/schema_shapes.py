"""What the routes below /api take and answer, as JSON Schema; api/schema.py makes the OpenAPI document of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from api import schema_bodies as bodies
from api.schema_parts import FLAG, INTEGER, NUMBER, QUOTA, TEXT, Shape, either, listed, members, named, one_of

_USER = (
    f"id:i {bodies.USER_TEXTS} role:i status:i verification_code:s access_token:s quota:q used_quota:q"
    " request_count:i aff_code:s inviter_id:i"
)
_TOKEN = "id:i user_id:i key:s status:i name:s created_time:t accessed_time:t expired_time:t remain_quota:q"  # noqa: S105
_CHANNEL = (
    "id:i type:i key:s status:i name:s created_time:t test_time:t response_time:i other:s balance:n"
    " balance_updated_time:t models:s group:s used_quota:q config:s status_reason:s status_time:t"
)
_LOG = (
    "id:i user_id:i created_at:t type:i content:s username:s token_name:s model_name:s quota:q prompt_tokens:i"
    " completion_tokens:i channel:i request_id:s elapsed_time:i is_stream:b system_prompt_reset:b usage_details:s"
)
_STATUS_TEXTS = (
    "version:s github_client_id:s lark_client_id:s system_name:s logo:s footer_html:s wechat_qrcode:s"
    " server_address:s turnstile_site_key:s top_up_link:s chat_link:s oidc_client_id:s oidc_well_known:s"
    " oidc_authorization_endpoint:s oidc_token_endpoint:s oidc_userinfo_endpoint:s"
)

COMPONENTS: Mapping[str, Shape] = {
    "User": members(_USER, all_given=True),
    "Token": members(
        f"{_TOKEN} unlimited_quota:b used_quota:q",
        {"models": either(TEXT, "null"), "subnet": either(TEXT, "null")},
        all_given=True,
    ),
    "Breaker": members("state:s opened_until:t failures:i last_failure:s changed_at:t", all_given=True),
    "Channel": members(_CHANNEL, {"breaker": named("Breaker"), **bodies.NULLABLE}, all_given=True),
    "Log": members(_LOG, all_given=True),
    "Redemption": members(
        "id:i user_id:i key:s status:i name:s quota:q created_time:t redeemed_time:t count:i", all_given=True
    ),
    "Option": members("key:s value:s", all_given=True),
    "Status": members(
        f"{_STATUS_TEXTS} start_time:t email_verification:b github_oauth:b wechat_login:b turnstile_check:b"
        " quota_per_unit:n display_in_currency:b oidc:b",
        all_given=True,
    ),
    "Day": members("Day:s ModelName:s RequestCount:i Quota:q PromptTokens:i CompletionTokens:i", all_given=True),
    "Progress": members(
        "scope:s total:i done:i passed:i failed:i running:b started:t finished:t outcome:s",
        dict.fromkeys(("slow", "disabled", "enabled"), listed(INTEGER)),
        all_given=True,
    ),
    "Refusal": {
        **members("message:s", {"success": {**FLAG, "const": False}}),
        "required": ["success", "message"],
        "description": "Most refusals come with status 200; `message` says why.",
    },
    "NoRoute": members("", {"error": members("message:s type:s param:s code:s", all_given=True)}, all_given=True),
}


@dataclass(frozen=True, slots=True)
class Operation:
    """One route and method. `data` is the member of the envelope, None where there is none.

    `beside` are members next to `data`; `whole` is the answer of a route that has no envelope.
    """

    summary: str
    data: Shape | None = None
    body: Shape | None = None
    query: Mapping[str, Shape] = field(default_factory=dict)
    paged: bool = False
    beside: Mapping[str, Shape] = field(default_factory=dict)
    whole: Shape | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    bad_request: bool = False
    forbidden: bool = False


def _query(text: str) -> Mapping[str, Shape]:
    properties: Mapping[str, Shape] = members(text)["properties"]
    return properties


_PAGE = {"p": {**INTEGER, "description": "page, from 0"}, "per_page": {**INTEGER, "description": "rows, 10 to 100"}}
_KEYWORD = _query("keyword:s")
_LOGS = _query("type:i start_timestamp:t end_timestamp:t model_name:s token_name:s")
_ALL_LOGS = {**_LOGS, **_query("username:s channel:i")}
_STATUS_ONLY = {"status_only": {**TEXT, "description": "anything: the status alone is taken"}}
_SUM = members("quota:q", all_given=True)
_MAIL = _query("email:s turnstile:s")
_MODEL_LIST = members("object:s", {"data": listed({"type": "object"})})
_TESTED = members("success:b message:s time:n modelName:s model:s")


def _rows(component: str, summary: str, query: Mapping[str, Shape] | None = None) -> Operation:
    return Operation(summary, listed(named(component)), query={**_PAGE, **(query or {})}, paged=True)


def _search(component: str, summary: str) -> Operation:
    return Operation(summary, listed(named(component)), query=_KEYWORD)


_NAMES = listed(TEXT)
_CODE = _query("code:s state:s")
_SIGNED_IN_OR_BOUND: Shape = {
    **members("message:s", {"success": {**FLAG, "const": True}, "data": named("User")}),
    "required": ["success", "message"],
    "description": "`data` is who signed in; it is left out, and `message` is `bind`, for who was signed in already.",
}

OPERATIONS: Mapping[str, Operation] = {
    "GET status": Operation("What a front end must know before anybody signs in", named("Status")),
    "GET notice": Operation("The operator's notice", TEXT),
    "GET about": Operation("The operator's text about this place", TEXT),
    "GET home_page_content": Operation("The operator's home page", TEXT),
    "GET models": Operation("Model names by channel type", {"type": "object", "additionalProperties": _NAMES}),
    "GET group": Operation("Names of the groups", _NAMES),
    "GET schema": Operation("This document", whole={"type": "object"}),
    # one's own account
    "POST user/login": Operation("Sign in", named("User"), bodies.SIGN_IN, _query("turnstile:s")),
    "GET user/logout": Operation("Sign out"),
    "POST user/register": Operation(
        "Make an account",
        body=bodies.REGISTRATION,
        query=_query("turnstile:s"),
    ),
    "GET verification": Operation("Have a code mailed", query=_MAIL),
    "GET reset_password": Operation("Have a link mailed that resets the password", query=_MAIL),
    "POST user/reset": Operation("Reset the password; `data` is the new one", TEXT, bodies.RESET),
    "GET oauth/state": Operation("A state to take along to a provider", TEXT, query=_query("provider:s")),
    "GET oauth/github": Operation(
        "Sign in with GitHub, or bind it", whole=_SIGNED_IN_OR_BOUND, query=_CODE, forbidden=True
    ),
    "GET oauth/lark": Operation(
        "Sign in with Lark, or bind it", whole=_SIGNED_IN_OR_BOUND, query=_CODE, forbidden=True
    ),
    "GET oauth/oidc": Operation(
        "Sign in with OpenID Connect, or bind it", whole=_SIGNED_IN_OR_BOUND, query=_CODE, forbidden=True
    ),
    "GET oauth/wechat": Operation("Sign in by a code from WeChat", named("User"), query=_query("code:s")),
    "GET oauth/wechat/bind": Operation("Bind WeChat by a code", query=_query("code:s")),
    "GET oauth/email/bind": Operation("Set one's e-mail address", query=_query("email:s code:s")),
    "GET user/self": Operation("One's own account", named("User")),
    "PUT user/self": Operation("Change one's own account", body=bodies.OWN_ACCOUNT),
    "DELETE user/self": Operation("Delete one's own account"),
    "GET user/dashboard": Operation("Use of the last seven days (UTC) by model", listed(named("Day"))),
    "GET user/token": Operation("A new access token; the old one ends", TEXT),
    "GET user/aff": Operation("One's invitation code", TEXT),
    "POST user/topup": Operation("Redeem a code; `data` is what it was worth", QUOTA, bodies.REDEEMED),
    "GET user/available_models": Operation("Models one may call", _NAMES),
    # accounts
    "GET user": _rows("User", "Accounts", {"order": one_of(TEXT, "", "quota", "used_quota", "request_count")}),
    "POST user": Operation("Make an account", body=bodies.NEW_USER),
    "PUT user": Operation("Change an account; members that are left out stay", body=bodies.USER_CHANGES),
    "GET user/search": _search("User", "Find accounts"),
    "POST user/manage": Operation(
        "Enable, disable, delete, promote, demote",
        named("User"),
        bodies.MANAGED,
    ),
    "GET user/{user_id}": Operation("One account", named("User")),
    "DELETE user/{user_id}": Operation("Delete an account"),
    "POST topup": Operation(
        "Credit an account",
        body=bodies.TOP_UP,
        headers={"Idempotency-Key": "A repetition under the same key succeeds and credits nothing"},
    ),
    # tokens
    "GET token": _rows("Token", "One's tokens", {"order": one_of(TEXT, "", "remain_quota", "used_quota")}),
    "POST token": Operation("Make a token", named("Token"), bodies.TOKEN),
    "PUT token": Operation(
        "Change a token",
        named("Token"),
        bodies.TOKEN_CHANGES,
        _STATUS_ONLY,
    ),
    "GET token/search": _search("Token", "Find one's tokens"),
    "GET token/{token_id}": Operation("One token", named("Token")),
    "DELETE token/{token_id}": Operation("Delete a token"),
    # options
    "GET option": Operation("All options but the secret ones", listed(named("Option"))),
    "PUT option": Operation("Set an option", body=bodies.OPTION, bad_request=True),
    # channels
    "GET channel": _rows("Channel", "Channels"),
    "POST channel": Operation("Make a channel for each line of `key`", body=bodies.CHANNEL),
    "PUT channel": Operation(
        "Change a channel",
        named("Channel"),
        bodies.CHANNEL_CHANGES,
    ),
    "GET channel/search": _search("Channel", "Find channels"),
    "GET channel/models": Operation("The built-in catalogue of models", whole=_MODEL_LIST),
    "DELETE channel/disabled": Operation("Delete all disabled channels; `data` is their number", INTEGER),
    "GET channel/test": Operation(
        "Test all channels in the background", query={"scope": one_of(TEXT, "", "all", "disabled")}
    ),
    "GET channel/test/progress": Operation("How far the test of all channels is", named("Progress")),
    "GET channel/test/{channel_id}": Operation("Test a channel", query=_query("model:s"), whole=_TESTED),
    "GET channel/update_balance": Operation("Ask for all balances in the background"),
    "GET channel/update_balance/{channel_id}": Operation("Ask for a balance", beside={"balance": NUMBER}),
    "POST channel/fetch_models": Operation(
        "The models an upstream lists, before the channel is stored",
        _NAMES,
        bodies.DRAFT,
    ),
    "GET channel/fetch_models/{channel_id}": Operation("The models a channel's upstream lists", _NAMES),
    "GET channel/{channel_id}": Operation("One channel", named("Channel")),
    "DELETE channel/{channel_id}": Operation("Delete a channel"),
    # codes
    "GET redemption": _rows("Redemption", "Redemption codes"),
    "POST redemption": Operation("Make codes; `data` are their keys", _NAMES, bodies.CODES),
    "PUT redemption": Operation("Change a code", named("Redemption"), bodies.CODE_CHANGES, _STATUS_ONLY),
    "GET redemption/search": _search("Redemption", "Find codes"),
    "GET redemption/{code_id}": Operation("One code", named("Redemption")),
    "DELETE redemption/{code_id}": Operation("Delete a code"),
    # logs
    "GET log": _rows("Log", "Log lines", _ALL_LOGS),
    "DELETE log": Operation(
        "Delete older log lines; `data` is their number", INTEGER, query=_query("target_timestamp:t")
    ),
    "GET log/stat": Operation("Sum of the log lines", _SUM, query=_ALL_LOGS),
    "GET log/search": _search("Log", "Find log lines"),
    "GET log/self": _rows("Log", "One's log lines", _LOGS),
    "GET log/self/stat": Operation("Sum of one's log lines", _SUM, query=_LOGS),
    "GET log/self/search": _search("Log", "Find one's log lines"),
}
