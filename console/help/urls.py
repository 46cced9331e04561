from django.urls import path

from console.help import views

urlpatterns = [path("help", views.help_page, name="help")]
