"""/api/channel (management contract, 2.7 and 2.8)."""

from __future__ import annotations

from typing import Any

from django.db.models import ExpressionWrapper, F, Q, QuerySet, TextField
from rest_framework.request import Request
from rest_framework.response import Response

from api import messages
from api.bodies import Body, lenient_integer, path_id, query_text, read_body, required
from api.callers import actor
from api.envelope import Refusal, answer
from api.paging import begins, found, page
from api.views import AdminView
from channels_app import balances, services, testing, upstream_models
from channels_app.catalogue import whole_catalogue
from channels_app.models import BreakerState, Channel, ChannelHealth
from channels_app.providers import PROVIDERS
from vault.keys import CannotDecrypt, decrypt

EDITABLE = (
    "type",
    "status",
    "name",
    "weight",
    "base_url",
    "other",
    "models",
    "group",
    "model_mapping",
    "priority",
    "config",
    "system_prompt",
)


def rows() -> QuerySet[Channel]:
    """Channels without their keys. The config comes sealed, so that one unreadable row does not take the list away."""
    sealed = ExpressionWrapper(F("config"), output_field=TextField())
    wanted = Channel.objects.defer("key", "config", "health__outcomes").select_related("health")
    return wanted.annotate(sealed_config=sealed).order_by("-id")


def _shown_config(channel: Channel) -> str:
    try:
        channel.config = decrypt(channel.sealed_config)  # type: ignore[attr-defined]
    except CannotDecrypt:
        return ""
    return services.shown_config(channel)


def channel_json(channel: Channel) -> dict[str, Any]:
    """`channel` comes from `rows`. The key is withheld, and so are the secrets inside the config (remedies S3, S23)."""
    return {
        "id": channel.pk,
        "type": channel.type,
        "key": "",
        "status": channel.status,
        "name": channel.name,
        "weight": channel.weight,
        "created_time": channel.created_time,
        "test_time": channel.test_time,
        "response_time": channel.response_time,
        "base_url": channel.base_url,
        "other": channel.other,
        "balance": channel.balance,
        "balance_updated_time": channel.balance_updated_time,
        "models": channel.model_names,
        "group": channel.group,
        "used_quota": channel.used_quota,
        "model_mapping": channel.model_mapping,
        "priority": channel.priority,
        "config": _shown_config(channel),
        "system_prompt": channel.system_prompt,
        "status_reason": channel.status_reason,
        "status_time": channel.status_time,
        "breaker": breaker_json(channel),
    }


def breaker_json(channel: Channel) -> dict[str, Any]:
    """What the circuit breakers did last; `opened_until` and `changed_at` are Unix seconds, 0 for never."""
    health = getattr(channel, "health", None) or ChannelHealth()
    return {
        "state": BreakerState(health.breaker_state).name.lower(),
        "opened_until": health.opened_until,
        "failures": health.failures,
        "last_failure": health.last_failure,
        "changed_at": health.changed_at,
    }


def _one(channel_id: int) -> Channel:
    channel = rows().filter(pk=channel_id).first()
    if channel is None:
        raise Refusal(messages.NOT_FOUND)
    return channel


def _editable(body: Body) -> dict[str, Any]:
    """The members callers may set (remedy S21). Types are checked by the service."""
    return {name: body.members[name] for name in EDITABLE if name in body}


class Channels(AdminView):
    echoes = True

    def get(self, request: Request) -> Response:
        return page(request, rows(), channel_json)

    def post(self, request: Request) -> Response:
        """One channel for each line of `key`."""
        body = read_body(request)
        channel_type = body.integer("type") or 1
        keys = [key for key in services.split_keys(channel_type, body.text("key")) if key.strip()]
        provider = PROVIDERS.get(channel_type)
        if not keys and not (provider and provider.key_in_config):
            raise Refusal("empty slice found")
        services.create_channels(actor(request), _editable(body), keys)
        return answer()

    def put(self, request: Request) -> Response:
        """Change the members given; an empty key keeps the stored one."""
        body = read_body(request)
        channel_id = body.integer("id")
        if not channel_id:
            raise Refusal(messages.NO_PRIMARY_KEY)
        fields = _editable(body)
        if key := body.text("key"):
            fields["key"] = key
        services.update_channel(actor(request), channel_id, fields)
        return answer(channel_json(_one(channel_id)))


