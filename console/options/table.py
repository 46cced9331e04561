"""Which options stand on which tab, in which group, and what is said about each. What a value may be, its Spec says."""

from __future__ import annotations

from dataclasses import dataclass, field

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from billing.tables import PART_OPTIONS
from options.registry import SPECS

Text = str | Promise


@dataclass(frozen=True)
class Item:
    """One option. `look`: "" as its kind has it, or "points", "area", "markdown", "address" (of the web)."""

    key: str
    label: Text
    help: Text = ""
    look: str = ""


@dataclass(frozen=True)
class Check:
    """A button that tries the stored settings: POST /setting/check/<what>."""

    what: str
    label: Text


@dataclass(frozen=True)
class Group:
    """What is saved together. `callback`: the provider whose callback address is shown. `extra`: a template below."""

    name: str
    title: Text
    items: tuple[Item, ...]
    lead: Text = ""
    checks: tuple[Check, ...] = ()
    callback: str = ""
    extra: str = ""


@dataclass(frozen=True)
class Tab:
    name: str
    label: Text
    lead: Text
    groups: tuple[Group, ...] = field(default=())

    def group(self, name: str) -> Group | None:
        return next((group for group in self.groups if group.name == name), None)


OPERATION = (
    Group(
        "quota",
        _("Quota"),
        (
            Item("QuotaForNewUser", _("For a new user"), _("A gift at registration."), "points"),
            Item(
                "QuotaForInviter", _("For the inviter"), _("For each person who registers by the invitation."), "points"
            ),
            Item("QuotaForInvitee", _("For the invited"), _("On top of the gift to every new user."), "points"),
            Item(
                "PreConsumedQuota",
                _("Set aside per call"),
                _("Held for the answer of a call that names no maximum, and settled exactly afterwards."),
                "points",
            ),
        ),
    ),
    Group(
        "monitoring",
        _("Monitoring"),
        (
            Item(
                "ChannelDisableThreshold",
                _("Longest response time (seconds)"),
                _("A channel whose test takes longer counts as too slow."),
            ),
            Item(
                "QuotaRemindThreshold",
                _("Quota reminder"),
                _("Users get one e-mail when their balance falls below this."),
                "points",
            ),
            Item(
                "AutomaticDisableChannelEnabled",
                _("Disable channels that fail"),
                _("When the upstream says that the key or the account is no good. A channel may be excepted."),
            ),
            Item(
                "AutomaticEnableChannelEnabled",
                _("Enable channels that pass their test again"),
                _("Only those that were disabled automatically."),
            ),
        ),
    ),
    Group(
        "general",
        pgettext_lazy("group of settings", "General"),
        (
            Item(
                "TopUpLink",
                _("Top-up link"),
                _("Where redemption codes are sold; shown on the top-up page."),
                "address",
            ),
            Item("ChatLink", _("Chat link"), _("A chat program's address; it becomes the page Chat."), "address"),
            Item(
                "QuotaPerUnit",
                _("Points per US dollar"),
                _("How points are shown as money, in prices too. Charges are counted in points and do not change."),
            ),
            Item("DisplayInCurrencyEnabled", _("Show amounts as money"), _("Otherwise as points.")),
            Item(
                "DisplayTokenStatEnabled",
                _("Billing calls tell an API key's own quota"),
                _("/dashboard/billing answers for the key; otherwise for its user."),
            ),
            Item(
                "ModelsPagePublic",
                _("Who sees models and prices"),
                _("public: also visitors, at the prices of group default."),
            ),
            Item("RetryTimes", _("Retries"), _("How many further channels are tried when one fails.")),
            Item(
                "ApproximateTokenEnabled",
                _("Count tokens approximately"),
                _("Lighter on the processor. Only matters where an upstream tells no usage."),
            ),
        ),
    ),
    Group(
        "logs",
        _("Logs"),
        (
            Item(
                "LogConsumeEnabled",
                _("Log every call"),
                _("Without it calls are billed all the same, but nobody can look them up."),
            ),
        ),
        extra="console/options/_purge_link.html",
    ),
    Group(
        "ratios",
        _("Ratios, raw"),
        (
            Item("ModelRatio", _("Model ratio"), _("Model → ratio: points for a prompt token.")),
            Item("CompletionRatio", _("Completion ratio"), _("Model → how many times dearer a completion token is.")),
            Item(
                "GroupRatio", _("Group ratio"), _("Group → factor on every price. Its names are the groups there are.")
            ),
            *(Item(key, key, _("Model → ratio to the price of a prompt token.")) for key in PART_OPTIONS.values()),
        ),
        lead=_("JSON objects of name and number, for copying in and out. Prices and Groups have pages of their own."),
        extra="console/options/_ratio_links.html",
    ),
)

