from django.urls import path

from console.account import views

urlpatterns = [
    path("login", views.login_page, name="login"),
    path("logout", views.logout_page, name="logout"),
    path("setting/password", views.password_page, name="password"),
]
