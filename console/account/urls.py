from django.urls import path

from console.account import confirm, second_factor, second_step, views

urlpatterns = [
    path("login", views.login_page, name="login"),
    path("login/verify", second_step.second_step_page, name="second-step"),
    path("login/passkey", second_step.passkey_sign_in, name="passkey-sign-in"),
    path("login/passkey/options", second_step.passkey_options, name="passkey-options"),
    path("logout", views.logout_page, name="logout"),
    path("confirm", confirm.confirm_page, name="confirm"),
    path("setting/password", views.password_page, name="password"),
    path("setting/second-factor", second_factor.second_factor_page, name="second-factor"),
    path("setting/second-factor/app", second_factor.add_app, name="add-app"),
    path("setting/second-factor/passkey", second_factor.add_passkey, name="add-passkey"),
    path("setting/second-factor/codes", second_factor.renew_codes, name="renew-codes"),
    path("setting/second-factor/<int:pk>/remove", second_factor.remove, name="remove-factor"),
]
