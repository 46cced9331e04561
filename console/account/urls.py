from django.urls import path
from django.views.generic import RedirectView

from console.account import confirm, external, personal, registering, resetting, second_factor, second_step, views
from console.guards import page

urlpatterns = [
    path("login", views.login_page, name="login"),
    path("login/verify", second_step.second_step_page, name="second-step"),
    path("login/passkey", second_step.passkey_sign_in, name="passkey-sign-in"),
    path("login/passkey/options", second_step.passkey_options, name="passkey-options"),
    path("login/wechat", external.wechat_page, name="wechat"),
    path("logout", views.logout_page, name="logout"),
    path("register", registering.register_page, name="register"),
    path("register/code", registering.register_code, name="register-code"),
    path("reset", resetting.reset_page, name="reset"),
    path("user/reset", resetting.choose_password_page, name="choose-password"),
    path("oauth/<slug:name>", external.landing, name="landing"),
    path("oauth/<slug:name>/start", external.start, name="start"),
    path("confirm", confirm.confirm_page, name="confirm"),
    path("user/edit", page()(RedirectView.as_view(pattern_name="personal")), name="own-profile"),
    path("setting", personal.personal_page, name="personal"),
    path("setting/profile", personal.save_profile, name="save-profile"),
    path("setting/appearance", personal.save_appearance, name="save-appearance"),
    path("setting/reminder", personal.save_reminder, name="save-reminder"),
    path("setting/email/code", personal.mail_code, name="mail-code"),
    path("setting/email", personal.bind_email, name="bind-email"),
    path("setting/wechat", external.bind_wechat, name="bind-wechat"),
    path("setting/identities/<slug:name>/unbind", external.unbind, name="unbind"),
    path("setting/sessions/<int:pk>/end", personal.end_session, name="end-session"),
    path("setting/sessions/end-others", personal.end_other_sessions, name="end-other-sessions"),
    path("setting/invitation", personal.make_invitation, name="make-invitation"),
    path("setting/token", personal.renew_token, name="renew-token"),
    path("setting/delete", personal.delete_account, name="delete-account"),
    path("setting/password", views.password_page, name="password"),
    path("setting/second-factor", second_factor.second_factor_page, name="second-factor"),
    path("setting/second-factor/app", second_factor.add_app, name="add-app"),
    path("setting/second-factor/passkey", second_factor.add_passkey, name="add-passkey"),
    path("setting/second-factor/codes", second_factor.renew_codes, name="renew-codes"),
    path("setting/second-factor/<int:pk>/remove", second_factor.remove, name="remove-factor"),
]
