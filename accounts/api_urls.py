from __future__ import annotations

from accounts import api, api_external, api_tokens, api_users, api_verification
from api.routing import both

urlpatterns = [
    *both("user/login", api.SignIn),
    *both("user/logout", api.SignOut),
    *both("user/register", api.Register),
    *both("verification", api_verification.Verification),
    *both("reset_password", api_verification.ResetLink),
    *both("user/reset", api_verification.ResetPassword),
    *both("oauth/state", api_external.State),
    *both("oauth/github", api_external.GitHub),
    *both("oauth/lark", api_external.Lark),
    *both("oauth/oidc", api_external.Oidc),
    *both("oauth/wechat", api_external.WeChat),
    *both("oauth/wechat/bind", api_external.BindWeChat),
    *both("oauth/email/bind", api_verification.BindEmail),
    *both("user/self", api.Self),
    *both("user/dashboard", api.Dashboard),
    *both("user/token", api.AccessToken),
    *both("user/aff", api.InvitationCode),
    *both("user/topup", api.Redeem),
    *both("user/available_models", api.AvailableModels),
    *both("user", api_users.Users),
    *both("user/search", api_users.UserSearch),
    *both("user/manage", api_users.ManageUser),
    *both("user/<str:user_id>", api_users.OneUser),
    *both("token", api_tokens.Tokens),
    *both("token/search", api_tokens.TokenSearch),
    *both("token/<str:token_id>", api_tokens.OneToken),
]