SYSTEM = (
    Group(
        "server",
        pgettext_lazy("group of settings", "General"),
        (
            Item(
                "ServerAddress",
                _("Server address"),
                _("How this gateway is reached from outside: in e-mails, callbacks and links to client programs."),
                "address",
            ),
        ),
    ),
    Group(
        "login",
        _("Login and registration"),
        (
            Item("PasswordLoginEnabled", _("Log in by password")),
            Item("PasswordRegisterEnabled", _("Register by password")),
            Item(
                "EmailVerificationEnabled", _("Verify e-mail addresses"), _("Registering takes a code sent by e-mail.")
            ),
            Item("RegisterEnabled", _("New registrations"), _("By any method.")),
            Item(
                "AdminMfaRequired",
                _("Administrators need a second factor"),
                _("Admins and root without one set one up before they see any other page."),
            ),
        ),
    ),
    Group(
        "domains",
        _("E-mail domains"),
        (
            Item("EmailDomainRestrictionEnabled", _("Only these domains may register")),
            Item("EmailDomainWhitelist", _("Allowed domains"), _("One on each line.")),
        ),
    ),
    Group(
        "smtp",
        _("E-mail"),
        (
            Item("SMTPServer", _("SMTP server"), _("For example smtp.example.com.")),
            Item("SMTPPort", _("Port"), _("465 is encrypted from the first byte, others by STARTTLS.")),
            Item("SMTPAccount", _("Account")),
            Item("SMTPFrom", _("Sender"), _("Empty: the account.")),
            Item("SMTPToken", _("Password")),
        ),
        lead=_("For codes, links to reset a password, and reminders."),
        checks=(Check("mail", _("Send a mail to myself")),),
    ),
    Group(
        "pusher",
        _("Message Pusher"),
        (
            Item("MessagePusherAddress", _("Address"), _("For example https://push.example.com/push/root."), "address"),
            Item("MessagePusherToken", _("Token")),
        ),
        lead=_("Where the operator is told of channels that were disabled; without it, e-mail goes to root."),
        checks=(Check("push", _("Send a message on trial")),),
    ),
    Group(
        "github",
        "GitHub",
        (
            Item("GitHubOAuthEnabled", _("Log in with GitHub")),
            Item("GitHubClientId", _("Client ID")),
            Item("GitHubClientSecret", _("Client secret")),
        ),
        lead=_("Of an OAuth app at GitHub, whose homepage is the server address."),
        callback="github",
    ),
    Group(
        "lark",
        "Feishu / Lark",
        (
            Item("LarkClientId", _("App ID"), _("There is no switch: an ID means that it is on.")),
            Item("LarkClientSecret", _("App secret")),
        ),
        callback="lark",
    ),
    Group(
        "oidc",
        "OpenID Connect",
        (
            Item("OidcEnabled", _("Log in with OpenID Connect")),
            Item("OidcClientId", _("Client ID")),
            Item("OidcClientSecret", _("Client secret")),
            Item(
                "OidcWellKnown",
                _("Discovery address"),
                _("Ends in /.well-known/openid-configuration. The server reads it; the browser need not reach it."),
                "address",
            ),
            Item("OidcAuthorizationEndpoint", _("Authorization endpoint"), look="address"),
            Item("OidcTokenEndpoint", _("Token endpoint"), look="address"),
            Item("OidcUserinfoEndpoint", _("Userinfo endpoint"), look="address"),
        ),
        checks=(Check("oidc", _("Read the discovery address")),),
        callback="oidc",
    ),
    Group(
        "wechat",
        _("WeChat"),
        (
            Item("WeChatAuthEnabled", _("Log in with WeChat")),
            Item("WeChatServerAddress", _("Address of WeChat Server"), _("The companion service."), "address"),
            Item("WeChatServerToken", _("Token")),
            Item("WeChatAccountQRCodeImageURL", _("QR code of the account"), _("Address of a picture."), "address"),
        ),
        checks=(Check("wechat", _("Ask WeChat Server")),),
    ),
    Group(
        "turnstile",
        "Turnstile",
        (
            Item(
                "TurnstileCheckEnabled",
                _("Check with Cloudflare Turnstile"),
                _("At registration and before codes are sent."),
            ),
            Item("TurnstileSiteKey", _("Site key")),
            Item("TurnstileSecretKey", _("Secret key")),
        ),
        checks=(Check("turnstile", _("Try the secret key")),),
    ),
)

OTHER = (
    Group(
        "notice",
        _("Notice"),
        (Item("Notice", _("Notice"), _("Shown above every page until a person puts it away."), "markdown"),),
    ),
    Group(
        "look",
        _("Name and look"),
        (
            Item("SystemName", _("Name of the system")),
            Item("Logo", _("Logo"), _("Address of a picture; it is the icon of the browser's tab, too.")),
            Item("Contact", _("Contact"), _("Where people turn to for help; shown on the help page.")),
            Item("Theme", _("Theme"), _("Which of the three looks. THEME of the environment gives the default.")),
        ),
    ),
    Group(
        "home",
        _("Home page"),
        (
            Item(
                "HomePageContent",
                _("Content"),
                _("Empty: a welcome. A single https:// address: that page, framed. Else Markdown or HTML."),
                "markdown",
            ),
        ),
    ),
    Group(
        "about",
        _("About"),
        (Item("About", _("Content"), _("A single https:// address is framed. Else Markdown or HTML."), "markdown"),),
    ),
    Group(
        "footer",
        _("Footer"),
        (
            Item(
                "Footer", _("Footer"), _("HTML in the place of ours. Scripts, styles and forms are taken out."), "area"
            ),
        ),
        lead=_("The program is under the MIT licence, whose text must stay with copies of it, not on this page."),
    ),
)


def _tabs() -> tuple[Tab, ...]:
    """The tabs; options that nobody has placed yet stand at the end of the first one, under their own names."""
    named = {item.key for groups in (OPERATION, SYSTEM, OTHER) for group in groups for item in group.items}
    rest = tuple(Item(spec.key, spec.key) for spec in SPECS.values() if spec.key not in named)
    more = (Group("more", _("More"), rest),) if rest else ()
    return (
        Tab(
            "operation", _("Operation"), _("Quota, monitoring, logs and what users see of money."), (*OPERATION, *more)
        ),
        Tab("system", _("System"), _("Sign-in, e-mail and the services this gateway speaks to."), SYSTEM),
        Tab("other", pgettext_lazy("tab of settings", "Other"), _("What visitors read and see."), OTHER),
    )


TABS: dict[str, Tab] = {tab.name: tab for tab in _tabs()}
LABELS: dict[str, Text] = {
    item.key: item.label for tab in TABS.values() for group in tab.groups for item in group.items
}
