from django.urls import path

from console.topup import views

urlpatterns = [
    path("topup", views.top_up, name="top-up"),
    path("topup/invite", views.invite, name="top-up-invite"),
]