class ChannelSearch(AdminView):
    def get(self, request: Request) -> Response:
        keyword = query_text(request, "keyword")
        wanted = rows().filter(Q(pk=lenient_integer(keyword)) | begins("name", keyword))
        return found(wanted, channel_json)


class ChannelModels(AdminView):
    """The built-in catalogue in OpenAI's list shape; no envelope."""

    def get(self, request: Request) -> Response:
        return Response(whole_catalogue())


class OneChannel(AdminView):
    def get(self, request: Request, channel_id: str) -> Response:
        return answer(channel_json(_one(path_id(channel_id))))

    def delete(self, request: Request, channel_id: str) -> Response:
        """An unknown id succeeds: it is gone."""
        wanted = lenient_integer(channel_id)
        if not wanted:
            raise Refusal(messages.NO_PRIMARY_KEY)
        services.delete_channel(actor(request), wanted)
        return answer()


class DisabledChannels(AdminView):
    http_method_names = ["delete"]

    def delete(self, request: Request) -> Response:
        return answer(services.delete_disabled(actor(request)))


class ChannelTest(AdminView):
    def get(self, request: Request, channel_id: str) -> Response:
        """`model` empty, absent or "undefined" is the channel's first. Front ends read `model` or `modelName`."""
        asked = query_text(request, "model")
        probe = testing.test_one(path_id(channel_id), asked)
        body = {
            "success": probe.success,
            "message": probe.message,
            "time": round(probe.seconds, 3),
            "modelName": probe.model,
            "model": probe.model,
        }
        return Response(body)


class TestAll(AdminView):
    def get(self, request: Request) -> Response:
        """Starts a run in the background; how far it is, `channel/test/progress` tells."""
        scope = query_text(request, "scope") or testing.Scope.ALL
        required(request, scope in (testing.Scope.ALL, testing.Scope.DISABLED))
        try:
            testing.start(testing.Scope(scope), actor(request))
        except testing.AlreadyRunning:
            raise Refusal("测试已在运行中") from None
        return answer()


class TestProgress(AdminView):
    """The run under way, or the last one."""

    def get(self, request: Request) -> Response:
        return answer(testing.progress())


class Balance(AdminView):
    def get(self, request: Request, channel_id: str) -> Response:
        try:
            return answer(balance=balances.update_balance(path_id(channel_id)))
        except balances.BalanceUnknown as refusal:
            raise Refusal(str(refusal)) from None


class Balances(AdminView):
    def get(self, request: Request) -> Response:
        """Starts in the background; the figures appear on the channels."""
        try:
            balances.start()
        except balances.AlreadyRunning:
            raise Refusal("余额更新已在运行中") from None
        return answer()


class FetchModels(AdminView):
    """The names an upstream lists, of a channel that is still being typed in: `type`, `base_url`, `key`, `config`."""

    echoes = True

    def post(self, request: Request) -> Response:
        body = read_body(request)
        key = body.text("key")
        try:
            return answer(upstream_models.of_draft(body.members, key))
        except upstream_models.ModelsUnknown as refusal:
            raise Refusal(str(refusal)) from None


class FetchModelsOf(AdminView):
    """The names the upstream of a stored channel lists."""

    def get(self, request: Request, channel_id: str) -> Response:
        try:
            return answer(upstream_models.of_channel(path_id(channel_id)))
        except upstream_models.ModelsUnknown as refusal:
            raise Refusal(str(refusal)) from None
