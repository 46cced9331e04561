from django.urls import path

from console.home import views

urlpatterns = [path("", views.home, name="home")]
