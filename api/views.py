"""The base of all views under /api, and the public ones that belong to no app."""

from __future__ import annotations

from typing import Any, ClassVar

from django.conf import settings
from django.http.response import HttpResponseBase
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.models import Role
from api import messages, throttling
from api.authentication import Identify
from api.bodies import BadBody
from api.envelope import Json, NoRoute, Refusal, answer, handle
from api.permissions import AtLevel
from channels_app.catalogue import models_by_type
from config.version import VERSION
from options import services as option_services


class AlwaysJson(BaseContentNegotiation):
    """Whatever Accept says; the contract has one form."""

    def select_parser(self, request: Request, parsers: Any) -> Any:
        return None

    def select_renderer(self, request: Request, renderers: Any, format_suffix: str | None = None) -> Any:
        return renderers[0], renderers[0].media_type


class ApiView(APIView):
    """`level`: who may call, None is everybody. `critical`: counts against the limit of the routes marked CT.

    `echoes`: bad bodies are answered with the decoder's words instead of "invalid parameter" (contract 1.4).
    """

    level: ClassVar[Role | None] = Role.COMMON
    critical: ClassVar[bool] = False
    echoes: ClassVar[bool] = False
    http_method_names = ["get", "post", "put", "delete", "head"]
    renderer_classes = [Json]
    parser_classes = []
    authentication_classes = [Identify]
    permission_classes = [AtLevel]
    throttle_classes = []
    content_negotiation_class = AlwaysJson

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Limits, then whether the route is there, then who calls: the contract's order."""
        throttling.spend_global(request._request)
        method = (request.method or "").lower()
        if method not in self.http_method_names or not hasattr(self, method):
            raise NoRoute
        if self.critical:
            throttling.spend_critical(request._request)
        super().initial(request, *args, **kwargs)

    def get_authenticators(self) -> list[Any]:
        return [] if self.level is None else super().get_authenticators()

    def get_exception_handler(self) -> Any:
        return self.handle

    def handle(self, error: Exception, context: dict[str, Any]) -> HttpResponseBase | None:
        if isinstance(error, BadBody):
            text = str(error) if self.echoes else messages.invalid_parameter(context["request"]._request)
            error = Refusal(text)
        return handle(error, context)


class AdminView(ApiView):
    level = Role.ADMIN


class PublicView(ApiView):
    level = None


class Unknown(PublicView):
    """Every path below /api that is no route."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        throttling.spend_global(request._request)
        raise NoRoute


class Status(PublicView):
    def get(self, request: Request) -> Response:
        options = option_services.load()
        return answer(
            {
                "version": VERSION,
                "start_time": settings.START_TIME,
                "email_verification": options["EmailVerificationEnabled"],
                "github_oauth": options["GitHubOAuthEnabled"],
                "github_client_id": options["GitHubClientId"],
                "lark_client_id": options["LarkClientId"],
                "system_name": options["SystemName"],
                "logo": options["Logo"],
                "footer_html": options["Footer"],
                "wechat_qrcode": options["WeChatAccountQRCodeImageURL"],
                "wechat_login": options["WeChatAuthEnabled"],
                "server_address": options["ServerAddress"] or "http://localhost:3000",
                "turnstile_check": options["TurnstileCheckEnabled"],
                "turnstile_site_key": options["TurnstileSiteKey"],
                "top_up_link": options["TopUpLink"],
                "chat_link": options["ChatLink"],
                "quota_per_unit": float(options["QuotaPerUnit"]),
                "display_in_currency": options["DisplayInCurrencyEnabled"],
                "oidc": options["OidcEnabled"],
                "oidc_client_id": options["OidcClientId"],
                "oidc_well_known": options["OidcWellKnown"],
                "oidc_authorization_endpoint": options["OidcAuthorizationEndpoint"],
                "oidc_token_endpoint": options["OidcTokenEndpoint"],
                "oidc_userinfo_endpoint": options["OidcUserinfoEndpoint"],
            }
        )


class OptionText(PublicView):
    """The raw text of one option that pages show."""

    option: ClassVar[str]

    def get(self, request: Request) -> Response:
        return answer(option_services.load()[self.option])


class Notice(OptionText):
    option = "Notice"


class About(OptionText):
    option = "About"


class HomePageContent(OptionText):
    option = "HomePageContent"


class Models(ApiView):
    """The names each channel type's form offers."""

    def get(self, request: Request) -> Response:
        return answer(models_by_type())


class Groups(AdminView):
    def get(self, request: Request) -> Response:
        return answer(list(option_services.load()["GroupRatio"]))
